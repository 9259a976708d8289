use proptest::prelude::*;

use super::*;

fn normal(pieces: &[&[u8]]) -> Vec<u8> {
    let mut lines = LineEnds::default();
    let mut octets = Vec::new();
    for piece in pieces {
        lines.push(piece, &mut octets);
    }
    lines.end(&mut octets);
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
    fn what_is_left_as_it_is_needs_no_change(before in "[a\r\n]{0,3}", given in "[a\r\n]{0,8}") {
        let mut lines = LineEnds::default();
        lines.push(before.as_bytes(), &mut Vec::new());
        let leaves = lines.leaves(given.as_bytes());
        let mut pushed = Vec::new();
        lines.push(given.as_bytes(), &mut pushed);
        prop_assert_eq!(leaves, pushed == given.as_bytes() && lines == LineEnds::default());
    }

    #[test]
    fn pieces_make_no_difference(given in "[a\r\n]{0,24}", cut in 0_usize..24) {
        let (one, other) = given.as_bytes().split_at(cut.min(given.len()));
        prop_assert_eq!(normal(&[one, other]), normal(&[given.as_bytes()]));
    }
}
