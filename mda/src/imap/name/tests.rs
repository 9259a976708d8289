use proptest::prelude::*;

use super::*;

#[test]
fn examples_of_rfc_3501() {
    for (encoded, decoded) in [
        ("INBOX", "INBOX"),
        ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        ("Entw&APw-rfe", "Entwürfe"),
        ("&2D3eCg-", "😊"),
        ("this &- that", "this & that"),
    ] {
        assert_eq!(Encoding::ModifiedUtf7.decode(encoded.as_bytes()).unwrap(), decoded);
        assert_eq!(Encoding::ModifiedUtf7.encode(decoded), encoded);
    }
}

#[test]
fn what_is_not_modified_utf7_is_refused() {
    // No end; not base64; half a character; half a surrogate pair; a letter and a slash that could stand plainly.
    for bad in ["&", "&Jjo", "&Jjo!", "&AA-", "&2D0-", "&AGE-", "&AC8-", "&////-"] {
        assert!(Encoding::ModifiedUtf7.decode(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(Encoding::Utf8.decode(b"\xff").is_err());
    assert!(Encoding::ModifiedUtf7.decode(b"\xff").is_err());
}

#[test]
fn utf8_is_as_it_is() {
    assert_eq!(Encoding::Utf8.decode("a&b/é".as_bytes()).unwrap(), "a&b/é");
    assert_eq!(Encoding::Utf8.encode("a&b/é"), "a&b/é");
}

proptest! {
    #[test]
    fn what_was_encoded_is_ascii_and_decodes(name in "\\PC{0,40}") {
        let encoded = Encoding::ModifiedUtf7.encode(&name);
        prop_assert!(encoded.is_ascii());
        prop_assert_eq!(Encoding::ModifiedUtf7.decode(encoded.as_bytes()).unwrap(), name);
    }

    #[test]
    fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Encoding::ModifiedUtf7.decode(&octets);
    }
}
