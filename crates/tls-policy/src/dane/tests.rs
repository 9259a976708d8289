use super::*;

fn record(usage: u8, selector: u8, matching: u8, data: Vec<u8>) -> Tlsa {
    Tlsa { usage, selector, matching, data }
}

fn is_usable(record: Tlsa) -> bool {
    TlsaSet::new(vec![record]).is_usable()
}

#[test]
fn names_carry_port_and_protocol() {
    assert_eq!(record_name("mx.example.com", 25), "_25._tcp.mx.example.com");
}

#[test]
fn records_are_written_as_zones_write_them() {
    assert_eq!(record(3, 1, 1, vec![0, 0xab]).to_string(), "3 1 1 00ab");
}

#[test]
fn only_dane_usages_with_known_parameters_and_whole_digests_are_usable() {
    for usage in [2, 3] {
        for selector in [0, 1] {
            assert!(is_usable(record(usage, selector, 1, vec![0; 32])));
            assert!(is_usable(record(usage, selector, 2, vec![0; 64])));
            assert!(!is_usable(record(usage, selector, 1, vec![0; 31])));
            assert!(!is_usable(record(usage, selector, 1, vec![0; 64])));
            assert!(!is_usable(record(usage, selector, 2, vec![0; 32])));
            assert!(!is_usable(record(usage, selector, 0, Vec::new())));
            assert!(!is_usable(record(usage, selector, 3, vec![0; 32])));
        }
        assert!(!is_usable(record(usage, 2, 1, vec![0; 32])));
        assert!(!is_usable(record(usage, 0, 0, b"no certificate".to_vec())));
    }
    for usage in [0, 1, 4, 255] {
        assert!(!is_usable(record(usage, 1, 1, vec![0; 32])), "{usage}");
    }
    assert!(!TlsaSet::new(Vec::new()).is_usable());
}

#[test]
fn a_stronger_digest_silences_a_weaker_one_of_the_same_kind_alone() {
    let certificate = CertificateDer::from(b"anything".as_slice());
    let weak = record(3, 0, 1, digest::digest(&digest::SHA256, &certificate).as_ref().to_vec());
    let other = |usage, selector| record(usage, selector, 2, vec![0; 64]);
    let names_it = |others: Vec<Tlsa>| {
        TlsaSet::new([vec![weak.clone()], others].concat()).names_end_entity(&certificate)
    };
    assert!(names_it(Vec::new()));
    assert!(!names_it(vec![other(3, 0)]), "SHA2-512 is there, and does not fit");
    assert!(names_it(vec![other(3, 1)]), "of another selector");
    assert!(names_it(vec![other(2, 0)]), "of another usage");
    assert!(names_it(vec![record(3, 0, 2, vec![0; 63])]), "one that cannot be used");
}

#[test]
fn the_order_of_records_does_not_matter() {
    let (a, b) = (record(3, 1, 1, vec![1; 32]), record(2, 0, 1, vec![2; 32]));
    assert_eq!(TlsaSet::new(vec![a.clone(), b.clone()]), TlsaSet::new(vec![b, a]));
}
