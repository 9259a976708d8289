use proptest::prelude::*;

use super::*;
use crate::mime::{Decoder, Encoding};

/// Encodes in steps.
fn encoded(transfer: Transfer, body: &[u8], step: usize) -> Vec<u8> {
    let (mut encoder, mut output) = (Encoder::new(transfer), Vec::new());
    while encoder.encode(body, step, &mut output) {}
    output
}

#[test]
fn what_could_be_lost_on_the_way_is_escaped() {
    let quoted = |body: &[u8]| String::from_utf8(encoded(Transfer::QuotedPrintable, body, 3)).unwrap();
    assert_eq!(quoted(b"a=b \r\n\tx\t\r\n "), "a=3Db=20\r\n\tx=09\r\n=20");
    assert_eq!(quoted("ä\r\n".as_bytes()), "=C3=A4\r\n");
    assert_eq!(quoted(b"a\nb\rc\0"), "a=0Ab=0Dc=00");
    assert_eq!(quoted(&[b'x'; 76]), format!("{}=\r\nx", "x".repeat(75)));
}

proptest! {
    #[test]
    fn any_octets_come_back_however_they_are_cut(
        body in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b' '), Just(b'a')], 0..400),
        step in 1_usize..200,
    ) {
        for (transfer, encoding) in
            [(Transfer::QuotedPrintable, Encoding::QuotedPrintable), (Transfer::Base64, Encoding::Base64)]
        {
            let encoded = encoded(transfer, &body, step);
            prop_assert_eq!(Decoder::decode(&encoding, &encoded), &body[..]);
            prop_assert!(encoded.is_ascii() && !encoded.contains(&0));
            for line in String::from_utf8(encoded).unwrap().split("\r\n") {
                prop_assert!(line.len() <= 76 && !line.contains(['\r', '\n']), "{:?}", line);
            }
        }
    }
}
