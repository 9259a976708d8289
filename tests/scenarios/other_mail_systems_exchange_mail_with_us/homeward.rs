//! From another mail system to Waypost.

use super::Peer;
use super::exchange::{Exchange, SizeLimits};
use super::interop::Section;
use super::letter::{Arrived, BODY, Letter};

const BOB: &str = "bob@example.test";
const USER: &str = "user@remote.test";
const MIB: usize = 1 << 20;

pub(super) fn run(peer: &Peer) {
    let Some(exchange) = Exchange::start(peer, &SizeLimits { waypost: 3 * MIB, peer: 50 * MIB }) else {
        return;
    };
    let from_user = |to, subject| Letter::new(USER, to, subject);
    let mut letters = vec![
        from_user(BOB, "TLS"),
        from_user("bob@plain.example.test", "no TLS"),
        Letter {
            mail: &["BODY=8BITMIME", "RET=HDRS", "ENVID=a+2Bb"],
            rcpt: &["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first+2Btag@example.org"],
            ..from_user(BOB, "tell me")
        },
        from_user("nobody@example.test", "refused"),
        Letter::large(USER, BOB, "large", 2 * MIB),
        Letter::large(USER, BOB, "too large", 4 * MIB),
    ];
    if peer.smtputf8 {
        letters.push(Letter {
            mail: &["BODY=8BITMIME", "SMTPUTF8"],
            ..Letter::new("gréta@remote.test", BOB, "international")
        });
    }
    exchange.peer_sends(&letters);
    let mut found = Section::new(format!("From {} to Waypost", exchange.peer.version()));

    let arrived = exchange.in_inbox(BOB, "TLS");
    assert_unchanged(&arrived);
    assert_eq!(arrived.fields("Return-Path"), ["<user@remote.test>"]);
    let received = &arrived.fields("Received")[0];
    assert!(received.contains("from mx.remote.test") && received.contains("with ESMTPS"), "{arrived:?}");
    found.found("STARTTLS", "delivered as ESMTPS");

    let arrived = exchange.in_inbox("bob@plain.example.test", "no TLS");
    assert_unchanged(&arrived);
    assert!(arrived.fields("Received")[0].contains("with ESMTP "), "{arrived:?}");
    found.found("without STARTTLS", "delivered as ESMTP");

    found.found("8BITMIME", "delivered unchanged");
    if peer.smtputf8 {
        let arrived = exchange.in_inbox(BOB, "international");
        assert_unchanged(&arrived);
        assert_eq!(arrived.fields("Return-Path"), ["<gréta@remote.test>"]);
        assert!(arrived.fields("Received")[0].contains("with UTF8SMTPS"), "{arrived:?}");
        found.found("SMTPUTF8", "delivered as UTF8SMTPS");
    } else {
        found.found("SMTPUTF8", "the peer has none");
    }

    let log = exchange.peer.log();
    // Exim marks a message that it sent by BDAT with a K.
    let by_chunks = log.lines().any(|line| line.contains(" => ") && line.contains(" K "));
    assert_eq!(by_chunks, peer.sends_chunks, "{log}");
    found.found("CHUNKING", if by_chunks { "sent by BDAT" } else { "the peer sends by DATA" });

    assert_unchanged(&exchange.in_inbox(BOB, "tell me"));
    let report = exchange.report_at_peer("tell me");
    assert_eq!(report.says("Action"), "delivered", "{report:?}");
    assert_eq!(report.says("Reporting-MTA"), "dns; mail.example.test", "{report:?}");
    let [id, recipient] = report.original_envelope();
    assert_eq!(id, "a+b", "{report:?}");
    assert_eq!(recipient, "rfc822;first+tag@example.org", "{report:?}");
    found.found("DSN: NOTIFY, RET, ENVID, ORCPT", "reported by Waypost, with ENVID and ORCPT");

    let report = exchange.report_at_peer("refused");
    assert_eq!(report.says("Action"), "failed", "{report:?}");
    assert!(report.0.contains("550 5.1.1"), "{report:?}");
    found
        .found("unknown recipient", format!("refused, 550 5.1.1; reported by the peer: {}", report.status()));

    let arrived = exchange.in_inbox(BOB, "large");
    assert_eq!(arrived.body(), Letter::large(USER, BOB, "", 2 * MIB).body.replace("\r\n", "\n"));
    found.found("2 MiB", "delivered unchanged");

    let report = exchange.report_at_peer("too large");
    assert_eq!(report.says("Action"), "failed", "{report:?}");
    found.found("SIZE: 4 MiB to a limit of 3", format!("reported by the peer: {}", report.status()));

    found.check();
}

fn assert_unchanged(arrived: &Arrived) {
    assert_eq!(arrived.body(), BODY.replace("\r\n", "\n"));
}
