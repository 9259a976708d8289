use proptest::prelude::*;

use super::*;

fn encode(lines: Option<u32>, pieces: &[&[u8]]) -> Vec<u8> {
    let mut encoder = Encoder::new(lines);
    let mut out = Vec::new();
    for piece in pieces {
        encoder.encode(piece, &mut out);
    }
    encoder.finish(&mut out);
    out
}

/// What a client makes of the response: the inverse of [`encode`].
fn decode(response: &[u8]) -> Vec<u8> {
    let text = response.strip_suffix(b".\r\n").expect("the final dot");
    let mut message = Vec::new();
    for line in text.split_inclusive(|&octet| octet == b'\n') {
        assert_ne!(line, b".\r\n", "an early end");
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    message
}

#[test]
fn lines_that_begin_with_a_dot_get_another() {
    assert_eq!(
        encode(None, &[b"A: b\r\n\r\n.\r\n..x\r\na.b\r\n"]),
        b"A: b\r\n\r\n..\r\n...x\r\na.b\r\n.\r\n"
    );
    assert_eq!(encode(None, &[b".x"]), b"..x\r\n.\r\n");
}

#[test]
fn line_ends_become_crlf() {
    assert_eq!(encode(None, &[b"A: b\n\nc\r\nd\n.\n"]), b"A: b\r\n\r\nc\r\nd\r\n..\r\n.\r\n");
    assert_eq!(encode(None, &[b"A: b\r\n\r\nno end"]), b"A: b\r\n\r\nno end\r\n.\r\n");
    assert_eq!(encode(None, &[b"A: b\r\n\r\ncut\r", b"\nx"]), b"A: b\r\n\r\ncut\r\nx\r\n.\r\n");
}

#[test]
fn an_empty_message_is_a_dot() {
    assert_eq!(encode(None, &[]), b".\r\n");
    assert_eq!(encode(Some(3), &[b"\r\n"]), b"\r\n.\r\n");
}

#[test]
fn top_sends_the_header_and_so_many_lines() {
    let message: &[u8] = b"A: b\r\nC: d\r\n\r\none\r\n\r\nthree\r\n";
    assert_eq!(encode(Some(0), &[message]), b"A: b\r\nC: d\r\n\r\n.\r\n");
    assert_eq!(encode(Some(1), &[message]), b"A: b\r\nC: d\r\n\r\none\r\n.\r\n");
    assert_eq!(encode(Some(2), &[message]), b"A: b\r\nC: d\r\n\r\none\r\n\r\n.\r\n");
    assert_eq!(encode(Some(99), &[message]), encode(None, &[message]));
    assert_eq!(encode(Some(0), &[b"A: b\n\nbody"]), b"A: b\r\n\r\n.\r\n");
}

#[test]
fn top_tells_when_nothing_more_is_needed() {
    let mut encoder = Encoder::new(Some(1));
    encoder.encode(b"A: b\r\n\r\none\r\ntw", &mut Vec::new());
    assert!(encoder.is_done());
}

/// Texts in which line ends and dots are frequent.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')];
    proptest::collection::vec(octet, 0..60)
}

proptest! {
    #[test]
    fn cuts_between_pieces_change_nothing(text in texts(), cut: prop::sample::Index, lines in proptest::option::of(0u32..5)) {
        let cut = cut.index(text.len() + 1);
        prop_assert_eq!(encode(lines, &[&text[..cut], &text[cut..]]), encode(lines, &[&text]));
        let octets: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(encode(lines, &octets), encode(lines, &[&text]));
    }

    #[test]
    fn there_is_one_end_and_no_bare_lf(text in texts(), lines in proptest::option::of(0u32..5)) {
        let response = encode(lines, &[&text]);
        decode(&response);
        for at in 0..response.len() {
            prop_assert!(response[at] != b'\n' || (at > 0 && response[at - 1] == b'\r'));
        }
    }

    #[test]
    fn a_message_of_whole_crlf_lines_arrives_unchanged(lines in proptest::collection::vec("[.a]{0,3}", 0..20)) {
        let message: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
        prop_assert_eq!(decode(&encode(None, &[&message])), message);
    }
}
