use proto::mail::Reply;
use proto::mda::Placement;
use proto::mta::EventKind;

use super::*;

const ID: &str = "0193f0a5-0000-7000-8000-000000000000";

fn at(millis: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: 1_795_484_207 + millis / 1000,
        nanos: i32::try_from(millis % 1000).unwrap() * 1_000_000,
    }
}

fn event(millis: i64, kind: EventKind, recipient: &str, peer: &str) -> Event {
    Event {
        at: Some(at(millis)),
        kind: kind.into(),
        recipient: recipient.into(),
        peer: peer.into(),
        message_id: ID.into(),
        ..Event::default()
    }
}

fn reply(code: u32, enhanced: &str, text: &str) -> Reply {
    Reply { code, enhanced: enhanced.into(), text: text.into() }
}

fn of(node: &str, events: Vec<Event>) -> Told {
    Told { node: node.into(), events, left_out: 0 }
}

fn lines(told: Vec<(&str, Vec<Event>)>, located: Vec<Located>) -> Vec<String> {
    let told = told.into_iter().map(|(node, events)| of(node, events)).collect();
    Story::new(ID.into(), told, located).lines(&TimeZone::UTC)
}

#[test]
fn a_delivered_message_is_told_up_to_its_mailbox() {
    let received =
        Event { detail: "alice@example.test".into(), ..event(0, EventKind::Received, "", "msa 127.0.0.1") };
    let delivered = Event {
        reply: Some(reply(250, "2.1.5", "stored")),
        said_by_peer: true,
        ..event(20, EventKind::Delivered, "bob@example.test", "mda 127.0.0.1:17143")
    };
    let located = Located {
        recipient: "bob@example.test".into(),
        placement: Some(Placement {
            account: "bob@example.test".into(),
            mailbox: "INBOX".into(),
            uid_validity: 7,
            uid: 3,
        }),
        expunged: false,
    };
    assert_eq!(
        lines(vec![("mta", vec![received, delivered])], vec![located]),
        [
            "2026-11-24 01:36:47.000  mta  received from msa 127.0.0.1 with sender <alice@example.test>",
            "2026-11-24 01:36:47.020  mta  bob@example.test: delivered to mda 127.0.0.1:17143: 250 2.1.5 stored",
            "                         mda  bob@example.test: lies in mailbox INBOX of bob@example.test, UID 3",
        ]
    );
}

#[test]
fn a_deferred_message_tells_what_the_remote_said_and_when_it_is_tried_again() {
    let attempt = event(10, EventKind::Attempt, "x@remote.test", "mx.remote.test [192.0.2.1]:25");
    let deferred = Event {
        reply: Some(reply(451, "4.7.1", "greylisted\ncome back")),
        said_by_peer: true,
        next_attempt_at: Some(at(60_000)),
        tls: "TLSv1.3".into(),
        ..event(900, EventKind::Deferred, "x@remote.test", "mx.remote.test [192.0.2.1]:25")
    };
    assert_eq!(
        lines(vec![("mta1", vec![attempt, deferred])], vec![]),
        [
            "2026-11-24 01:36:47.010  mta1  x@remote.test: trying at mx.remote.test [192.0.2.1]:25",
            "2026-11-24 01:36:47.900  mta1  x@remote.test: deferred until 2026-11-24 01:37:47.000 by \
             mx.remote.test [192.0.2.1]:25 [TLSv1.3]: 451 4.7.1 greylisted / come back",
        ]
    );
}

#[test]
fn a_bounced_message_names_its_report() {
    let bounced = Event {
        reply: Some(reply(550, "5.1.1", "no such user")),
        said_by_peer: true,
        ..event(10, EventKind::Bounced, "x@remote.test", "mx.remote.test")
    };
    let reported = Event { detail: "0193f0a6".into(), ..event(20, EventKind::Reported, "", "") };
    assert_eq!(
        lines(vec![("mta", vec![bounced, reported])], vec![]),
        [
            "2026-11-24 01:36:47.010  mta  x@remote.test: refused for good by mx.remote.test: 550 5.1.1 no such user",
            "2026-11-24 01:36:47.020  mta  a report went to the sender: message 0193f0a6",
        ]
    );
}

#[test]
fn what_fails_without_a_peer_names_none() {
    let bounced = Event {
        reply: Some(reply(550, "5.1.2", "there is no such domain")),
        ..event(10, EventKind::Bounced, "x@remote.test", "local")
    };
    assert_eq!(
        lines(vec![("mta", vec![bounced])], vec![]),
        [
            "2026-11-24 01:36:47.010  mta  x@remote.test: failed for good: found here: 550 5.1.2 there is no such domain"
        ]
    );
}

#[test]
fn what_two_nodes_tell_is_in_order_of_time() {
    let told = vec![
        ("mta", vec![event(0, EventKind::Received, "", "msa"), event(30, EventKind::Expired, "", "")]),
        ("mta1", vec![event(10, EventKind::Attempt, "", "mda")]),
    ];
    let nodes: Vec<_> =
        lines(told, vec![]).iter().map(|line| line["2026-11-24 01:36:47.000  ".len()..].to_owned()).collect();
    assert_eq!(
        nodes,
        [
            "mta   received from msa with sender <>",
            "mta1  trying at mda",
            "mta   given up: its time in the queue has ended"
        ]
    );
}

#[test]
fn a_remote_cannot_steer_the_terminal() {
    let evil = Event {
        reply: Some(reply(550, "", "\x1b[2J\r\x07no")),
        ..event(0, EventKind::Bounced, "x@remote.test", "mx")
    };
    let lines = lines(vec![("mta", vec![evil])], vec![]);
    assert!(!lines[0].chars().any(char::is_control), "{lines:?}");
}

#[test]
fn programs_get_the_same_with_moments_in_utc() {
    let told = vec![of("mta", vec![event(5, EventKind::Received, "", "msa")])];
    let located = vec![Located { recipient: "bob@example.test".into(), placement: None, expunged: true }];
    let json = serde_json::to_value(Story::new(ID.into(), told, located)).unwrap();
    assert_eq!(json["message_id"], ID);
    assert_eq!(json["events"][0]["at"], "2026-11-24T01:36:47.005Z");
    assert_eq!(json["events"][0]["node"], "mta");
    assert_eq!(json["events"][0]["kind"], "received");
    assert_eq!(json["located"][0]["expunged"], true);
}
