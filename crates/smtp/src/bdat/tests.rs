use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

/// The content of chunks that arrive in pieces of `piece` octets, or nothing if a CR stands alone.
fn read(chunks: &[&[u8]], piece: usize) -> Option<Vec<u8>> {
    let mut decoder = Decoder::default();
    let mut content = Vec::new();
    for chunk in chunks {
        decoder.begin_chunk(chunk.len() as u64);
        for piece in chunk.chunks(piece) {
            let mut input = BytesMut::from(piece);
            content.extend_from_slice(&decoder.decode(&mut input));
            assert!(input.is_empty());
        }
        assert!(decoder.is_chunk_finished());
    }
    (!decoder.has_bare_cr()).then_some(content)
}

#[test]
fn a_bare_lf_becomes_crlf() {
    assert_eq!(read(&[b"\na\nb\r\nc\n\n.\n"], 100).unwrap(), b"\r\na\r\nb\r\nc\r\n\r\n.\r\n");
}

#[test]
fn a_crlf_may_be_cut_by_chunks() {
    assert_eq!(read(&[b"a\r", b"\nb"], 100).unwrap(), b"a\r\nb");
    assert_eq!(read(&[b"a\r", b"", b"\nb"], 100).unwrap(), b"a\r\nb");
}

#[test]
fn a_bare_cr_is_found_wherever_it_stands() {
    for chunks in [&[&b"a\rb"[..]][..], &[b"a\r", b"b\n"], &[b"a\r"], &[b"\r\r\n"], &[b"a\r", b"\r\n"]] {
        assert_eq!(read(chunks, 100), None, "{chunks:?}");
    }
}

#[test]
fn octets_behind_the_chunk_stay() {
    let mut decoder = Decoder::default();
    decoder.begin_chunk(3);
    let mut input = BytesMut::from(&b"abcQUIT\r\n"[..]);
    assert_eq!(&decoder.decode(&mut input)[..], b"abc");
    assert!(decoder.is_chunk_finished());
    assert_eq!(&input[..], b"QUIT\r\n");
}

/// Octet by octet: what the decoder has to come to.
fn reference(content: &[u8]) -> Option<Vec<u8>> {
    let without_crlf = String::from_utf8(content.to_vec()).unwrap().replace("\r\n", "\n");
    (!without_crlf.contains('\r')).then(|| without_crlf.replace('\n', "\r\n").into_bytes())
}

proptest! {
    #[test]
    fn the_cuts_make_no_difference(content in "[\r\na.]{0,12}", cut in 0..12_usize, piece in 1..5_usize) {
        let content = content.as_bytes();
        let (head, tail) = content.split_at(cut.min(content.len()));
        prop_assert_eq!(read(&[head, tail], piece), reference(content));
    }
}
