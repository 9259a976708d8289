//! Hosts that misbehave in every way that is known of them, each at each step: what becomes of the recipient, how often it
//! is tried, and what the host has seen.

pub mod cases;

use proto::mta::{EventKind, RecipientState};
use service::config::{ByteSize, HumanDuration};
use service::smtp::client::Timeouts;

use super::exchange::{Fault, How, Offers, Script, Step};
use super::node::{Node, envelope};
use cases::{ALL, BY_DATA, CHUNKING, Case, MESSAGE, Size, conclude, one_host, story};

use How::{Drips, Endless, Ends, Late, Resets, Says, Sips};
use Size::Large;

/// What the host has seen of a message that went through.
const WHOLE: &str = "EHLO MAIL RCPT .";

/// A line that does not end where the longest should.
const OVERLONG: &str = match std::str::from_utf8(&[b'2'; 4_000]) {
    Ok(line) => line,
    Err(_) => "",
};

/// How far a host is when something goes wrong at a step, and what the step is called.
const STEPS: [(Step, &[Offers], &str, &str); 6] = [
    (Step::Greeting, ALL, "", "greeting"),
    (Step::Hello, ALL, "", "EHLO"),
    (Step::Mail, ALL, "EHLO", "MAIL"),
    (Step::Rcpt(0), ALL, "EHLO MAIL", "RCPT"),
    (Step::Data, BY_DATA, "EHLO MAIL RCPT", "DATA"),
    // The host has all of it here, and gets it again.
    (Step::End, ALL, WHOLE, "end of message"),
];

fn at_each_step(how: How, told: impl Fn(&str) -> String) -> Vec<Case> {
    let case = |(at, offers, seen, name): (Step, &'static [Offers], &str, &str)| {
        Case::new(at, how).offering(offers).told(&told(name)).seen(&[seen, WHOLE])
    };
    STEPS.map(case).into()
}

#[tokio::test]
async fn a_connection_that_is_cut_is_tried_again_with_the_same_message() {
    let closed = |step: &str| format!("deferred 451 4.4.2 Connection closed by the server at {step}");
    // A reset overtakes the replies that came before it.
    let lost = |_: &str| "deferred 451 4.4.2 Connection lost at ".to_owned();
    let mut cases = at_each_step(Ends(""), closed);
    cases.extend(at_each_step(Resets, lost));
    // In the middle of the message, whether or not the rest of it has left by then, and behind a chunk.
    let (somewhere, end) = (closed(""), closed("end of message"));
    let in_the_middle = |at, size, offers| {
        let seen = &["EHLO MAIL RCPT", WHOLE];
        Case::new(at, Ends("")).of(size).offering(offers).told(&somewhere).seen(seen)
    };
    cases.extend([
        in_the_middle(Step::Body, Size::Small, BY_DATA),
        in_the_middle(Step::Body, Large, BY_DATA),
        in_the_middle(Step::Chunk, Large, CHUNKING),
    ]);
    // In the middle of the last reply, and between its lines.
    for reply in ["2", "250 2.0.0 ta", "250-2.0.0 taken\r\n", "250 2.0.0 taken", "250 2.0.0 taken\r"] {
        cases.push(Case::new(Step::End, Ends(reply)).told(&end).seen(&[WHOLE, WHOLE]));
    }
    // Behind it.
    cases.push(
        Case::new(Step::End, Ends("250 2.0.0 taken\r\n")).told("delivered 250 2.0.0 taken").seen(&[WHOLE]),
    );
    conclude(cases, |_| {}).await;
}

#[tokio::test]
async fn a_server_that_says_that_it_closes_is_tried_again() {
    let told = |_: &str| "deferred 421 4.3.2 closing".to_owned();
    let mut cases = at_each_step(Ends("421 4.3.2 closing\r\n"), told);
    let again = |at, size, offers| {
        let seen = &["EHLO MAIL RCPT", WHOLE];
        Case::new(at, Ends("421 4.3.2 closing\r\n")).of(size).offering(offers).told(&told("")).seen(seen)
    };
    cases.extend([
        again(Step::Body, Large, BY_DATA),
        again(Step::Chunk, Large, CHUNKING),
        Case::new(Step::StartTls, Ends("421 4.3.2 closing\r\n")).told(&told("")).seen(&["EHLO", WHOLE]),
        // What a host says of itself is not about the message.
        Case::new(Step::Greeting, Ends("554 5.3.2 not a mail server\r\n"))
            .told("deferred 454 4.3.2 not a mail server")
            .seen(&["", WHOLE]),
    ]);
    conclude(cases, |_| {}).await;
}

#[tokio::test]
async fn a_reply_that_is_none_ends_the_session_and_not_the_message() {
    let malformed = |_: &str| "deferred 451 4.5.0 malformed reply: ".to_owned();
    let too_long = |_: &str| "deferred 451 4.5.0 reply too long".to_owned();
    let mut cases = Vec::new();
    for reply in ["what?\r\n", "25\r\n", "600 2.0.0 more than anyone says\r\n", "250-so\r\n550 or not\r\n"] {
        cases.extend(at_each_step(Says(reply), malformed));
    }
    cases.extend(at_each_step(Says(OVERLONG), too_long));
    cases.extend(at_each_step(Endless, too_long));
    let out_of_step = "deferred 451 4.5.0 The server is out of step";
    for (at, offers, seen, reply) in [
        (Step::Mail, ALL, "EHLO", "354 go on\r\n"),
        (Step::Rcpt(0), ALL, "EHLO MAIL", "354 go on\r\n"),
        (Step::Data, BY_DATA, "EHLO MAIL RCPT", "250 2.0.0 ok\r\n"),
        (Step::End, ALL, WHOLE, "354 go on\r\n"),
    ] {
        cases.push(Case::new(at, Says(reply)).offering(offers).told(out_of_step).seen(&[seen, WHOLE]));
    }
    conclude(cases, |_| {}).await;
}

#[tokio::test]
async fn a_reply_without_an_enhanced_code_or_a_text_is_a_reply() {
    let mut cases = Vec::new();
    for reply in
        ["250\r\n", "250 \r\n", "250 taken\r\n", "250 5.1.1 taken\r\n", "250-\r\n250\r\n", "250 ok\n"]
    {
        for at in [Step::Hello, Step::Mail, Step::Rcpt(0), Step::End] {
            cases.push(Case::new(at, Says(reply)).told("delivered 250").seen(&[WHOLE]));
        }
    }
    conclude(cases, |_| {}).await;
}

#[tokio::test]
async fn a_refusal_holds_for_what_it_is_said_to() {
    let (later, never) = ("deferred 452 4.3.1 not now", "bounced 554 5.7.1 never");
    let refused = |at, how, told| Case::new(at, Says(how)).told(told);
    let (not_now, not_ever) = ("452 4.3.1 not now\r\n", "554 5.7.1 never\r\n");
    let cases = vec![
        // The session goes on, and the next attempt uses it.
        refused(Step::Mail, not_now, later).seen(&["EHLO RSET MAIL RCPT ."]),
        refused(Step::Mail, not_ever, never).seen(&["EHLO"]),
        refused(Step::Rcpt(0), not_now, later).seen(&["EHLO MAIL RSET MAIL RCPT ."]),
        refused(Step::Rcpt(0), not_ever, never).seen(&["EHLO MAIL"]),
        refused(Step::Data, not_now, later).offering(BY_DATA).seen(&["EHLO MAIL RCPT RSET MAIL RCPT ."]),
        refused(Step::Data, not_ever, never).offering(BY_DATA).seen(&["EHLO MAIL RCPT"]),
        refused(Step::End, not_now, later).offering(BY_DATA).seen(&["EHLO MAIL RCPT . MAIL RCPT ."]),
        refused(Step::End, not_now, later).offering(CHUNKING).seen(&["EHLO MAIL RCPT . RSET MAIL RCPT ."]),
        refused(Step::End, not_ever, never).seen(&[WHOLE]),
        refused(Step::Chunk, not_now, later)
            .of(Large)
            .offering(CHUNKING)
            .seen(&["EHLO MAIL RCPT RSET MAIL RCPT ."]),
        refused(Step::Chunk, not_ever, never).of(Large).offering(CHUNKING).seen(&["EHLO MAIL RCPT"]),
        // Nobody asked yet; it is heard all the same.
        Case::new(Step::Body, Ends(not_ever))
            .of(Large)
            .offering(BY_DATA)
            .told(never)
            .seen(&["EHLO MAIL RCPT"]),
        Case::new(Step::Body, Ends(not_now))
            .of(Large)
            .offering(BY_DATA)
            .told(later)
            .seen(&["EHLO MAIL RCPT", WHOLE]),
        // A host that does not know EHLO, and knows HELO.
        refused(Step::Hello, "502 5.5.1 what\r\n", "delivered 250 2.0.0 taken").seen(&["HELO MAIL RCPT ."]),
        refused(Step::Hello, not_now, later).seen(&["", WHOLE]),
    ];
    conclude(cases, |_| {}).await;
}

/// Every timeout two seconds.
fn hurried(config: &mut mta::Config) {
    let soon = HumanDuration::from_secs(2);
    config.outbound.timeouts = Timeouts {
        greeting: soon,
        hello: soon,
        tls: soon,
        mail: soon,
        rcpt: soon,
        data: soon,
        block: soon,
        end: soon,
        reset: soon,
        ..Timeouts::default()
    };
}

#[tokio::test]
async fn a_reply_that_is_not_whole_in_its_time_is_no_reply() {
    let told = |step: &str| format!("deferred 451 4.4.2 Timed out at {step}");
    let mut cases = at_each_step(Late, told);
    cases.extend(at_each_step(Drips, told));
    cases.extend([
        Case::new(Step::Chunk, Late)
            .of(Large)
            .offering(CHUNKING)
            .told(&told("message"))
            .seen(&["EHLO MAIL RCPT", WHOLE]),
        Case::new(Step::StartTls, Late).told(&told("STARTTLS")).seen(&["EHLO", WHOLE]),
    ]);
    conclude(cases, hurried).await;
}

#[tokio::test]
async fn a_host_that_takes_the_message_drop_by_drop_is_given_up() {
    let told = "deferred 451 4.4.2 Timed out at message";
    let sips = |octets| {
        Case::new(Step::Body, Sips(octets))
            .of(Size::Huge)
            .offering(BY_DATA)
            .told(told)
            .seen(&["EHLO MAIL RCPT", WHOLE])
    };
    // One block does not leave in its time; each does, and yet the message comes too slowly.
    conclude(vec![sips(1)], hurried).await;
    let at_a_rate = |config: &mut mta::Config| {
        config.outbound.timeouts.block = HumanDuration::from_secs(3);
        config.outbound.timeouts.min_rate = ByteSize::mib(8);
    };
    conclude(vec![sips(16 << 10)], at_a_rate).await;
    let in_all = |config: &mut mta::Config| config.outbound.timeouts.message = HumanDuration::from_secs(4);
    conclude(vec![sips(4 << 10)], in_all).await;
}

#[tokio::test]
async fn where_tls_breaks_or_hangs_mail_goes_in_clear_and_the_trace_says_why() {
    let told = "delivered 250 2.0.0 taken";
    let tls = |at, how| Case::new(at, how).told(told);
    let failed = "sent in clear: TLS handshake failed: ";
    let again: &[&str] = &["EHLO STARTTLS", WHOLE];
    let cases = vec![
        tls(Step::Handshake, Ends("")).seen(again).with_detail(failed),
        tls(Step::Handshake, Resets).seen(again).with_detail(failed),
        tls(Step::Handshake, Says("what?\r\n")).seen(again).with_detail(failed),
        // The beginning of a record that never comes.
        tls(Step::Handshake, Ends("\x16\x03\x03\x01\x00")).seen(again).with_detail(failed),
        // A fatal alert: handshake_failure.
        tls(Step::Handshake, Ends("\x15\x03\x03\x00\x02\x02\x28")).seen(again).with_detail(failed),
        tls(Step::Handshake, Late).seen(again).with_detail(failed),
        tls(Step::StartTls, Says("454 4.7.0 not now\r\n"))
            .seen(&[WHOLE])
            .with_detail("sent in clear: STARTTLS refused: 454 4.7.0 not now"),
    ];
    conclude(cases, hurried).await;
}

/// The waits are so long that there is one attempt.
async fn patient(names: super::names::Names, port: u16) -> Node {
    Node::start_with(names, port, |config| config.retry.first = HumanDuration::from_hours(1)).await
}

#[tokio::test]
async fn replies_to_recipients_are_theirs_alone() {
    for (offers, host) in ALL.iter().zip(1..) {
        let (mut exchange, names) = one_host(host, Script { offers: *offers, ..Script::default() }).await;
        let node = patient(names, exchange.address.port()).await;
        let envelope =
            envelope(&["bob@remote.test", "450@remote.test", "550@remote.test", "552@remote.test"]);
        node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
        let report = node.mda.delivered().await.body;
        let told = report.lines().filter(|line| line.starts_with("Final-Recipient: ")).collect::<Vec<_>>();
        assert_eq!(told, ["Final-Recipient: rfc822; 550@remote.test"]);
        node.eventually(async || {
            let states = node.get(&envelope.message_id).await.unwrap().recipients;
            states.iter().all(|one| one.state() != RecipientState::InFlight)
        })
        .await;
        let message = node.get(&envelope.message_id).await.unwrap();
        let states = message.recipients.iter().map(|one| {
            let code = one.last_reply.as_ref().map_or(0, |reply| reply.code);
            (one.state(), one.attempts, code, one.next_attempt_at.is_some())
        });
        let waits = |code| (RecipientState::Queued, 1, code, true);
        // 552 means that there are too many recipients (RFC 5321 §4.5.3.1.10).
        let expected = [
            (RecipientState::Delivered, 1, 250, false),
            waits(450),
            (RecipientState::Bounced, 1, 550, false),
            waits(552),
        ];
        assert_eq!(states.collect::<Vec<_>>(), expected, "{offers:?}");
        assert_eq!(exchange.heard(), [WHOLE]);
        assert_eq!(exchange.received().await.to, ["bob@remote.test"]);
    }
}

#[tokio::test]
async fn a_message_that_no_recipient_was_accepted_for_is_not_sent() {
    for (offers, host) in ALL.iter().zip(11..) {
        let (mut exchange, names) = one_host(host, Script { offers: *offers, ..Script::default() }).await;
        let node = patient(names, exchange.address.port()).await;
        node.enqueue(envelope(&["550@remote.test", "553@remote.test"]), MESSAGE).await.unwrap();
        let report = node.mda.delivered().await.body;
        let told = report.lines().filter(|line| line.starts_with("Status: ")).count();
        assert_eq!(told, 2, "{report}");
        assert_eq!(exchange.heard(), ["EHLO MAIL"]);
        assert!(exchange.received_so_far().is_empty());
    }
}

/// What was said to a recipient before the connection was lost counts, and what came after it is for the others.
#[tokio::test]
async fn replies_that_came_before_a_cut_count() {
    let cuts = [
        (Step::Rcpt(2), ALL, "EHLO MAIL RCPT"),
        (Step::Data, BY_DATA, "EHLO MAIL RCPT RCPT"),
        (Step::End, ALL, "EHLO MAIL RCPT RCPT ."),
    ];
    let cases = cuts.into_iter().flat_map(|(at, offers, seen)| offers.iter().map(move |o| (at, *o, seen)));
    for ((at, offers, seen), number) in cases.zip(21..) {
        let script =
            Script { misbehaves: 1, offers, fault: Some(Fault { at, how: Ends("") }), ..Script::default() };
        let (exchange, names) = one_host(number, script).await;
        let node = Node::start(names, exchange.address.port()).await;
        let envelope = envelope(&["bob@remote.test", "550@remote.test", "carol@remote.test"]);
        node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
        node.mda.delivered().await;
        node.eventually(async || node.waiting().await == 0).await;
        let events = node.trace(&envelope.message_id).await;
        let of = |recipient| {
            let events = events.iter().filter(|event| event.recipient == recipient);
            events.map(proto::mta::Event::kind).collect::<Vec<_>>()
        };
        let (begun, put_off, done) = (EventKind::Attempt, EventKind::Deferred, EventKind::Delivered);
        for recipient in ["bob@remote.test", "carol@remote.test"] {
            assert_eq!(of(recipient), [begun, put_off, begun, done], "{at:?} {offers:?}");
        }
        assert_eq!(
            of("550@remote.test"),
            [begun, EventKind::Bounced, EventKind::Reported],
            "{at:?} {offers:?} {:?}",
            story(&events)
        );
        assert_eq!(exchange.heard(), [seen, "EHLO MAIL RCPT RCPT ."], "{at:?} {offers:?}");
    }
}

/// A host may end a session that waits, and what it has not answered goes over another one at once. What it may have taken
/// does not.
#[tokio::test]
async fn over_a_session_that_was_used_before_nothing_goes_twice_in_one_attempt() {
    let again = &["deferred 451 4.4.2 Connection closed by the server at ", "attempt 2", "delivered 250"];
    let ends = [
        (Step::Mail, BY_DATA, &again[2..], WHOLE),
        // With all of the message in one breath, nobody knows how far a host came that answered nothing.
        (Step::Mail, CHUNKING, again, WHOLE),
        (Step::Rcpt(0), ALL, again, "EHLO MAIL RCPT . MAIL"),
        (Step::Data, BY_DATA, again, "EHLO MAIL RCPT . MAIL RCPT"),
        (Step::End, ALL, again, "EHLO MAIL RCPT . MAIL RCPT ."),
    ];
    let cases = ends
        .into_iter()
        .flat_map(|(at, offers, told, seen)| offers.iter().map(move |o| (at, *o, told, seen)));
    for ((at, offers, told, seen), number) in cases.zip(41..) {
        let fault = Some(Fault { at, how: Ends("") });
        let script = Script { misbehaves: 1, offers, fault, spares: 1, ..Script::default() };
        let (mut exchange, names) = one_host(number, script).await;
        let node = Node::start_with(names, exchange.address.port(), |config| {
            config.outbound.sites.idle = HumanDuration::from_hours(1);
            // One at a time: the second goes when the first has given the session back.
            config.outbound.sites.first = 1;
            config.outbound.sites.most = 1;
        })
        .await;
        let envelopes = [envelope(&["bob@remote.test"]), envelope(&["carol@remote.test"])];
        for envelope in &envelopes {
            node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
            node.event(&envelope.message_id, EventKind::Delivered).await;
        }
        let story = story(&node.trace(&envelopes[1].message_id).await);
        let expected = [&["attempt 1"], told].concat();
        let is_so = story.len() == expected.len()
            && story.iter().zip(&expected).all(|(told, expected)| told.starts_with(expected));
        assert!(is_so, "{at:?} {offers:?} {story:#?}");
        assert_eq!(exchange.heard(), [seen, WHOLE], "{at:?} {offers:?}");
        assert_eq!(exchange.received_so_far().len(), seen.matches('.').count() + 1);
    }
}
