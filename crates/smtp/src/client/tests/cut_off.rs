//! Connections that end, and servers that lose their way: what is known then, at every octet.

use super::*;

/// How a message is sent.
#[derive(Clone, Copy, Debug)]
enum Way {
    Data,
    Chunk,
    /// By BDAT, behind the replies to RCPT.
    Chunks,
}

impl Way {
    const ALL: [Self; 3] = [Self::Data, Self::Chunk, Self::Chunks];

    /// All that a server says to a message for one recipient.
    fn replies(self) -> &'static [&'static str] {
        match self {
            Self::Data => {
                &["250 sender\r\n", "250-recipient\r\n250 ok\r\n", "354 go\r\n", "250 2.0.0 taken\r\n"]
            }
            Self::Chunk => &["250 sender\r\n", "250-recipient\r\n250 ok\r\n", "250 2.0.0 taken\r\n"],
            Self::Chunks => &["250 sender\r\n", "250 ok\r\n", "250 1 octet\r\n", "250 2.0.0 taken\r\n"],
        }
    }

    fn begin(self) -> Attempt {
        let chunking = !matches!(self, Self::Data);
        let dialogue =
            Dialogue::ready(Options { chunking, ..options() }, "250-PIPELINING\r\n250-CHUNKING\r\n");
        let mut attempt = Attempt { dialogue, said: String::new() };
        let envelope = envelope(&["b@example.test"]);
        let whole = matches!(self, Self::Chunk);
        attempt.said = if whole {
            attempt.dialogue.begins_with(&envelope, "x")
        } else {
            attempt.dialogue.begins(&envelope)
        };
        attempt
    }
}

/// A message on its way.
struct Attempt {
    dialogue: Dialogue,
    /// All that the client said.
    said: String,
}

impl Attempt {
    /// Takes what the server says octet by octet, and sends the message when it is time.
    fn hears(&mut self, text: &str) {
        for octet in text.chars() {
            self.said += &self.dialogue.hears(&octet.to_string());
            if self.dialogue.event == Event::Send {
                self.said += &self.dialogue.sends("x");
            }
        }
    }

    /// Whether the server may have seen the end of the message.
    fn end_has_left(&self) -> bool {
        self.said.contains("\r\n.\r\n") || self.said.contains("LAST")
    }

    fn outcome(&self) -> &Outcome {
        let [outcome] = self.dialogue.outcomes() else { panic!() };
        outcome
    }
}

#[test]
fn at_every_octet_of_the_replies_a_cut_is_known_for_what_it_is() {
    for way in Way::ALL {
        let script = way.replies().concat();
        for cut in 0..script.len() {
            let mut attempt = way.begin();
            attempt.hears(&script[..cut]);
            let may_have_it = attempt.end_has_left();
            attempt.dialogue.is_cut();
            let outcome = attempt.outcome();
            assert_eq!(matches!(outcome, Outcome::Unknown(_)), may_have_it, "{way:?} {cut}: {outcome:?}");
            assert!(!outcome.is_delivered());
            attempt.dialogue.goes_on();
            assert!(!attempt.dialogue.failure().from_peer);
        }
        let mut attempt = way.begin();
        attempt.hears(&script);
        assert!(attempt.outcome().is_delivered(), "{way:?}");
        // What happens to the connection behind the reply changes nothing.
        attempt.dialogue.is_cut();
        assert!(matches!(attempt.dialogue.event, Event::Failed(_)));
    }
}

#[test]
fn a_message_whose_end_has_not_left_was_not_delivered() {
    for (chunking, whole) in [(false, None), (true, None), (true, Some(Bytes::from_static(b"x")))] {
        let mut dialogue =
            Dialogue::ready(Options { chunking, ..options() }, "250-PIPELINING\r\n250-CHUNKING\r\n");
        let held = whole.is_some();
        dialogue.session.begin(&envelope(&["b@example.test"]), whole).unwrap();
        if !held {
            dialogue.goes_on();
            dialogue.hears(if chunking { "250 OK\r\n250 OK\r\n" } else { "250 OK\r\n250 OK\r\n354 go\r\n" });
            assert_eq!(dialogue.event, Event::Send);
            dialogue.session.send(b"x");
            dialogue.session.finish();
        }
        // All but the last octet has gone.
        dialogue.session.poll();
        let output = dialogue.session.output();
        let most = output.len() - 1;
        drop(output.split_to(most));
        dialogue.is_cut();
        assert!(matches!(dialogue.outcomes(), [Outcome::Transient(_)]), "{:?}", dialogue.event);
    }
}

#[test]
fn consent_before_the_end_has_left_is_worth_nothing() {
    let mut dialogue = Dialogue::ready(options(), "250-PIPELINING\r\n");
    dialogue.begins(&envelope(&["b@example.test"]));
    dialogue.hears("250 OK\r\n250 OK\r\n354 go\r\n");
    dialogue.session.send(b"x");
    dialogue.session.finish();
    dialogue.session.input().extend_from_slice(b"250 2.0.0 taken\r\n");
    dialogue.goes_on();
    let [Outcome::Transient(failure)] = dialogue.outcomes() else { panic!("{:?}", dialogue.event) };
    assert!(!failure.from_peer && failure.reply.text.starts_with("The server is out of step"));
    dialogue.goes_on();
    assert!(matches!(dialogue.event, Event::Failed(_)));
}

#[test]
fn a_421_at_each_step_is_for_later_and_ends_the_session() {
    for way in Way::ALL {
        let replies = way.replies();
        for step in 0..replies.len() {
            let mut attempt = way.begin();
            attempt.hears(&replies[..step].concat());
            attempt.hears("421 4.3.2 closing\r\n");
            let last = step + 1 == replies.len();
            match attempt.outcome() {
                // Behind the end of the message nobody knows.
                Outcome::Unknown(failure) => assert!(last && failure.from_peer, "{way:?} {step}"),
                Outcome::Transient(failure) => assert!(!last && failure.reply.code == 421, "{way:?} {step}"),
                other => panic!("{way:?} {step}: {other:?}"),
            }
            attempt.dialogue.goes_on();
            assert!(attempt.dialogue.failure().from_peer);
            attempt.dialogue.goes_on();
            assert_eq!(attempt.dialogue.event, Event::Closed);
        }
    }
}

#[test]
fn a_421_on_the_way_to_the_first_message_is_the_servers_word() {
    let script = ["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n"];
    for step in 0..=script.len() {
        let mut dialogue = Dialogue::new(options(), false);
        for said in &script[..step] {
            dialogue.hears(said);
        }
        dialogue.hears("421 4.3.2 closing\r\n");
        assert!(dialogue.failure().from_peer && dialogue.failure().reply.code == 421, "{step}");
    }
    let mut dialogue = Dialogue::ready(options(), "");
    dialogue.session.reset();
    dialogue.goes_on();
    dialogue.hears("421 4.4.2 idle\r\n");
    assert_eq!((dialogue.failure().stage, dialogue.failure().reply.code), (Stage::Reset, 421));
}

#[test]
fn garbage_at_each_step_ends_the_session() {
    let long_line = format!("250 {}\r\n", "x".repeat(4000));
    let flood = "250-and so on\r\n".repeat(10_000);
    let unended = "2".repeat(4000);
    for garbage in ["SSH-2.0-x\r\n", "199 no\r\n", "250-a\r\n251 b\r\n", "\r\n", &long_line, &flood, &unended]
    {
        for way in Way::ALL {
            let replies = way.replies();
            for step in 0..replies.len() {
                let mut attempt = way.begin();
                attempt.hears(&replies[..step].concat());
                let may_have_it = attempt.end_has_left();
                attempt.dialogue.hears(garbage);
                let outcome = attempt.outcome();
                assert_eq!(
                    matches!(outcome, Outcome::Unknown(_)),
                    may_have_it,
                    "{way:?} {step}: {outcome:?}"
                );
                attempt.dialogue.goes_on();
                let failure = attempt.dialogue.failure();
                assert!(!failure.from_peer && failure.reply.is_transient());
            }
        }
    }
}

#[test]
fn replies_behind_the_last_one_are_not_those_of_the_next_message() {
    let mut dialogue = Dialogue::ready(options(), "250-PIPELINING\r\n");
    for _ in 0..2 {
        dialogue.begins(&envelope(&["b@example.test"]));
        dialogue.hears("250 OK\r\n250 OK\r\n354 go\r\n");
        dialogue.sends("x");
        dialogue.hears("250 taken\r\n250 taken\r\n250 taken\r\n250");
        assert!(dialogue.outcomes()[0].is_delivered());
        dialogue.goes_on();
        assert_eq!(dialogue.event, Event::Ready);
    }
}

#[test]
fn a_session_that_said_quit_is_over_whatever_comes() {
    for end in ["221 bye\r\n", "250 hm\r\n", "SSH\r\n", ""] {
        let mut dialogue = Dialogue::ready(options(), "");
        dialogue.session.quit();
        dialogue.goes_on();
        dialogue.hears(end);
        if end.is_empty() {
            dialogue.is_cut();
        }
        assert_eq!(dialogue.event, Event::Closed, "{end:?}");
    }
}
