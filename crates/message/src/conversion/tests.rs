use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::corpus;
use crate::mime::{Body, Decoder, Part, Structure};

fn convert(message: &[u8], target: Target) -> Result<Vec<u8>, ConversionError> {
    Plan::new(message, target).map(|plan| plan.pieces(message).flatten().collect())
}

/// Lines of `text` are joined by CRLF.
fn lines(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn seven_bit(text: &str) -> String {
    let converted = convert(&lines(text), Target::SevenBit).unwrap();
    assert!(!Target::SevenBit.objects(&converted), "{}", String::from_utf8_lossy(&converted));
    String::from_utf8(converted).unwrap().replace("\r\n", "\n")
}

#[test]
fn a_text_becomes_quoted_printable() {
    let converted = seven_bit(
        "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\
         Größe = 5 \nund mehr, das hier steht\n",
    );
    assert_eq!(
        converted,
        "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: quoted-printable\n\nGr=C3=B6=C3=9Fe =3D 5=20\nund mehr, das hier steht\n"
    );
}

#[test]
fn each_part_is_encoded_for_itself_and_the_rest_stays() {
    let converted = seven_bit(concat!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n",
        "für niemanden\n",
        "--b\n\nplain\n",
        "--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nlegible: ä\n",
        "--b\nContent-Type: image/x; name=\"bildä.x\"\nContent-Transfer-Encoding: binary\n\näää\n",
        "--b\nContent-Type: text/x; charset=utf-8\n\nääää\n",
        "--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n",
        "Subject: inner\nContent-Type: text/html; charset=utf-8\n\n<p>ein ganz langes ö</p>\n",
        "--b--\nende\n",
    ));
    assert_eq!(
        converted,
        concat!(
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\n",
            "f??r niemanden\n",
            "--b\n\nplain\n",
            "--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n",
            "legible: =C3=A4\n",
            "--b\nContent-Type: image/x;\n name*=utf-8''bild%C3%A4.x\nContent-Transfer-Encoding: base64\n\n",
            "w6TDpMOk\n\n",
            "--b\nContent-Type: text/x; charset=utf-8\nContent-Transfer-Encoding: base64\n\nw6TDpMOkw6Q=\n\n",
            "--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\n",
            "Subject: inner\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n",
            "<p>ein ganz langes =C3=B6</p>\n",
            "--b--\nende\n",
        )
    );
}

#[test]
fn a_message_that_can_go_as_it_is_does() {
    let message = lines("Content-Transfer-Encoding: 8bit\n\nplain\n");
    let plan = Plan::new(&message, Target::SevenBit).unwrap();
    assert!(plan.is_identity());
    assert_eq!(plan.pieces(&message).flatten().collect::<Vec<u8>>(), message);
    assert!(Plan::new(&lines("\n\nä\n"), Target::EightBit).unwrap().is_identity());
    assert!(!Plan::new(&lines("\n\nä\n"), Target::SevenBit).unwrap().is_identity());
}

#[test]
fn a_message_without_mime_gets_it() {
    assert_eq!(
        seven_bit("Subject: x\n\ndas ist für alle\n"),
        "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: quoted-printable\n\ndas ist f=C3=BCr alle\n"
    );
    let latin = convert(b"Subject: x\r\n\r\nlatin \xe4 and more of it\r\n", Target::SevenBit).unwrap();
    assert!(String::from_utf8(latin).unwrap().contains("charset=unknown-8bit\r\n"));
}

#[test]
fn what_is_signed_is_not_touched() {
    let signed = |content: &str| {
        format!(
            "Content-Type: multipart/signed; boundary=s\nContent-Transfer-Encoding: 8bit\n\n--s\n\
             Content-Transfer-Encoding: 8bit\n\n{content}\n--s\nContent-Type: application/pgp-signature\n\nsig\n--s--\n"
        )
    };
    assert_eq!(convert(&lines(&signed("ä")), Target::SevenBit), Err(ConversionError::Signed));
    // Beside a part that has to be encoded, one that is signed stays to the octet.
    let outer = format!(
        "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: text/plain\n\nganz viel ö\n--o\n{}\n--o--\n",
        signed("plain")
    );
    let converted = seven_bit(&outer);
    let expected = signed("plain").replacen("8bit", "7bit", 1);
    assert!(converted.contains(&expected), "{converted}");
}

#[test]
fn what_cannot_be_encoded_without_harm_is_refused() {
    for message in [
        // Composite, and not to be told apart.
        "Content-Type: multipart/mixed; boundary=b\n\nno parts, but ä\n",
        "Content-Type: multipart/mixed\n\nno boundary, but ä\n",
        "Content-Type: multipart/mixed; boundary=\"ä\"\n\n--ä\n\nx\n--ä--\n",
        // RFC 2046 §5.2.2.1.
        "Content-Type: message/partial; id=1\n\nä\n",
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nä\n",
        "Content-Transfer-Encoding: x-own\n\nä\n",
        "Subject: \0\n\nx\n",
    ] {
        assert_eq!(convert(&lines(message), Target::SevenBit), Err(ConversionError::Structure), "{message}");
    }
    let address = ConversionError::Address("To".into());
    assert_eq!(convert(&lines("To: <ä@example.test>\n\nx\n"), Target::SevenBit), Err(address));
}

#[test]
fn an_internationalised_message_goes_as_a_whole() {
    let converted = seven_bit(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/global\n\nFrom: ä@example.test\n\nö\n--b--\n",
    );
    assert!(
        converted.contains("Content-Type: message/global\nContent-Transfer-Encoding: base64\n\n"),
        "{converted}"
    );
    assert!(!converted.contains("From: "), "{converted}");
}

#[test]
fn fields_that_are_not_ascii_get_the_form_that_there_is() {
    let converted = seven_bit(concat!(
        "Received: from größe.test\n by us\n",
        "From: Jürgen Größe <j@größe.test>, \"Plain, Name\" <p@example.test>\n",
        "To: Gruppe ö: <a@example.test>;\n",
        "Subject: ein =?utf-8?q?sch=C3=B6ner?= gruß\n",
        "X-Other: größer\n",
        "Content-Disposition: attachment; filename=\"a b.txt\"; x=ü\n",
        "\nx\n"
    ));
    assert_eq!(
        converted,
        concat!(
            "Received: from gr????e.test\n by us\n",
            "From: =?utf-8?b?SsO8cmdlbiBHcsO2w59l?= <j@xn--gre-6ka8i.test>,\n \"Plain, Name\" <p@example.test>\n",
            "To: =?utf-8?q?Gruppe_=C3=B6?=:\n <a@example.test>;\n",
            "Subject: =?utf-8?q?ein_sch=C3=B6ner_gru=C3=9F?=\n",
            "X-Other: =?utf-8?b?Z3LDtsOfZXI=?=\n",
            "Content-Disposition: attachment;\n filename=\"a b.txt\";\n x*=utf-8''%C3%BC\n",
            "\nx\n"
        )
    );
}

#[test]
fn no_lone_cr_comes_of_a_fold_or_a_control_in_a_quoted_name() {
    let converted =
        seven_bit("To: ö <a@example.test>, \"Doe,\\\n Jane\u{1}\" <j@example.test>, \"b\\\n c\"@@\n\nx\n");
    assert!(converted.contains("\n \"Doe, Jane\" <j@example.test>,\n"), "{converted}");
    assert!(!converted.contains('\r'), "{converted}");
}

#[test]
fn long_names_are_continued() {
    let converted = seven_bit(&format!("Content-Type: image/x; name=\"{}\"\n\nx\n", "ä".repeat(60)));
    assert!(converted.contains("name*0*=utf-8''%C3") && converted.contains(";\n name*1*=%"), "{converted}");
    assert!(converted.lines().all(|line| line.len() <= 76), "{converted}");
    let structure = Structure::parse(&lines(&converted));
    let name = crate::parameters::find(&structure.root().parameters, "name");
    assert_eq!(name, Some(&*"ä".repeat(60)));
}

#[test]
fn content_that_breaks_its_encoding_is_encoded_again() {
    let converted = seven_bit("Content-Transfer-Encoding: quoted-printable\n\nraw ä and =C3=A4 together\n");
    assert!(converted.ends_with("\n\nraw =C3=A4 and =C3=A4 together\n"), "{converted}");
    let converted = seven_bit("Content-Transfer-Encoding: base64\n\nSGVsäbG8=\n");
    assert!(converted.ends_with("\n\nSGVsbG8=\n"), "{converted}");
}

#[test]
fn binary_content_becomes_lines() {
    let message = [
        &lines("Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: binary\n\n--b\n")[..],
        b"Content-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\rc\0\xff",
        &lines(
            "\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: binary\n\nä\n--b--\n",
        ),
    ]
    .concat();
    let converted = convert(&message, Target::EightBit).unwrap();
    assert!(!Target::EightBit.objects(&converted));
    let text = String::from_utf8(converted).unwrap();
    assert!(text.contains("Content-Transfer-Encoding: base64\r\n\r\nYQpiDWMA/w==\r\n"), "{text}");
    // What is only called binary is called what it is.
    assert!(text.contains("Content-Transfer-Encoding: 8bit\r\n\r\nä\r\n"), "{text}");
    assert!(
        text.starts_with("Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n")
    );
}

/// Contents of the leaves, decoded, with their types.
fn contents(message: &[u8]) -> Vec<(String, Vec<u8>)> {
    let structure = Structure::parse(message);
    let leaf = |part: &&Part| matches!(part.content, Body::Leaf);
    let content = |part: &Part| {
        let octets = Decoder::decode(&part.encoding, &message[part.body.clone()]);
        (format!("{}/{}", part.media_type, part.subtype), octets)
    };
    structure.parts().iter().filter(leaf).map(content).collect()
}

#[test]
fn real_messages_hold_the_same_afterwards() {
    let mut converted_some = 0;
    for (path, message) in corpus::messages() {
        for target in [Target::SevenBit, Target::EightBit] {
            let Ok(plan) = Plan::new(&message, target) else { continue };
            converted_some += usize::from(!plan.is_identity());
            let pieces: Vec<Vec<u8>> = plan.pieces(&message).collect();
            assert!(pieces.iter().all(|piece| piece.len() < 150_000));
            let converted = pieces.concat();
            assert_eq!(contents(&message), contents(&converted), "{}", path.display());
        }
    }
    assert!(converted_some > 15, "{converted_some}");
}

proptest! {
    #[test]
    fn whatever_can_be_converted_is_and_holds_the_same(
        parts in proptest::collection::vec(
            ("(Content-Type: (text/plain|image/x|multipart/mixed; boundary=b|message/rfc822)\r\n)?", "(Content-Transfer-Encoding: (8bit|7bit|binary)\r\n)?", "[a-cä\0 =\t]{0,30}(\r\n|\n|\r)?[aä.]{0,5}"),
            0..5,
        ),
        eight_bit: bool,
    ) {
        let mut message = String::from("Content-Type: multipart/mixed; boundary=a\r\n\r\n");
        for (kind, encoding, body) in parts {
            let _ = write!(message, "--a\r\n{kind}{encoding}\r\n{body}\r\n");
        }
        message.push_str("--a--\r\n");
        let target = if eight_bit { Target::EightBit } else { Target::SevenBit };
        if let Ok(converted) = convert(message.as_bytes(), target) {
            prop_assert!(!target.objects(&converted), "{:?}", String::from_utf8_lossy(&converted));
            prop_assert_eq!(contents(message.as_bytes()), contents(&converted));
        }
    }

    #[test]
    fn no_octets_make_it_panic(message in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'-'), Just(b':')], 0..300)) {
        let _ = convert(&message, Target::SevenBit);
        let _ = convert(&message, Target::EightBit);
    }
}
