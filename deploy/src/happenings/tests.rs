use super::*;

fn at(millis: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: 1_795_484_207 + millis / 1000,
        nanos: i32::try_from(millis % 1000).unwrap() * 1_000_000,
    }
}

fn event(kind: EventKind) -> Event {
    Event { at: Some(at(0)), kind: kind.into(), recipient: "x@remote.test".into(), ..Event::default() }
}

fn tell(event: Event) -> String {
    Happening::new("mta".into(), event).tell(&TimeZone::UTC)
}

fn reply(code: u32, enhanced: &str, text: &str) -> Reply {
    Reply { code, enhanced: enhanced.into(), text: text.into() }
}

#[test]
fn what_another_host_said_is_told_apart_from_what_was_found_here() {
    let said = Event {
        reply: Some(reply(451, "4.7.1", "greylisted\ncome back")),
        said_by_peer: true,
        next_attempt_at: Some(at(60_000)),
        tls: "TLSv1.3".into(),
        attempt: 3,
        peer: "mx.remote.test 192.0.2.1:25".into(),
        ..event(EventKind::Deferred)
    };
    assert_eq!(
        tell(said.clone()),
        "x@remote.test: deferred until 2026-11-24 01:37:47.000 by mx.remote.test 192.0.2.1:25 at attempt 3 \
         [TLSv1.3]: 451 4.7.1 greylisted / come back"
    );
    let found = Event { said_by_peer: false, reply: Some(reply(451, "4.4.1", "connection refused")), ..said };
    assert!(tell(found).ends_with(": found here: 451 4.4.1 connection refused"));
    let refused = Event {
        reply: Some(reply(550, "5.1.1", "no such user")),
        said_by_peer: true,
        peer: "mx.remote.test".into(),
        ..event(EventKind::Bounced)
    };
    assert_eq!(tell(refused), "x@remote.test: refused for good by mx.remote.test: 550 5.1.1 no such user");
    let nowhere = Event {
        reply: Some(reply(550, "5.1.2", "no such domain")),
        peer: "local".into(),
        ..event(EventKind::Bounced)
    };
    assert_eq!(tell(nowhere), "x@remote.test: failed for good: found here: 550 5.1.2 no such domain");
}

#[test]
fn why_a_session_was_not_encrypted_stands_beside_what_came_of_it() {
    let delivered = Event {
        reply: Some(reply(250, "2.0.0", "taken")),
        said_by_peer: true,
        peer: "mx.remote.test 192.0.2.1:25".into(),
        detail: "sent in clear: STARTTLS refused: 454".into(),
        ..event(EventKind::Delivered)
    };
    assert_eq!(
        tell(delivered),
        "x@remote.test: delivered to mx.remote.test 192.0.2.1:25 (sent in clear: STARTTLS refused: 454): \
         250 2.0.0 taken"
    );
}

#[test]
fn attempts_name_their_number_and_their_site() {
    let attempt =
        Event { attempt: 2, site: "mx1.remote.test,mx2.remote.test".into(), ..event(EventKind::Attempt) };
    assert_eq!(tell(attempt), "x@remote.test: attempt 2 at mx1.remote.test,mx2.remote.test");
}

#[test]
fn what_operators_did_is_told_with_their_reason() {
    for (kind, expected) in [
        (EventKind::Held, "held by an operator: wait"),
        (EventKind::Released, "released by an operator: wait"),
        (EventKind::Removed, "removed by an operator, without a report: wait"),
        (EventKind::Steered, "steered by an operator: wait"),
    ] {
        let told = tell(Event { detail: "wait".into(), ..event(kind) });
        assert_eq!(told, format!("x@remote.test: {expected}"));
    }
    let transferred = Event { peer: "mta2".into(), ..event(EventKind::Transferred) };
    assert_eq!(tell(transferred), "x@remote.test: handed over to mta2");
}

#[test]
fn who_submitted_a_message_is_told() {
    let received = Event {
        recipient: String::new(),
        peer: "192.0.2.7".into(),
        detail: "alice@example.test".into(),
        account: "alice".into(),
        ..event(EventKind::Received)
    };
    assert_eq!(tell(received), "received from 192.0.2.7 with sender <alice@example.test> of account alice");
}

#[test]
fn every_kind_of_event_has_a_name() {
    for number in 1.. {
        let Ok(kind) = EventKind::try_from(number) else { break };
        assert_eq!(parse_kind(name(kind)), Ok(kind));
    }
    assert!(parse_kind("nonsense").unwrap_err().contains("deferred"));
}
