use proptest::prelude::*;

use super::*;

fn normal(pieces: &[&[u8]]) -> Vec<u8> {
    let mut lines = LineEnds::default();
    let mut octets = Vec::new();
    for piece in pieces {
        octets.extend_from_slice(&lines.normalise(Bytes::copy_from_slice(piece)));
    }
    octets.extend_from_slice(&lines.end());
    octets
}

#[test]
fn every_line_ends_in_crlf() {
    for (given, expected) in [
        ("a\r\nb\r\n", "a\r\nb\r\n"),
        ("a\nb\n", "a\r\nb\r\n"),
        ("a\rb\r", "a\r\nb\r\n"),
        ("\r\r\n\n", "\r\n\r\n\r\n"),
        ("a", "a"),
        ("", ""),
    ] {
        assert_eq!(normal(&[given.as_bytes()]), expected.as_bytes(), "{given:?}");
    }
}

proptest! {
    #[test]
    fn pieces_make_no_difference(given in "[a\r\n]{0,24}", cut in 0_usize..24) {
        let (one, other) = given.as_bytes().split_at(cut.min(given.len()));
        prop_assert_eq!(normal(&[one, other]), normal(&[given.as_bytes()]));
    }
}
