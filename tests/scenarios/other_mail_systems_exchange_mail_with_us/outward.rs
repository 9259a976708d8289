//! From Waypost to another mail system.

use message::mime::{Decoder, Encoding};
use pipeline_tests::eventually;

use super::Peer;
use super::exchange::{Exchange, SizeLimits};
use super::interop::Section;
use super::letter::{Arrived, BODY, Letter};

const ALICE: &str = "alice@example.test";
const USER: &str = "user@remote.test";
const MIB: usize = 1 << 20;

pub(super) fn run(peer: &Peer) {
    let Some(exchange) = Exchange::start(peer, &SizeLimits { waypost: 50 * MIB, peer: 3 * MIB }) else {
        return;
    };
    let from_alice = |to, subject| Letter::new(ALICE, to, subject);
    // Alone first, so that the peer's log tells how it came.
    exchange.alice_sends(&[from_alice(USER, "TLS")]);
    let mut found = Section::new(format!("From Waypost to {}", exchange.peer.version()));

    let arrived = exchange.at_peer("TLS");
    assert_unchanged(&arrived);
    assert_eq!(arrived.fields("Return-Path"), ["<alice@example.test>"]);
    found.found("STARTTLS", format!("delivered, {}", tls_version(&arrived)));
    found.found("CHUNKING", chunking(peer, &exchange));

    exchange.alice_sends(&[
        from_alice("user@plain.remote.test", "no TLS"),
        from_alice("user@bare.remote.test", "8 bits to 7"),
        Letter { mail: &["BODY=8BITMIME", "SMTPUTF8"], ..from_alice("gréta@remote.test", "international") },
        Letter {
            mail: &["BODY=8BITMIME", "RET=HDRS", "ENVID=a+2Bb"],
            rcpt: &["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first+2Btag@example.org"],
            ..from_alice(USER, "tell me")
        },
        Letter {
            mail: &["ENVID=c"],
            rcpt: &["NOTIFY=SUCCESS"],
            body: "seven bits\r\n".into(),
            ..from_alice("user@bare.remote.test", "tell me there too")
        },
        from_alice("unknown@remote.test", "refused"),
        from_alice("broken@remote.test", "accepted and failed"),
        Letter::large(ALICE, USER, "large", 2 * MIB),
        Letter::large(ALICE, USER, "too large", 4 * MIB),
    ]);

    let arrived = exchange.at_peer("no TLS");
    assert_unchanged(&arrived);
    let received = arrived.fields("Received")[0].clone();
    assert!(!received.contains("ESMTPS") && !received.contains("esmtps"), "{arrived:?}");
    found.found("STARTTLS not offered", "delivered in clear");

    found.found("8BITMIME", "delivered unchanged");
    if peer.can_do_without_8bitmime {
        found.found("8BITMIME not offered", seven_bits(&exchange, "8 bits to 7"));
    } else {
        assert_unchanged(&exchange.at_peer("8 bits to 7"));
    }

    found.found("SMTPUTF8", international(peer, &exchange, "international"));

    found.found("DSN: NOTIFY, RET, ENVID, ORCPT", success(&exchange, "tell me"));
    let report = exchange.report_to_alice("tell me there too");
    assert_eq!(report.says("Action"), "relayed", "{report:?}");
    assert_eq!(report.says("Original-Envelope-Id"), "c", "{report:?}");
    found.found("DSN not offered", "reported by Waypost as relayed");

    let report = exchange.report_to_alice("refused");
    assert_eq!(report.says("Action"), "failed", "{report:?}");
    assert_eq!(
        exchange.parts_of(&report),
        "multipart/report text/plain message/delivery-status text/rfc822-headers"
    );
    assert!(report.fields("Auto-Submitted")[0].starts_with("auto-"), "{report:?}");
    assert_eq!(report.fields("Return-Path"), ["<>"]);
    assert_eq!(report.says("Final-Recipient"), "rfc822; unknown@remote.test", "{report:?}");
    let reply = report.says("Diagnostic-Code");
    assert!(reply.starts_with("smtp; 550"), "{report:?}");
    assert_eq!(report.says("Remote-MTA"), "dns; mx.remote.test");
    found.found("unknown recipient", format!("reported by Waypost: {}, `{reply}`", report.status()));

    let report = exchange.report_to_alice("accepted and failed");
    assert_eq!(report.says("Action"), "failed", "{report:?}");
    assert_eq!(report.says("Reporting-MTA"), "dns; mx.remote.test", "{report:?}");
    found.found("accepted, then failed", format!("reported by the peer: {}", report.status()));

    let arrived = exchange.at_peer("large");
    assert_eq!(arrived.body(), Letter::large(ALICE, USER, "", 2 * MIB).body.replace("\r\n", "\n"));
    found.found("2 MiB", "delivered unchanged");

    let report = exchange.report_to_alice("too large");
    assert_eq!(report.status(), "5.3.4", "{report:?}");
    found.found("SIZE: 4 MiB to a limit of 3", format!("reported by Waypost: {}", report.status()));

    found.check();
}

fn assert_unchanged(arrived: &Arrived) {
    assert_eq!(arrived.body(), BODY.replace("\r\n", "\n"));
}

/// As the receiver's Received field has it, in one spelling.
fn tls_version(arrived: &Arrived) -> &'static str {
    let received = arrived.fields("Received").concat();
    let is_1_3 = received.contains("TLSv1.3") || received.contains("TLS1.3");
    assert!(is_1_3, "{received}");
    "TLS 1.3"
}

/// Whether the one message so far came by BDAT, by the peer's log.
fn chunking(peer: &Peer, exchange: &Exchange) -> &'static str {
    // Postfix counts commands at the end of a session, which stays open for a while; Exim marks a message that came by
    // BDAT with a K.
    let log = eventually("the peer to tell how the message came", || {
        Some(exchange.peer.log())
            .filter(|log| !peer.takes_chunks || log.contains(" ehlo=") || log.contains(" <= "))
    });
    let by_chunks =
        log.contains(" bdat=1") || log.lines().any(|line| line.contains(" <= ") && line.contains(" K "));
    match (peer.takes_chunks, by_chunks) {
        (true, true) => "sent by BDAT",
        (true, false) => "offered, not needed; sent by DATA",
        (false, by_chunks) => {
            assert!(!by_chunks, "{log}");
            "not offered; sent by DATA"
        }
    }
}

/// A message of 8-bit text, to where 8BITMIME is not offered.
fn seven_bits(exchange: &Exchange, subject: &str) -> &'static str {
    let arrived = exchange.at_peer(subject);
    assert!(arrived.0.is_ascii(), "{arrived:?}");
    assert_eq!(arrived.fields("Content-Transfer-Encoding"), ["quoted-printable"]);
    let decoded = Decoder::decode(&Encoding::QuotedPrintable, arrived.body().as_bytes());
    assert_eq!(String::from_utf8_lossy(&decoded), BODY.replace("\r\n", "\n"));
    "delivered in quoted-printable"
}

fn international(peer: &Peer, exchange: &Exchange, subject: &str) -> String {
    if peer.smtputf8 {
        let arrived = exchange.at_peer(subject);
        assert_unchanged(&arrived);
        let received = arrived.fields("Received").concat().to_ascii_lowercase();
        assert!(received.contains("utf8smtps") || received.contains("utf8esmtps"), "{arrived:?}");
        "delivered to `gréta@`".to_owned()
    } else {
        let report = exchange.report_to_alice(subject);
        assert_eq!(report.status(), "5.6.7", "{report:?}");
        format!("not offered; reported by Waypost: {}", report.status())
    }
}

/// The peer's own report. It may know nothing of ENVID and ORCPT, or give them back in the encoding of the wire.
fn success(exchange: &Exchange, subject: &str) -> String {
    assert_unchanged(&exchange.at_peer(subject));
    let report = exchange.report_to_alice(subject);
    assert_eq!(report.says("Action"), "delivered", "{report:?}");
    assert_eq!(report.says("Reporting-MTA"), "dns; mx.remote.test", "{report:?}");
    let [id, recipient] = report.original_envelope();
    assert!(["a+b", "a+2Bb", ""].contains(&id.as_str()), "{report:?}");
    assert!(
        ["rfc822;first+tag@example.org", "rfc822;first+2Btag@example.org", ""].contains(&recipient.as_str()),
        "{report:?}"
    );
    if id.is_empty() && recipient.is_empty() {
        return "reported by the peer, which keeps neither ENVID nor ORCPT".to_owned();
    }
    format!("reported by the peer; ENVID `{id}`, ORCPT `{recipient}`")
}
