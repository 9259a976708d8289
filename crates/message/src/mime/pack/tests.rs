use proptest::prelude::*;

use super::*;
use crate::corpus;

#[test]
fn what_is_packed_is_unpacked_the_same() {
    for (path, message) in corpus::messages() {
        let structure = Structure::parse(&message);
        assert_eq!(Structure::unpack(&structure.pack()), Some(structure), "{}", path.display());
    }
}

#[test]
fn a_message_of_one_part_takes_few_octets() {
    let message = b"Subject: a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n";
    assert!(Structure::parse(message).pack().len() < 32);
}

#[test]
fn another_version_is_not_read() {
    let mut packed = Structure::parse(b"Subject: a\r\n\r\nHello\r\n").pack();
    packed[0] += 1;
    assert_eq!(Structure::unpack(&packed), None);
    assert_eq!(Structure::unpack(&[]), None);
}

#[test]
fn a_part_that_leads_back_is_refused() {
    let message =
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\na\r\n--x\r\n\r\nb\r\n--x--\r\n";
    let mut structure = Structure::parse(message);
    assert_eq!(structure.parts[1].next, Some(2));
    structure.parts[1].next = Some(0);
    assert_eq!(Structure::unpack(&structure.pack()), None);
}

proptest! {
    #[test]
    fn any_octets_are_unpacked_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut packed = vec![VERSION];
        packed.extend(octets);
        let _ = Structure::unpack(&packed);
    }

    #[test]
    fn packed_octets_that_change_are_unpacked_or_refused(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let (_, message) = corpus::messages().swap_remove(0);
        let mut packed = Structure::parse(&message).pack();
        let at = at.index(packed.len());
        packed[at] = octet;
        let _ = Structure::unpack(&packed);
    }
}
