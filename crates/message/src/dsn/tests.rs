use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::envelope::Envelope;
use crate::header;
use crate::lines::LineChecker;
use crate::mime::{Decoder, Section, Structure};

static TO: LazyLock<Address> = LazyLock::new(|| "alice@example.test".parse().expect("an address"));

const ORIGINAL: &str = "From: alice@example.test\r\nSubject: caf=?utf-8?q?=C3=A9?=\r\n\r\nHello\r\n";

fn recipient<'a>() -> Recipient<'a> {
    Recipient {
        address: "bob@remote.test",
        original: "rfc822;Bob@Remote.test",
        action: Action::Failed,
        status: "5.1.1",
        remote_mta: Some("mx.remote.test"),
        diagnostic: Some("550 5.1.1 <bob@remote.test>: no such user\nsee https://remote.test/help"),
        last_attempt: Some(Timestamp::from_second(1_600_000_100).expect("a time")),
        will_retry_until: None,
        expired: false,
    }
}

/// Builds a report about these recipients, changed as the test wants.
fn build<'a>(recipients: &'a [Recipient<'a>], change: impl FnOnce(&mut Report<'a>)) -> Built {
    let mut report = Report {
        id: "017f22e2-79b0-7cc3-98c4-dc0c0c07398f".parse().expect("an id"),
        at: Timestamp::from_second(1_600_000_200).expect("a time"),
        reporting_mta: "mx.example.test",
        to: &TO,
        recipients,
        original_id: "017f22e2-79b0-7cc3-98c4-000000000000".parse().expect("an id"),
        envelope_id: "QQ314159",
        arrived_at: Timestamp::from_second(1_600_000_000).expect("a time"),
        subject: Some("café"),
        message_id: Some("<m@example.test>"),
        returned: Returned::Message,
        smtputf8: false,
        eight_bit: false,
    };
    change(&mut report);
    report.build()
}

/// The report with the original in it, as it is sent.
fn whole(built: &Built, original: &str) -> Vec<u8> {
    [&built.prefix, original.as_bytes(), &built.suffix].concat()
}

/// The blocks of delivery-status: of the message, and of each recipient.
fn status_blocks(message: &[u8]) -> Vec<Vec<(String, String)>> {
    let range = Structure::parse(message).section(&[2], Section::Whole).expect("the second part");
    let mut rest = &message[range];
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).expect("UTF-8");
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let block = header::fields(rest).inspect(|field| assert!(field.is_well_formed(), "{field:?}"));
        blocks.push(block.map(|field| (text(field.name), text(&field.unfolded()))).collect());
        rest = &rest[header::length(rest)..];
    }
    blocks
}

fn human_text(message: &[u8]) -> String {
    let structure = Structure::parse(message);
    let part = structure.part(&[1]).expect("the first part");
    String::from_utf8(Decoder::decode(&part.encoding, &message[part.body.clone()])).expect("UTF-8")
}

fn media_types(message: &[u8]) -> Vec<String> {
    Structure::parse(message)
        .parts()
        .iter()
        .map(|part| format!("{}/{}", part.media_type, part.subtype))
        .collect()
}

#[test]
fn a_report_has_its_three_parts() {
    let message = whole(&build(&[recipient()], |_| {}), ORIGINAL);
    assert_eq!(
        media_types(&message),
        ["multipart/report", "text/plain", "message/delivery-status", "message/rfc822", "text/plain"]
    );
    let structure = Structure::parse(&message);
    let returned = structure.section(&[3], Section::Whole).expect("the third part");
    assert_eq!(&message[returned], ORIGINAL.as_bytes());
    assert!(
        structure
            .root()
            .parameters
            .iter()
            .any(|p| (p.name.as_str(), p.value.as_str()) == ("report-type", "delivery-status"))
    );
    assert!(LineChecker::default().push(&message).is_ok());
}

#[test]
fn the_header_is_complete_and_says_that_no_one_should_answer() {
    let message = whole(&build(&[recipient()], |_| {}), ORIGINAL);
    let envelope = Envelope::parse(&message);
    assert_eq!(envelope.date.as_deref(), Some("Sun, 13 Sep 2020 12:30:00 +0000"));
    assert_eq!(
        envelope.message_id.as_deref(),
        Some("<017f22e2-79b0-7cc3-98c4-dc0c0c07398f@mx.example.test>")
    );
    let subject = header::first(&message, "Subject").map(words::decode);
    assert_eq!(subject.as_deref(), Some("Your message could not be delivered: café"));
    assert_eq!(header::first(&message, "Auto-Submitted"), Some(&b" auto-replied"[..]));
    assert_eq!(header::first(&message, "References"), Some(&b" <m@example.test>"[..]));
    assert_eq!(header::first(&message, "To"), Some(&b" <alice@example.test>"[..]));
    assert!(header::fields(&message).all(|field| field.is_well_formed()));
}

/// RFC 3461 §6.3, RFC 3464 §2.
#[test]
fn the_fields_for_programs_tell_all_in_order() {
    let message = whole(&build(&[recipient()], |_| {}), ORIGINAL);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        status_blocks(&message),
        [
            vec![
                pair("Original-Envelope-Id", "QQ314159"),
                pair("Reporting-MTA", "dns; mx.example.test"),
                pair("Arrival-Date", "Sun, 13 Sep 2020 12:26:40 +0000"),
            ],
            vec![
                pair("Original-Recipient", "rfc822;Bob@Remote.test"),
                pair("Final-Recipient", "rfc822; bob@remote.test"),
                pair("Action", "failed"),
                pair("Status", "5.1.1"),
                pair("Remote-MTA", "dns; mx.remote.test"),
                pair(
                    "Diagnostic-Code",
                    "smtp; 550 5.1.1 <bob@remote.test>: no such user see https://remote.test/help"
                ),
                pair("Last-Attempt-Date", "Sun, 13 Sep 2020 12:28:20 +0000"),
                pair("Final-Log-ID", "017f22e2-79b0-7cc3-98c4-000000000000"),
            ],
        ]
    );
}

#[test]
fn people_are_told_what_happened() {
    let delayed = Recipient {
        address: "carol@remote.test",
        action: Action::Delayed,
        status: "4.4.1",
        remote_mta: None,
        diagnostic: Some("connection timed out"),
        will_retry_until: Some(Timestamp::from_second(1_600_400_000).expect("a time")),
        ..recipient()
    };
    let delivered =
        Recipient { address: "dave@example.test", action: Action::Delivered, status: "2.0.0", ..recipient() };
    let text = human_text(&whole(&build(&[recipient(), delayed, delivered], |_| {}), ORIGINAL));
    for expected in [
        "This is the mail system at mx.example.test.",
        "Your message could not be delivered to:\r\n\r\n  bob@remote.test\r\n    There is no such mailbox.",
        "    The mail server mx.remote.test said:\r\n      550 5.1.1 <bob@remote.test>: no such user",
        "Your message is not yet delivered to:\r\n\r\n  carol@remote.test\r\n    The recipient's mail system could not be reached.",
        "    The reason is:\r\n      connection timed out",
        "It will be tried until Fri, 18 Sep 2020 03:33:20 +0000.",
        "Your message was delivered to:\r\n\r\n  dave@example.test\r\n\r\n",
        "This is only to let you know.",
        "Subject: café",
        "Reference: 017f22e2-79b0-7cc3-98c4-000000000000",
        "Your message is attached",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn each_recipient_has_a_block_and_a_fitting_status() {
    let with = |action, status| Recipient {
        action,
        status,
        original: "",
        remote_mta: None,
        diagnostic: None,
        ..recipient()
    };
    let recipients = [
        with(Action::Failed, "4.4.7"),
        with(Action::Failed, ""),
        with(Action::Failed, "2.0.0"),
        with(Action::Delayed, "5.1.1"),
        with(Action::Delivered, "2.1.5"),
        with(Action::Relayed, "2.1.5.1"),
        with(Action::Relayed, "2.x.5"),
    ];
    let message = whole(&build(&recipients, |report| report.envelope_id = ""), ORIGINAL);
    let blocks = status_blocks(&message);
    let value = |block: &[(String, String)], name: &str| {
        block.iter().find(|field| field.0 == name).map(|field| field.1.clone())
    };
    let statuses: Vec<_> = blocks[1..].iter().filter_map(|block| value(block, "Status")).collect();
    assert_eq!(statuses, ["4.4.7", "5.0.0", "5.0.0", "4.0.0", "2.1.5", "2.0.0", "2.0.0"]);
    assert_eq!(value(&blocks[0], "Original-Envelope-Id"), None);
    let local = Recipient { status: "4.4.1", diagnostic: Some("timed out (60 s)"), ..recipients[0] };
    let blocks_of_local = status_blocks(&whole(&build(&[local], |_| {}), ORIGINAL));
    assert_eq!(value(&blocks_of_local[1], "Status").as_deref(), Some("4.4.1 (timed out ?60 s?)"));
    assert_eq!(value(&blocks_of_local[1], "Diagnostic-Code"), None);
    for absent in ["Original-Recipient", "Remote-MTA", "Diagnostic-Code", "Will-Retry-Until"] {
        assert_eq!(value(&blocks[1], absent), None);
    }
}

#[test]
fn the_header_alone_can_be_returned() {
    let built = build(&[recipient()], |report| {
        report.returned = Returned::Header;
        report.eight_bit = true;
    });
    let message = whole(&built, &ORIGINAL[..header::length(ORIGINAL.as_bytes())]);
    assert_eq!(media_types(&message)[3..], ["text/rfc822-headers"]);
    assert_eq!(Structure::parse(&message).parts()[3].encoding.name(), "8bit");
    assert_eq!(Structure::parse(&message).root().encoding.name(), "8bit");
    assert!(human_text(&message).contains("The header of your message is attached"));
}

/// RFC 6533.
#[test]
fn addresses_beyond_ascii_make_it_a_global_report() {
    let recipients =
        [Recipient { address: "用户@例子.广告", diagnostic: Some("550 不"), ..recipient() }, recipient()];
    let built = build(&recipients, |report| report.smtputf8 = true);
    assert!(built.smtputf8);
    let message = whole(&built, ORIGINAL);
    assert_eq!(media_types(&message)[2..4], ["message/global-delivery-status", "message/global"]);
    let blocks = status_blocks(&message);
    assert!(blocks[1].contains(&("Final-Recipient".into(), "utf-8; 用户@例子.广告".into())));
    assert!(blocks[1].contains(&("Diagnostic-Code".into(), "smtp; 550 不".into())));
    assert!(blocks[2].contains(&("Final-Recipient".into(), "rfc822; bob@remote.test".into())));

    // What the server said is no reason, and a report in ASCII can go everywhere.
    for smtputf8 in [false, true] {
        let built = build(&[Recipient { diagnostic: Some("550 不"), ..recipient() }], |report| {
            report.smtputf8 = smtputf8;
        });
        assert!(!built.smtputf8 && built.prefix.is_ascii());
    }
}

/// RFC 6533 §3: a sender who may know nothing of SMTPUTF8 gets addresses in ASCII.
#[test]
fn addresses_beyond_ascii_can_be_told_in_ascii() {
    let recipients =
        [Recipient { address: "jörg@remote.test", original: "utf-8;Jörg@remote.test", ..recipient() }];
    let built = build(&recipients, |_| {});
    assert!(!built.smtputf8 && built.prefix.is_ascii());
    let message = whole(&built, ORIGINAL);
    assert_eq!(media_types(&message)[2], "message/delivery-status");
    let blocks = status_blocks(&message);
    assert!(blocks[1].contains(&("Original-Recipient".into(), "utf-8;J\\x{F6}rg@remote.test".into())));
    assert!(blocks[1].contains(&("Final-Recipient".into(), "utf-8; j\\x{F6}rg@remote.test".into())));
    assert!(human_text(&message).contains("  jörg@remote.test\r\n"));
}

#[test]
fn who_gave_up_says_for_how_long_it_was_tried() {
    let expired = Recipient {
        status: "4.4.1",
        remote_mta: None,
        diagnostic: Some("connection timed out"),
        expired: true,
        ..recipient()
    };
    let text = human_text(&whole(&build(&[expired], |_| {}), ORIGINAL));
    assert!(text.contains("tried again and again since Sun, 13 Sep 2020 12:26:40 +0000."), "{text}");
}

proptest! {
    /// What a hostile server says must not add a field, a part or a line that is too long.
    #[test]
    fn texts_from_elsewhere_stay_where_they_belong(text in "(\\PC|[\r\n\0: -]|--=_017f22e2-79b0-7cc3-98c4-dc0c0c07398f|x{100}){0,40}", utf8 in any::<bool>()) {
        let diagnostic = format!("550 {text}");
        let hostile = Recipient {
            original: &text,
            status: &text,
            remote_mta: Some(&text),
            diagnostic: Some(&diagnostic),
            ..recipient()
        };
        let built = build(&[hostile], |report| {
            report.envelope_id = &text;
            report.subject = Some(&text);
            report.message_id = Some(&text);
            report.smtputf8 = utf8;
        });
        prop_assert!(utf8 || built.prefix.is_ascii());
        let message = whole(&built, ORIGINAL);
        prop_assert!(LineChecker::default().push(&message).is_ok());
        prop_assert_eq!(media_types(&message).len(), 5);
        prop_assert!(header::fields(&message).all(|field| field.is_well_formed()));
        prop_assert_eq!(header::fields(&message).filter(|field| !field.is("References")).count(), 8 + usize::from(built.smtputf8));
        let names: Vec<String> = status_blocks(&message).remove(1).into_iter().map(|field| field.0).filter(|name| name != "Original-Recipient").collect();
        prop_assert_eq!(names, ["Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date", "Final-Log-ID"]);
    }
}
