use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

/// What a message comes to.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// Its end was not seen.
    Unfinished,
    /// It holds a bare CR or LF; so many octets are behind its end.
    Refused { behind: usize },
    /// Its content, and how many octets are behind its end.
    Whole { content: Vec<u8>, behind: usize },
}

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut decoder = Decoder::default();
    let mut content = Vec::new();
    let mut input = BytesMut::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        content.extend_from_slice(&decoder.decode(&mut input));
        assert!(decoder.is_finished() || input.is_empty(), "octets of the message were left");
    }
    match (decoder.is_finished(), decoder.has_bare_line_end()) {
        (false, _) => Read::Unfinished,
        (true, true) => Read::Refused { behind: input.len() },
        (true, false) => Read::Whole { content, behind: input.len() },
    }
}

/// The same by the words of RFC 5321 §4.5.2 and nothing else.
fn reference(message: &[u8]) -> Read {
    let framed = [b"\r\n", message].concat();
    let Some(end) = framed.windows(5).position(|octets| octets == b"\r\n.\r\n") else {
        return Read::Unfinished;
    };
    let behind = framed.len() - end - 5;
    let content = &framed[2..(end + 2).max(2)];
    let lines: Vec<&[u8]> = split_lines(content);
    if lines.iter().any(|line| line.contains(&b'\r') || line.contains(&b'\n')) {
        return Read::Refused { behind };
    }
    let unstuffed: Vec<&[u8]> = lines.iter().map(|line| line.strip_prefix(b".").unwrap_or(line)).collect();
    Read::Whole { content: unstuffed.join(&b"\r\n"[..]), behind }
}

/// The parts between CRLFs.
fn split_lines(content: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = content;
    while let Some(end) = rest.windows(2).position(|octets| octets == b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    lines
}

/// Every sequence of CR, LF, dot and a letter, up to `length` octets.
fn sequences(length: u32) -> impl Iterator<Item = Vec<u8>> {
    (0..=length).flat_map(|length| {
        (0..4_usize.pow(length))
            .map(move |number| (0..length).map(|digit| b"\r\n.a"[number / 4_usize.pow(digit) % 4]).collect())
    })
}

#[test]
fn only_crlf_dot_crlf_ends_a_message_however_it_is_cut() {
    for sequence in sequences(7) {
        // Alone, and with a true end and a command behind it.
        for message in [sequence.clone(), [&sequence[..], b"\r\n.\r\nQ"].concat()] {
            let expected = reference(&message);
            assert_eq!(decode([&message[..]]), expected, "{:?}", message.escape_ascii().to_string());
            assert_eq!(decode(message.chunks(1)), expected, "{:?}", message.escape_ascii().to_string());
            for cut in 1..message.len() {
                let (head, tail) = message.split_at(cut);
                assert_eq!(
                    decode([head, tail]),
                    expected,
                    "{:?} at {cut}",
                    message.escape_ascii().to_string()
                );
            }
        }
    }
}

#[test]
fn a_dot_at_once_is_an_empty_message() {
    assert_eq!(decode([&b".\r\n"[..]]), Read::Whole { content: vec![], behind: 0 });
}

#[test]
fn crlf_dot_cr_crlf_does_not_end_a_message() {
    assert_eq!(decode([&b"a\r\n.\r\r\n"[..]]), Read::Unfinished);
    assert_eq!(decode([&b"a\r\n.\r\r\n.\r\nQUIT\r\n"[..]]), Read::Refused { behind: 6 });
}

#[test]
fn the_ends_that_others_took_for_one_are_none() {
    for smuggled in ["\n.\n", "\n.\r\n", "\r.\r", "\r.\r\n", "\r\n.\n", "\r\n.\r", "\r\n\0.\r\n"] {
        let message = format!("a{smuggled}MAIL FROM:<b@example.test>");
        assert_eq!(decode([message.as_bytes()]), Read::Unfinished, "{smuggled:?}");
    }
}

#[test]
fn a_message_without_stuffing_is_passed_on_without_a_copy() {
    let mut input = BytesMut::from(&b"a line\r\nanother\r\n.\r\n"[..]);
    let start = input.as_ptr();
    let content = Decoder::default().decode(&mut input);
    assert_eq!(&content[..], b"a line\r\nanother\r\n");
    assert_eq!(content.as_ptr(), start);
}

fn encode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> BytesMut {
    let mut encoder = Encoder::default();
    let mut output = BytesMut::new();
    for piece in pieces {
        encoder.encode(piece, &mut output);
    }
    encoder.finish(&mut output);
    output
}

#[test]
fn dots_are_stuffed_and_the_last_line_is_ended() {
    for (content, encoded) in [
        ("", ".\r\n"),
        (".", "..\r\n.\r\n"),
        ("a", "a\r\n.\r\n"),
        ("a\r\n", "a\r\n.\r\n"),
        ("a\r\n.b\r\n..c", "a\r\n..b\r\n...c\r\n.\r\n"),
        ("a.\r\n.", "a.\r\n..\r\n.\r\n"),
    ] {
        assert_eq!(encode([content.as_bytes()]), encoded.as_bytes(), "{content:?}");
    }
}

#[test]
fn no_bare_line_end_is_ever_sent() {
    for sequence in sequences(6) {
        let encoded = encode([&sequence[..]]);
        assert_eq!(encode(sequence.chunks(1)), encoded, "{:?}", sequence.escape_ascii().to_string());
        assert!(
            matches!(decode([&encoded[..]]), Read::Whole { behind: 0, .. }),
            "{:?}",
            sequence.escape_ascii().to_string()
        );
    }
}

/// Lines as mail has them, with more dots.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let octet =
        prop_oneof![3 => Just(b'.'), 5 => any::<u8>().prop_filter("line end", |b| !b"\r\n".contains(b))];
    let line = prop::collection::vec(octet, 0..20);
    prop::collection::vec(line, 0..10)
        .prop_map(|lines| lines.iter().flat_map(|line| line.iter().copied().chain(*b"\r\n")).collect())
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(content in content(), out in 1..50_usize, back in 1..50_usize) {
        let encoded = encode(content.chunks(out));
        prop_assert_eq!(decode(encoded.chunks(back)), Read::Whole { content, behind: 0 });
    }
}
