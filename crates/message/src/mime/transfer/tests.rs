use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

fn quoted(text: &str) -> String {
    String::from_utf8_lossy(&Decoder::decode(&Encoding::QuotedPrintable, text.as_bytes())).into_owned()
}

fn base64(text: &str) -> String {
    String::from_utf8_lossy(&Decoder::decode(&Encoding::Base64, text.as_bytes())).into_owned()
}

#[test]
fn quoted_printable_by_the_rules() {
    assert_eq!(quoted("a=C3=A9=3D\r\n"), "aé=\r\n");
    assert_eq!(
        quoted("Now's the time =\r\nfor all folk =   \r\n to come"),
        "Now's the time for all folk  to come"
    );
    assert_eq!(quoted("trailing \t \r\nblanks \n end  "), "trailing\r\nblanks\n end");
    assert_eq!(quoted("inner  blanks\r\n"), "inner  blanks\r\n");
    assert_eq!(quoted("soft at the end="), "soft at the end");
}

#[test]
fn broken_quoted_printable_is_taken_as_it_is() {
    assert_eq!(quoted("a=b =zz =4 =e9"), "a=b =zz =4 \u{fffd}");
    assert_eq!(quoted("=\r x"), "=\r x");
    assert_eq!(quoted("= x"), "= x");
}

#[test]
fn base64_by_the_rules_and_beyond() {
    assert_eq!(base64("SGVsbG8g\r\nd29ybGQ=\r\n"), "Hello world");
    assert_eq!(base64("SGVs*bG8!g\0d29y bGQ"), "Hello world");
    assert_eq!(base64("SGk=SGk="), "HiHi");
    assert_eq!(base64("SGVsbA=="), "Hell");
    assert_eq!(base64("S"), "");
    assert_eq!(base64("===="), "");
}

#[test]
fn other_encodings_are_taken_as_they_are() {
    assert_eq!(Decoder::decode(&Encoding::from_name("x-uuencode"), b"=41 "), b"=41 ");
    assert_eq!(Decoder::decode(&Encoding::from_name("8BIT"), b"=41 "), b"=41 ");
}

#[test]
fn what_is_held_back_is_bounded() {
    let mut decoder = Decoder::new(&Encoding::QuotedPrintable);
    let mut output = Vec::new();
    for _ in 0..100_000 {
        decoder.push(&[b' '; 100], &mut output);
    }
    let State::QuotedPrintable { held_back } = &decoder.0 else { panic!("not quoted-printable") };
    assert!(held_back.len() <= MAX_HELD_BACK);
}

proptest! {
    #[test]
    fn cuts_change_nothing(text in "([a-c]|[= \t\r\n]|=[0-9A-F]{2}|[A-Za-z0-9+/]{4}){0,30}", cuts in proptest::collection::vec(0_usize..100, 0..6), base64 in any::<bool>()) {
        let encoding = if base64 { Encoding::Base64 } else { Encoding::QuotedPrintable };
        let text = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.push(text.len());
        cuts.sort_unstable();
        let mut decoder = Decoder::new(&encoding);
        let (mut output, mut start) = (Vec::new(), 0);
        for cut in cuts {
            decoder.push(&text[start..cut], &mut output);
            start = cut;
        }
        decoder.finish(&mut output);
        prop_assert_eq!(output, Decoder::decode(&encoding, text));
    }

    #[test]
    fn base64_reads_back(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(Decoder::decode(&Encoding::Base64, STANDARD.encode(&octets).as_bytes()), octets);
    }

    #[test]
    fn any_octets_decode_to_no_more(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Decoder::decode(&Encoding::QuotedPrintable, &octets).len() <= octets.len());
        prop_assert!(Decoder::decode(&Encoding::Base64, &octets).len() <= octets.len());
    }
}
