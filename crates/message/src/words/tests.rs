use proptest::prelude::*;

use super::*;

#[track_caller]
fn reads(value: &str, text: &str) {
    assert_eq!(decode(value.as_bytes()), text, "{value}");
}

/// RFC 2047 §8.
#[test]
fn the_examples_of_the_rfc() {
    reads("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>");
    reads("=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard");
    reads(
        "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n    =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
        "If you can read this you understand the example.",
    );
    reads("(=?ISO-8859-1?Q?a?=)", "(a)");
    reads("(=?ISO-8859-1?Q?a?= b)", "(a b)");
    reads("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)");
    reads("(=?ISO-8859-1?Q?a?=  \r\n  =?ISO-8859-1?Q?b?=)", "(ab)");
    reads("(=?ISO-8859-1?Q?a_b?=)", "(a b)");
    reads("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)");
    reads("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore");
}

#[test]
fn characters_cut_between_words_come_together() {
    reads("=?utf-8?q?=C3?= =?UTF-8?b?qQ==?=", "é");
    reads("=?utf-8?q?=C3?= x =?utf-8?q?=A9?=", "\u{fffd} x \u{fffd}");
    reads("=?iso-2022-jp?b?GyRCJCIbKEI=?=", "あ");
}

#[test]
fn broken_words_stay_or_are_read_as_they_were_meant() {
    for plain in ["=?", "=?utf-8", "=?utf-8?q?x", "=?utf-8?x?y?=", "=??q?x?=", "=?utf-8?q?", "a =? b ?= c"] {
        reads(plain, plain);
    }
    reads("=?utf-8?q?a b?=", "a b");
    reads("=?utf-8?q?trailing_?=", "trailing ");
    reads("x=?utf-8?q?y?=z", "xyz");
    reads("=?utf-8?b?w6k?=", "é");
    reads("=?x-unknown?q?=E9?=", "é");
    reads("=? =?utf-8?q?a?=", "=? a");
    assert_eq!(decode(b"caf\xe9"), "café");
    assert_eq!(decode("café".as_bytes()), "café");
}

#[test]
fn legible_text_decodes_to_the_same() {
    let value = b"caf\xe9 =?iso-8859-1?Q?J\xfcrgen?= =?x =?utf-8?q?=C3=A9?= \xe9";
    assert_eq!(legible(value), "café =?iso-8859-1?Q?J=FCrgen?= =?x =?utf-8?q?=C3=A9?= é");
    assert_eq!(decode(legible(value).as_bytes()), decode(value));
    assert_eq!(legible("é =?".as_bytes()), "é =?");
}

#[test]
fn text_is_encoded_only_if_it_has_to_be() {
    assert_eq!(encode("plain text; \"quoted\""), "plain text; \"quoted\"");
    assert_eq!(encode("café au lait"), "=?utf-8?q?caf=C3=A9_au_lait?=");
    assert_eq!(encode("пример"), "=?utf-8?b?0L/RgNC40LzQtdGA?=");
    assert_eq!(encode("a\r\nBcc: b"), "=?utf-8?q?a=0D=0ABcc=3A_b?=");
    assert_eq!(decode(encode("not =?utf-8?q?a?=").as_bytes()), "not =?utf-8?q?a?=");
}

#[test]
fn bombs_are_read_in_linear_time() {
    for bomb in ["=?", "=?a?q?", "=?a?q?x?=", "=?a?q?x?= ", "?=", "=?utf-8?b?"] {
        assert!(decode(bomb.repeat(100_000).as_bytes()).len() <= bomb.len() * 100_000, "{bomb}");
    }
}

proptest! {
    #[test]
    fn any_octets_are_text(value in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(decode(&value).len() <= value.len() * 3);
        prop_assert!(legible(&value).len() <= value.len() * 3);
    }

    #[test]
    fn pieces_of_words_are_text(value in "(=\\?|utf-8|\\?[qb]\\?|\\?=|[a= ]|=C3=A9){0,12}") {
        prop_assert!(decode(value.as_bytes()).len() <= value.len() * 3);
    }

    #[test]
    fn what_is_encoded_reads_back(text in "\\PC{0,120}|[a-zé例 =?\r\n_]{0,120}") {
        let encoded = encode(&text);
        prop_assert!(encoded.is_ascii());
        prop_assert!(encoded.len() < 78 || encoded.split("\r\n").all(|line| line.len() <= 76 || matches!(encoded, Cow::Borrowed(_))));
        match &encoded {
            Cow::Borrowed(_) => prop_assert_eq!(decode(encoded.as_bytes()), text.trim_ascii()),
            Cow::Owned(_) => prop_assert_eq!(decode(encoded.as_bytes()), text),
        }
    }
}
