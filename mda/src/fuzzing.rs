//! What is read from outside or from the disk, as functions over octets that may be anything: `tests/fuzz` makes
//! octets up, and a test replays those that found something new. A function returns if all is well, and panics if not.

use bytes::Bytes;

use crate::imap::name::Encoding;
use crate::imap::parse::{self, Event, FrameLimits, Framer, Then};
use crate::outline::Outline;
use crate::pop3;
use crate::store;

/// Octets that clients send by IMAP: the first says in what pieces they come.
pub fn imap(input: &[u8]) {
    let Some((first, input)) = input.split_first() else { return };
    let mut framer = Framer::new(FrameLimits { command: 4_096, message: 4_096 });
    for piece in input.chunks(usize::from(*first) % 64 + 1) {
        framer.buffer().extend_from_slice(piece);
        let mut expected = None;
        while let Some(event) = framer.next_event() {
            match event {
                Event::Command(frame) => command(&frame),
                Event::Append(head, literal) => {
                    expected = usage(head.segment.then);
                    answer(&mut framer, literal.size);
                }
                Event::AppendMore(rest, literal) => {
                    let segment = expected.take().map(|usage| parse::segment_behind(usage, rest));
                    if let Some(literal) = literal {
                        expected = segment.and_then(Result::ok).and_then(|segment| usage(segment.then));
                        answer(&mut framer, literal.size);
                    }
                }
                Event::Chunk(chunk) => assert!(!chunk.is_empty()),
                Event::Continue
                | Event::WrongAppend(_)
                | Event::LiteralTooLarge { .. }
                | Event::LineTooLong => {}
            }
        }
        assert!(framer.buffer().len() <= 2 * 4_096 + 64, "what waits is bounded");
    }
}

fn usage(then: Then) -> Option<parse::Use> {
    match then {
        Then::Literal(usage) => Some(usage),
        Then::End => None,
    }
}

/// Some messages are taken, others are not.
fn answer(framer: &mut Framer, size: u64) {
    if size.is_multiple_of(3) { framer.refuse_message() } else { framer.accept_message() }
}

fn command(frame: &Bytes) {
    if parse::request(frame.clone()).is_err() {
        return;
    }
    for encoding in [Encoding::ModifiedUtf7, Encoding::Utf8] {
        let Ok(name) = encoding.decode(frame) else { continue };
        assert_eq!(encoding.decode(encoding.encode(&name).as_bytes()).as_deref(), Ok(name.as_str()));
    }
    parse::message_url(frame);
}

/// Octets that clients send by POP3: the first says in what pieces they come.
pub fn pop3(input: &[u8]) {
    if let Some((first, input)) = input.split_first() {
        pop3::read(input, usize::from(*first) % 64 + 1);
    }
}

/// A message: what is kept of its structure must come back as it was.
pub fn outline(message: &[u8]) {
    let outline = Outline::of(message);
    let kept = Outline::decode(outline.encode());
    assert_eq!(kept.and_then(|kept| kept.structure()), outline.structure());
    Outline::decode(Bytes::copy_from_slice(message));
}

/// A row of the mail store, as a disk might give it.
pub fn rows(input: &[u8]) {
    store::read_any_row(input);
}
