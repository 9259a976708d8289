use proptest::prelude::*;

use super::*;

fn id() -> MessageId {
    MessageId::parse("017f22e2-79b0-7cc3-98c4-dc0c0c07398f").expect("an id")
}

fn received<'a>() -> Received<'a> {
    Received {
        helo: "client.example.test",
        client: Some([192, 0, 2, 1].into()),
        by: "mx.example.test",
        protocol: Protocol::Esmtp { utf8: false, tls: true, authenticated: false },
        tls: Some("TLSv1.3 TLS_AES_256_GCM_SHA384"),
        id: id(),
        only_recipient: None,
        at: Timestamp::from_second(1_600_000_000).expect("a time"),
    }
}

#[test]
fn the_field_tells_how_the_message_came() {
    assert_eq!(
        received().to_string(),
        "Received: from client.example.test ([192.0.2.1]) by mx.example.test\r\n \
         with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n \
         id 017f22e2-79b0-7cc3-98c4-dc0c0c07398f; Sun, 13 Sep 2020 12:26:40 +0000\r\n"
    );
    let bob: Address = "bob@example.test".parse().expect("an address");
    let field = Received { only_recipient: Some(&bob), client: None, tls: None, ..received() }.to_string();
    assert_eq!(
        field,
        "Received: from client.example.test by mx.example.test with ESMTPS\r\n \
         id 017f22e2-79b0-7cc3-98c4-dc0c0c07398f for <bob@example.test>;\r\n \
         Sun, 13 Sep 2020 12:26:40 +0000\r\n"
    );
}

#[test]
fn protocols_have_their_registered_names() {
    let name = |utf8, tls, authenticated| Protocol::Esmtp { utf8, tls, authenticated }.to_string();
    assert_eq!(name(false, false, false), "ESMTP");
    assert_eq!(name(false, false, true), "ESMTPA");
    assert_eq!(name(false, true, true), "ESMTPSA");
    assert_eq!(name(true, false, false), "UTF8SMTP");
    assert_eq!(name(true, true, true), "UTF8SMTPSA");
    assert_eq!(Protocol::Smtp.to_string(), "SMTP");
}

#[test]
fn a_name_that_is_no_domain_cannot_forge_anything() {
    let from = |helo| Received { helo, ..received() }.client_domain();
    assert_eq!(from("[192.0.2.7]"), "[192.0.2.7]");
    assert_eq!(from("bücher.example"), "xn--bcher-kva.example");
    assert_eq!(from("x) by evil\r\nX: y"), "x??by?evil??X??y");
    assert_eq!(from("my_host"), "my_host");
    assert_eq!(from(""), "unknown");
}

#[test]
fn hops_are_counted_in_the_header_alone() {
    assert_eq!(hops(b"Received: a\r\nX-Received: b\r\nRECEIVED: c\r\n d\r\n\r\nReceived: e\r\n"), 2);
    let block = "Received: x\r\n".repeat(MAX_HOPS);
    assert_eq!(hops(block.as_bytes()), MAX_HOPS);
}

proptest! {
    #[test]
    fn whatever_the_client_says_it_is_one_well_formed_field(helo in "\\PC{0,300}|[\\x00-\\x7f]{0,300}", tls in "[\\x00-\\x7f]{0,60}") {
        let text = Received { helo: &helo, tls: Some(&tls), ..received() }.to_string();
        let fields: Vec<_> = header::fields(text.as_bytes()).collect();
        prop_assert_eq!(fields.len(), 1);
        prop_assert!(fields[0].is("Received") && fields[0].is_well_formed());
        prop_assert_eq!(fields[0].raw.len(), text.len());
        let value = fields[0].unfolded();
        let date = value.rsplit(|byte| *byte == b';').next().and_then(DateTime::parse);
        prop_assert_eq!(date.map(|date| date.timestamp()), Some(received().at));
        prop_assert!(text.lines().all(|line| line.len() <= 998));
        prop_assert!(helo.len() > 40 || tls.len() > 40 || text.lines().all(|line| line.len() <= 78));
    }
}

proptest! {
    #[test]
    fn hops_are_counted_alike_however_a_message_is_cut(
        lines in prop::collection::vec("(Received|received ?|Receive|xReceived|\\tReceived|From a|Subject|)(:|)( by a|)\r?\n?", 0..12),
        sizes in prop::collection::vec(1..9_usize, 1..9),
    ) {
        let message = lines.concat();
        let mut counter = HopCounter::default();
        let mut rest = message.as_bytes();
        for size in sizes.iter().cycle() {
            let (piece, behind) = rest.split_at(rest.len().min(*size));
            counter.push(piece);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(counter.hops(), hops(message.as_bytes()), "{:?}", message);
    }
}
