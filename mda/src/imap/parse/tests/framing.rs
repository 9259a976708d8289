//! Cutting the input, wherever its pieces end.

use proptest::prelude::*;

use crate::imap::parse::*;

const LIMITS: FrameLimits = FrameLimits { command: 200, message: 1_000 };

/// All events, the input coming in pieces of these lengths; messages are accepted, and their chunks put together.
fn events(input: &[u8], pieces: &[usize]) -> Vec<Event> {
    let mut framer = Framer::new(LIMITS);
    let mut events = Vec::new();
    let mut rest = input;
    let mut pieces = pieces.iter().copied().chain(std::iter::repeat(usize::MAX));
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(pieces.next().unwrap().clamp(1, rest.len()));
        rest = after;
        framer.buffer().extend_from_slice(piece);
        while let Some(event) = framer.next_event() {
            match (event, events.last_mut()) {
                (Event::Chunk(more), Some(Event::Chunk(chunk))) => {
                    *chunk = [&chunk[..], &more].concat().into();
                }
                (event, _) => {
                    if matches!(event, Event::Append(..) | Event::AppendMore(_, Some(_))) {
                        framer.accept_message();
                    }
                    events.push(event);
                }
            }
        }
    }
    events
}

fn whole(input: &str) -> Vec<Event> {
    events(input.as_bytes(), &[])
}

fn command(text: &'static str) -> Event {
    Event::Command(Bytes::from_static(text.as_bytes()))
}

fn literal(size: u64, synchronising: bool) -> Literal {
    Literal { size, synchronising }
}

#[test]
fn lines_are_commands() {
    assert_eq!(whole("a NOOP\r\nb NOOP\nc NO"), [command("a NOOP"), command("b NOOP")]);
    assert_eq!(whole("\r\n"), [command("")]);
}

#[test]
fn literals_belong_to_their_command() {
    assert_eq!(
        whole("a LOGIN {3}\r\nx\r\n {1+}\r\ny\r\nb NOOP\r\n"),
        [Event::Continue, command("a LOGIN {3}\r\nx\r\n {1+}\r\ny"), command("b NOOP")]
    );
    // A literal may end in what looks like another, or like a line end.
    assert_eq!(whole("a X {3+}\r\n{1} y\r\n"), [command("a X {3+}\r\n{1} y")]);
    assert_eq!(whole("a X {1+}\r\n\r\nb NOOP\r\n"), [command("a X {1+}\r\n\r"), command("b NOOP")]);
}

#[test]
fn braces_elsewhere_are_no_literals() {
    for line in ["a X \"{3}\"", "a X {3} ", "a X {}", "a X {+}", "a X 3}", "a X {3x}"] {
        assert_eq!(whole(&format!("{line}\r\n")), [Event::Command(Bytes::from(line.to_owned()))]);
    }
}

#[test]
fn a_literal_beyond_the_limit_is_refused_before_it_comes() {
    let too_large = |tag: Option<&str>, size, synchronising| Event::LiteralTooLarge {
        tag: tag.map(Into::into),
        literal: literal(size, synchronising),
    };
    assert_eq!(whole("a LOGIN {201}\r\nb NOOP\r\n"), [too_large(Some("a"), 201, true), command("b NOOP")]);
    assert_eq!(whole("a LOGIN {201+}\r\nb NOOP\r\n"), [too_large(Some("a"), 201, false)]);
    assert_eq!(whole("a LOGIN {99999999999999999999999}\r\n"), [too_large(Some("a"), u64::MAX, true)]);
    assert_eq!(whole("a APPEND x {1001}\r\n"), [too_large(Some("a"), 1001, true)]);
    assert_eq!(whole("a APPEND x {1001+}\r\n"), [too_large(Some("a"), 1001, false)]);
    // Many literals count together.
    assert_eq!(
        whole(&format!("a X {}", "{100+}\r\n".to_owned() + &"x".repeat(100) + " {100}\r\n")),
        [too_large(Some("a"), 100, true)]
    );
}

#[test]
fn a_line_beyond_the_limit_ends_it_all() {
    let long = "x".repeat(201);
    assert_eq!(whole(&long), [Event::LineTooLong]);
    assert_eq!(whole(&format!("{long}\r\na NOOP\r\n")), [Event::LineTooLong]);
}

#[test]
fn a_message_is_streamed() {
    let head = |mailbox: &'static str, flags: &[&str], internal_date: Option<&str>| AppendHead {
        tag: "a".into(),
        replaces: None,
        mailbox: Bytes::from_static(mailbox.as_bytes()),
        segment: Segment {
            pieces: vec![Piece::Message {
                flags: flags.iter().map(|&flag| flag.into()).collect(),
                internal_date: internal_date.map(|date| date.parse().unwrap()),
            }],
            then: Then::Literal(Use::Message),
        },
    };
    let chunk = Event::Chunk(Bytes::from_static(b"Hi\r\nyou"));
    for (line, head, synchronising) in [
        ("a APPEND saved-messages (\\Seen) {7}", head("saved-messages", &["\\Seen"], None), true),
        ("a append \"x y\" {7+}", head("x y", &[], None), false),
        ("a APPEND {3+}\r\nx\r\n () {7}", head("x\r\n", &[], None), true),
        (
            "a APPEND x (a) \" 7-Feb-1994 21:52:25 -0800\" {7}",
            head("x", &["a"], Some("1994-02-08T05:52:25Z")),
            true,
        ),
    ] {
        assert_eq!(
            whole(&format!("{line}\r\nHi\r\nyou\r\nb NOOP\r\n")),
            [
                Event::Append(Box::new(head), literal(7, synchronising)),
                chunk.clone(),
                Event::AppendMore(Bytes::new(), None),
                command("b NOOP")
            ],
            "{line}"
        );
    }
    let more = |rest: &'static str, literal| Event::AppendMore(Bytes::from_static(rest.as_bytes()), literal);
    let events = whole("a APPEND x {7+}\r\nHi\r\nyou (\\Seen) {3}\r\nabc )\r\n");
    assert_eq!(
        events[2..],
        [more(" (\\Seen) ", Some(literal(3, true))), Event::Chunk("abc".into()), more(" )", None)]
    );
    let events = whole("a APPEND x {7+}\r\nHi\r\nyou {1001+}\r\n");
    assert_eq!(events.last(), Some(&Event::LiteralTooLarge { tag: None, literal: literal(1_001, false) }));
    let events = whole("a APPEND x {7+}\r\nHi\r\nyou {1001}\r\nb NOOP\r\n");
    assert_eq!(events.last(), Some(&command("b NOOP")));
}

#[test]
fn literals_of_messages_stand_in_many_places() {
    for (line, usage, pieces) in [
        ("a APPEND x ~{3}", Use::Binary, 1),
        ("a APPEND x (\\Seen) UTF8 (~{3+}", Use::Utf8, 1),
        ("a APPEND x CATENATE (TEXT {3}", Use::Text, 1),
        ("a APPEND x CATENATE (URL \"/x/;UID=1\" URL /y/;UID=2 TEXT {3}", Use::Text, 3),
        ("a APPEND x CATENATE (URL {3}", Use::Url, 1),
        ("a APPEND x CATENATE (URL a) (b) {3}", Use::Message, 3),
        ("a REPLACE 4 x {3}", Use::Message, 1),
        ("a UID REPLACE * x ~{3}", Use::Binary, 1),
    ] {
        match whole(&format!("{line}\r\n")).as_slice() {
            [Event::Append(head, _)] => {
                assert_eq!(head.segment.then, Then::Literal(usage), "{line}");
                assert_eq!(head.segment.pieces.len(), pieces, "{line}");
            }
            events => panic!("{line}: {events:?}"),
        }
    }
    for line in ["a APPEND x UTF8 ({3}", "a APPEND x CATENATE ({3}"] {
        assert_eq!(whole(&format!("{line}\r\n")), [Event::Continue], "{line}");
    }
    for line in ["a REPLACE 1:2 x {3}", "a APPEND x TEXT {3}"] {
        let events = whole(&format!("{line}\r\nb NOOP\r\n"));
        assert!(matches!(&events[..], [Event::WrongAppend(_), Event::Command(_)]), "{line}: {events:?}");
        let line = line.replace("{3}", "{3+}");
        let events = whole(&format!("{line}\r\nxyz\r\nb NOOP\r\n"));
        assert!(matches!(&events[..], [Event::WrongAppend(_), Event::Command(_)]), "{line}: {events:?}");
    }
}

#[test]
fn what_follows_a_message_is_read_by_what_it_was() {
    let behind = |usage, rest: &'static str| segment_behind(usage, Bytes::from_static(rest.as_bytes()));
    let then = |usage, rest| behind(usage, rest).map(|segment| segment.then).ok();
    assert_eq!(then(Use::Message, ""), Some(Then::End));
    assert_eq!(then(Use::Message, " (a) ~"), Some(Then::Literal(Use::Binary)));
    assert_eq!(then(Use::Message, ")"), None);
    assert_eq!(then(Use::Utf8, ")"), Some(Then::End));
    assert_eq!(then(Use::Utf8, ""), None);
    assert_eq!(then(Use::Text, ")"), Some(Then::End));
    assert_eq!(then(Use::Text, " URL x TEXT "), Some(Then::Literal(Use::Text)));
    assert_eq!(then(Use::Url, " URL x) \"7-Feb-1994 21:52:25 -0800\" "), None);
    assert_eq!(then(Use::Url, " URL x) \" 7-Feb-1994 21:52:25 -0800\" "), Some(Then::Literal(Use::Message)));
    assert_eq!(then(Use::Text, ""), None);
}

#[test]
fn a_refused_message_is_not_taken_for_commands() {
    for (input, comes) in [
        ("a APPEND x {8}\r\nb NOOP\r\n", true),
        ("a APPEND x {8+}\r\nz NOOP\r\n\r\nb NOOP\r\n", true),
        ("a APPEND x {2+}\r\nzz {4+}\r\n\r\nx\n {1}\r\nb NOOP\r\n", true),
    ] {
        let mut framer = Framer::new(LIMITS);
        framer.buffer().extend_from_slice(input.as_bytes());
        assert!(matches!(framer.next_event(), Some(Event::Append(..))));
        assert_eq!(framer.next_event(), None);
        framer.refuse_message();
        assert_eq!(framer.next_event().is_some(), comes);
        assert!(framer.is_empty());
    }
}

#[test]
fn before_login_a_message_is_a_literal_like_any() {
    let mut framer = Framer::new(FrameLimits { command: 50, message: 0 });
    framer.buffer().extend_from_slice(b"a APPEND x {51}\r\n");
    assert!(matches!(framer.next_event(), Some(Event::LiteralTooLarge { .. })));
}

#[test]
fn lines_in_answer_to_a_continuation_are_taken_as_they_are() {
    let mut framer = Framer::new(LIMITS);
    framer.buffer().extend_from_slice(b"AGEAYg=={3}\r\nDO");
    assert_eq!(framer.line(), Some(Ok(Bytes::from_static(b"AGEAYg=={3}"))));
    assert_eq!(framer.line(), None);
    framer.buffer().extend_from_slice(b"NE\r\n");
    assert_eq!(framer.line(), Some(Ok(Bytes::from_static(b"DONE"))));
    framer.buffer().extend_from_slice(&[b'x'; 201]);
    assert_eq!(framer.line(), Some(Err(Event::LineTooLong)));
}

const SESSION: &str = "a LOGIN {3+}\r\nbob \"x y\"\r\nb APPEND {1}\r\nx (\\Seen) {12+}\r\na\r\nb {3}\r\nc\r\n\r\n\
    c SEARCH TEXT {5}\r\n{9+}\r HEADER a {0+}\r\n\r\nd APPEND y {4}\r\nabcd\r\ne NOOP\nf LOGOUT\r\n";

proptest! {
    #[test]
    fn pieces_make_no_difference(pieces in proptest::collection::vec(1_usize..9, 0..100)) {
        prop_assert_eq!(events(SESSION.as_bytes(), &pieces), whole(SESSION));
    }

    #[test]
    fn pieces_of_noise_make_no_difference(
        input in "[ab {}0-3+\r\n\"~A-E]{0,120}",
        append in any::<bool>(),
        pieces in proptest::collection::vec(1_usize..9, 0..100),
    ) {
        let input = if append { format!("a APPEND x {{{}}}\r\n{input}", input.len() / 2) } else { input };
        prop_assert_eq!(events(input.as_bytes(), &pieces), whole(&input));
    }
}
