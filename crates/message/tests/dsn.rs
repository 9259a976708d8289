//! Reports as they go out, byte by byte (`tests/dsn/*.eml`, written anew by `BLESS=1 cargo test -p message --test dsn`),
//! and as `mail-parser`, which others wrote, reads them.

#![allow(clippy::expect_used, reason = "a test")]

use std::path::Path;

use jiff::Timestamp;
use mail_parser::{MessageParser, MimeHeaders as _};
use message::Address;
use message::dsn::{Action, Recipient, Report, Returned};

const ORIGINAL: &str = "Date: Sun, 13 Sep 2020 12:26:39 +0000\r\nFrom: Alice <alice@example.test>\r\n\
                        Message-ID: <m@example.test>\r\nSubject: Lunch?\r\n\r\nAt one?\r\n";
const HEADER: &str = "Date: Sun, 13 Sep 2020 12:26:39 +0000\r\nFrom: Alice <alice@example.test>\r\n\
                      Message-ID: <m@example.test>\r\nSubject: Lunch?\r\n\r\n";
const UTF8_HEADER: &str =
    "From: Jörg <jörg@example.test>\r\nMessage-ID: <m@example.test>\r\nSubject: Mittag?\r\n\r\n";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_600_000_000 + second).expect("a time")
}

fn failed(address: &str) -> Recipient<'_> {
    Recipient {
        address,
        original: "",
        action: Action::Failed,
        status: "5.1.1",
        remote_mta: Some("mx.remote.test"),
        diagnostic: Some("550 5.1.1 no such user"),
        last_attempt: Some(at(100)),
        will_retry_until: None,
        expired: false,
    }
}

/// Builds a report, compares it with what it was when it was last looked at, and gives it.
fn golden(name: &str, to: &str, recipients: &[Recipient<'_>], original: &str, smtputf8: bool) -> Vec<u8> {
    let to: Address = to.parse().expect("an address");
    let built = Report {
        id: "017f22e2-79b0-7cc3-98c4-dc0c0c07398f".parse().expect("an id"),
        at: at(200),
        reporting_mta: "mx.example.test",
        to: &to,
        recipients,
        original_id: "017f22e2-79b0-7cc3-98c4-000000000000".parse().expect("an id"),
        envelope_id: "QQ314159",
        arrived_at: at(0),
        subject: Some("Lunch?"),
        message_id: Some("<m@example.test>"),
        returned: if original == ORIGINAL { Returned::Message } else { Returned::Header },
        smtputf8,
        eight_bit: !original.is_ascii(),
    }
    .build();
    let report = [&built.prefix, original.as_bytes(), &built.suffix].concat();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dsn").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &report).expect("written");
    }
    let golden = std::fs::read(&path).expect("a golden report");
    assert_eq!(String::from_utf8_lossy(&report), String::from_utf8_lossy(&golden), "{name}");
    assert!(built.smtputf8 || built.prefix.is_ascii(), "{name}");
    report
}

/// The media types of the report's parts, and the fields for programs, block by block.
fn read(report: &[u8]) -> (Vec<String>, Vec<Vec<(String, String)>>) {
    let message = MessageParser::default().parse(report).expect("a message");
    let root = message.content_type().expect("a content type");
    assert_eq!((root.c_type.as_ref(), root.attribute("report-type")), ("multipart", Some("delivery-status")));
    assert_eq!(message.header_raw("Auto-Submitted").map(str::trim), Some("auto-replied"));
    let parts = message.part(0).and_then(|part| part.sub_parts()).expect("parts");
    let parts: Vec<_> = parts.iter().map(|number| message.part(*number).expect("a part")).collect();
    let media_type = |part: &&mail_parser::MessagePart<'_>| {
        let content = part.content_type().expect("a content type");
        format!("{}/{}", content.c_type, content.subtype().unwrap_or_default())
    };
    let types = parts.iter().map(media_type).collect();
    let status = std::str::from_utf8(parts[1].contents()).expect("UTF-8");
    let blocks = status.split_terminator("\r\n\r\n").map(fields).collect();
    (types, blocks)
}

fn fields(block: &str) -> Vec<(String, String)> {
    let block = format!("{}\r\n\r\n", block.trim());
    let parsed = MessageParser::default().parse(block.as_bytes()).expect("fields");
    let text = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
    parsed.headers_raw().map(|(name, value)| (name.to_owned(), text(value))).collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[test]
fn failures_are_told_together_and_the_message_comes_back() {
    let expired = Recipient {
        status: "4.4.1",
        remote_mta: None,
        diagnostic: Some("connection timed out"),
        expired: true,
        original: "rfc822;list@example.test",
        ..failed("carol@slow.test")
    };
    let report =
        golden("failed.eml", "alice@example.test", &[failed("bob@remote.test"), expired], ORIGINAL, false);
    let (types, blocks) = read(&report);
    assert_eq!(types, ["text/plain", "message/delivery-status", "message/rfc822"]);
    assert_eq!(blocks.len(), 3);
    assert!(blocks[0].contains(&pair("Original-Envelope-Id", "QQ314159")));
    assert!(blocks[1].contains(&pair("Diagnostic-Code", "smtp; 550 5.1.1 no such user")));
    assert!(blocks[2].contains(&pair("Original-Recipient", "rfc822;list@example.test")));
    assert!(blocks[2].contains(&pair("Status", "4.4.1 (connection timed out)")));
    let message = MessageParser::default().parse(&report).expect("a message");
    let returned = message.attachments().find_map(|part| part.message()).expect("the message");
    assert_eq!(returned.subject(), Some("Lunch?"));
}

#[test]
fn a_delay_is_told_with_its_end() {
    let delayed = Recipient {
        action: Action::Delayed,
        status: "4.7.1",
        diagnostic: Some("451 4.7.1 greylisted, come back"),
        will_retry_until: Some(at(432_000)),
        ..failed("bob@remote.test")
    };
    let report = golden("delayed.eml", "alice@example.test", &[delayed], HEADER, false);
    let (types, blocks) = read(&report);
    assert_eq!(types, ["text/plain", "message/delivery-status", "text/rfc822-headers"]);
    assert!(blocks[1].contains(&pair("Action", "delayed")));
    assert!(blocks[1].contains(&pair("Will-Retry-Until", "Fri, 18 Sep 2020 12:26:40 +0000")));
}

#[test]
fn success_is_told_as_far_as_it_is_known() {
    let with = |address, action, remote_mta| Recipient {
        action,
        status: "2.1.5",
        remote_mta,
        diagnostic: Some("250 2.1.5 ok"),
        ..failed(address)
    };
    let recipients = [
        with("bob@example.test", Action::Delivered, None),
        with("carol@remote.test", Action::Relayed, Some("mx.remote.test")),
        with("staff@example.test", Action::Expanded, None),
    ];
    let report = golden("success.eml", "alice@example.test", &recipients, HEADER, false);
    let (_, blocks) = read(&report);
    let actions = ["delivered", "relayed", "expanded"];
    for (block, action) in blocks[1..].iter().zip(actions) {
        assert!(block.contains(&pair("Action", action)), "{block:?}");
    }
}

/// RFC 6533.
#[test]
fn reports_beyond_ascii_are_global() {
    let recipients = [Recipient { original: "utf-8;jürgen@remote.test", ..failed("jürgen@remote.test") }];
    let report = golden("global.eml", "jörg@example.test", &recipients, UTF8_HEADER, true);
    let (types, blocks) = read(&report);
    assert_eq!(types, ["text/plain", "message/global-delivery-status", "message/global-headers"]);
    assert!(blocks[1].contains(&pair("Final-Recipient", "utf-8; jürgen@remote.test")));
    assert!(blocks[1].contains(&pair("Original-Recipient", "utf-8;jürgen@remote.test")));
    let message = MessageParser::default().parse(&report).expect("a message");
    assert_eq!(message.to().and_then(|to| to.first()).and_then(|to| to.address()), Some("jörg@example.test"));
}

/// RFC 6533 §3.
#[test]
fn a_sender_without_smtputf8_reads_addresses_in_ascii() {
    let report = golden("ascii.eml", "alice@example.test", &[failed("jürgen@remote.test")], HEADER, false);
    let (types, blocks) = read(&report);
    assert_eq!(types[1], "message/delivery-status");
    assert!(blocks[1].contains(&pair("Final-Recipient", "utf-8; j\\x{FC}rgen@remote.test")));
}
