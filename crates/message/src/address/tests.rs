use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn addresses_are_printed_as_written() {
    for text in [
        "bob@example.test",
        "Bob.Smith+tag@EXAMPLE.test",
        "!#$%&'*+-/=?^_`{|}~@a.b",
        "postmaster@localhost",
        r#""bob@home"@example.test"#,
        r#""a \"quoted\" \\ one"@example.test"#,
        r#"""@example.test"#,
        "bob@[192.0.2.1]",
        "bob@[IPv6:2001:db8::1]",
        "用户@例子.广告",
        "bob@xn--fsqu00a.xn--4rr70v",
        "bob@r3---sn-x.example",
    ] {
        assert_eq!(address(text).to_string(), text);
    }
}

#[test]
fn malformed_addresses_are_refused_by_rule() {
    use AddressError as E;
    for (text, error) in [
        ("", E::NoAt),
        ("bob", E::NoAt),
        ("@example.test", E::LocalPart),
        (".bob@example.test", E::LocalPart),
        ("bob.@example.test", E::LocalPart),
        ("b..ob@example.test", E::LocalPart),
        ("b ob@example.test", E::LocalPart),
        ("bob\r\n@example.test", E::LocalPart),
        ("<bob@example.test", E::LocalPart),
        ("a@b@example.test", E::LocalPart),
        ("\"bob@example.test", E::LocalPart),
        ("\"@example.test", E::LocalPart),
        ("\"bob\\\"@example.test", E::LocalPart),
        ("\"b\"ob\"@example.test", E::LocalPart),
        ("\"b\nob\"@example.test", E::LocalPart),
        ("b\u{85}ob@example.test", E::LocalPart),
        ("bob@", E::Domain),
        ("bob@example..test", E::Domain),
        ("bob@.example.test", E::Domain),
        ("bob@example.test.", E::Domain),
        ("bob@-example.test", E::Domain),
        ("bob@example-.test", E::Domain),
        ("bob@exam ple.test", E::Domain),
        ("bob@example.test>", E::Domain),
        ("bob@exa_mple.test", E::Domain),
        ("bob@例子 .test", E::Domain),
        ("bob@[192.0.2.256]", E::AddressLiteral),
        ("bob@[192.0.2.1", E::AddressLiteral),
        ("bob@[2001:db8::1]", E::AddressLiteral),
        ("bob@[IPv6:192.0.2.1]", E::AddressLiteral),
        ("bob@[x-tag:thing]", E::AddressLiteral),
        ("bob@[é]", E::AddressLiteral),
        ("bob@[ééé]", E::AddressLiteral),
    ] {
        assert_eq!(Address::parse(text), Err(error), "{text:?}");
    }
}

/// RFC 5321 §4.5.3.1: each limit holds at the limit and fails one above it.
#[test]
fn lengths_are_limited() {
    let local = "l".repeat(64);
    assert!(Address::parse(&format!("{local}@example.test")).is_ok());
    assert_eq!(Address::parse(&format!("{local}l@example.test")), Err(AddressError::LocalPartTooLong));

    let label = "d".repeat(63);
    assert!(Address::parse(&format!("b@{label}.test")).is_ok());
    assert_eq!(Address::parse(&format!("b@{label}d.test")), Err(AddressError::Domain));

    let domain = format!("{label}.{label}.{label}.{label}");
    assert_eq!(domain.len(), 255);
    assert!(Domain::parse(&domain).is_ok());
    assert_eq!(Domain::parse(&format!("{domain}.")), Err(AddressError::DomainTooLong));

    let domain = format!("{label}.{label}.{}", "d".repeat(254 - 65 - 128));
    assert!(Address::parse(&format!("{local}@{domain}")).is_ok());
    assert_eq!(Address::parse(&format!("{local}@{domain}d")), Err(AddressError::TooLong));
}

#[test]
fn quoted_local_parts_compare_by_meaning() {
    assert_eq!(address(r#""bob"@example.test"#), address("bob@example.test"));
    assert_eq!(address(r#""b\ob"@example.test"#), address("bob@EXAMPLE.TEST"));
    assert_ne!(address("Bob@example.test"), address("bob@example.test"));
    assert_eq!(address(r#""b o\"b"@x.test"#).local_part().unquoted(), "b o\"b");

    let set: HashSet<Address> =
        [r#""bob"@example.test"#, "bob@Example.Test", "bob@example.test"].map(address).into();
    assert_eq!(set.len(), 1);
}

#[test]
fn the_key_folds_case_and_labels() {
    assert_eq!(address("Bob@EXAMPLE.test").key(), "bob@example.test");
    assert_eq!(address(r#""Bob"@example.test"#).key(), "bob@example.test");
    assert_eq!(address("BÜCHER@bücher.example").key(), "bücher@xn--bcher-kva.example");
    assert_eq!(address("bob@BÜCHER.example"), address("bob@XN--BCHER-KVA.example"));
    assert_eq!(address("bob@[ipv6:2001:DB8:0::1]").key(), "bob@[IPv6:2001:db8::1]");
}

#[test]
fn an_ascii_form_exists_if_the_local_part_allows_it() {
    assert!(!address("bob@bücher.example").is_ascii());
    assert_eq!(
        address("bob@bücher.example").to_ascii().map(|a| a.to_string()),
        Some("bob@xn--bcher-kva.example".into())
    );
    assert_eq!(address("bücher@example.test").to_ascii(), None);
    assert_eq!(
        address("Bob@Example.test").to_ascii().map(|a| a.to_string()),
        Some("Bob@Example.test".into())
    );
}

#[test]
fn literals_give_their_address() {
    assert_eq!(address("bob@[192.0.2.1]").domain().ip(), Some([192, 0, 2, 1].into()));
    assert_eq!(address("bob@192.0.2.1").domain().ip(), None);
    for ip in ["192.0.2.1", "2001:db8::1"] {
        let ip: IpAddr = ip.parse().expect("an address");
        let domain = Domain::from(ip);
        assert_eq!(Domain::parse(domain.as_str()).map(|d| d.ip()), Ok(Some(ip)));
    }
}

#[test]
fn empty_text_is_the_null_reverse_path() {
    assert_eq!(ReversePath::parse(""), Ok(ReversePath::Null));
    assert!(ReversePath::Null.is_null());
    assert_eq!(ReversePath::Null.to_string(), "");
    let path = ReversePath::parse("bob@example.test").expect("an address");
    assert_eq!(path.address(), Some(&address("bob@example.test")));
    assert_eq!(path.to_string(), "bob@example.test");
    assert!(ReversePath::parse("bob").is_err());
}

proptest! {
    #[test]
    fn any_text_is_an_address_that_reads_back_or_an_error(text in r#"[a-zA-Z".\\@ é例<>\[\]:0-9-]{0,40}|\PC{0,40}"#) {
        if let Ok(parsed) = Address::parse(&text) {
            prop_assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn whatever_is_quoted_means_itself(content in "[ -~é例]{0,20}") {
        let local_part = LocalPart::from_unquoted(&content).expect("short and printable");
        prop_assert_eq!(local_part.unquoted(), content.as_str());
        prop_assert_eq!(&LocalPart::parse(local_part.as_str()).expect("its own form"), &local_part);
    }
}
