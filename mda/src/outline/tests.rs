use super::*;

const MESSAGE: &[u8] =
    b"Received: from here\r\nFrom: alice@example.test\r\nsubject: A\r\n folded one\r\nX-Other: b\r\n\
    Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nHello, Bob\r\n--x--\r\n";

#[test]
fn an_outline_tells_what_the_message_would() {
    let outline = Outline::decode(Outline::of(MESSAGE).encode()).unwrap();
    let structure = Structure::parse(MESSAGE);
    assert_eq!(outline.header_length(), structure.root().header.len() as u64);
    assert_eq!(outline.envelope(), Some(Envelope::parse(MESSAGE)));
    assert_eq!(outline.structure(), Some(structure));
    assert_eq!(outline.preview(), "Hello, Bob");
    let fields = "From: alice@example.test\r\nsubject: A\r\n folded one\r\nContent-Type: multipart/mixed; boundary=x\r\n";
    assert_eq!(outline.fields().unwrap(), fields);
}

#[test]
fn every_field_of_the_envelope_is_known() {
    for name in
        ["Date", "Subject", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "In-Reply-To", "Message-ID"]
    {
        assert!(Outline::knows(name.to_lowercase().as_bytes()), "{name}");
    }
    assert!(!Outline::knows(b"Received"));
}

#[test]
fn what_is_too_large_is_left_to_the_message() {
    let to = "a@example.test,\r\n ".repeat(3_000);
    let outline = Outline::of(format!("To: {to}b@example.test\r\n\r\nHello\r\n").as_bytes());
    assert_eq!(outline.fields(), None);
    assert_eq!(outline.envelope(), None);
    assert!(outline.structure().is_some());

    let parts = "--x\r\nContent-Description: one of very many parts\r\n\r\nHello\r\n".repeat(3_000);
    let many = format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n{parts}--x--\r\n");
    let outline = Outline::of(many.as_bytes());
    assert_eq!(outline.structure(), None);
    assert!(outline.fields().is_some());
    assert!(outline.encode().len() < MAX_FIELDS);
}

#[test]
fn what_clients_are_told_is_made_once_unless_it_is_out_of_proportion() {
    let outline = Outline::of(MESSAGE);
    let told = |text: &'static str| move |_: &Envelope| Bytes::from_static(text.as_bytes());
    assert_eq!(outline.envelope_as(told("one")).unwrap(), "one");
    assert_eq!(outline.clone().envelope_as(told("other")).unwrap(), "one");
    let structure = |octets| outline.structure_as(|_| vec![b'x'; octets].into()).unwrap().len();
    assert_eq!(structure(10_000), 10_000);
    assert_eq!(structure(100), 100);
    assert_eq!(structure(10_000), 100);
    assert!(outline.weight() > MESSAGE.len() + 103);
}
