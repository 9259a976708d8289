//! Cutting the input into commands.

use bytes::{Buf, Bytes, BytesMut};

use super::append::{self, AppendHead};
use super::{BadCommand, tag_of};

/// Literals in one command.
const LITERALS: usize = 256;

/// What the framer accepts at most; changed as the session proceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Octets of one command, its literals included, but not the messages of an APPEND.
    pub command: usize,
    /// Octets of a message in APPEND; 0 if messages are not taken yet.
    pub message: u64,
}

/// The announcement of a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// In octets.
    pub size: u64,
    /// The client waits for a continuation request. If not, the octets come whatever we say (RFC 7888).
    pub synchronising: bool,
}

/// What the framer found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Ask for the literal: the client waits for `+`.
    Continue,
    /// A whole command without its line end.
    Command(Bytes),
    /// An APPEND up to its message. Answer with [`Framer::accept_message`] or [`Framer::refuse_message`].
    Append(Box<AppendHead>, Literal),
    /// An APPEND that is wrong before its message, which is not asked for; octets of it that come all the same are
    /// dropped.
    WrongAppend(BadCommand),
    /// Octets of an accepted message.
    Chunk(Bytes),
    /// What stands behind such a literal, up to the next one or the end of the command. The next is accepted or refused
    /// as the first was.
    AppendMore(Bytes, Option<Literal>),
    /// A literal beyond the limits. A synchronising one is refused by a tagged response, and its command with it;
    /// after one that is not, the connection cannot go on.
    LiteralTooLarge {
        /// The command's, if it can be read.
        tag: Option<String>,
        /// As announced.
        literal: Literal,
    },
    /// A line beyond the limits: the connection cannot go on.
    LineTooLong,
}

/// Finds the ends of commands in a stream of octets, whatever its pieces.
#[derive(Debug)]
pub struct Framer {
    limits: FrameLimits,
    buffer: BytesMut,
    /// Where in `buffer` the current line begins: behind the command's last literal.
    line: usize,
    /// Octets of `buffer` that were searched for the line's end.
    scanned: usize,
    literals: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A line of a command, up to its end or a literal.
    Line,
    /// The literal that ends at this octet of the buffer.
    Literal {
        end: usize,
    },
    /// An APPEND's announcement is with the session, which must accept or refuse.
    Announced {
        literal: Literal,
    },
    /// A literal of an APPEND.
    Message {
        left: u64,
    },
    /// What follows the message.
    AfterMessage,
    /// Octets of a refused message that come all the same, then the rest of its line.
    Discard {
        left: u64,
    },
    DiscardLine,
    /// Out of step with the client: nothing more is read.
    Failed,
}

impl Framer {
    /// An empty framer.
    pub fn new(limits: FrameLimits) -> Self {
        Self { limits, buffer: BytesMut::new(), line: 0, scanned: 0, literals: 0, state: State::Line }
    }

    /// From the next line on.
    pub fn set_limits(&mut self, limits: FrameLimits) {
        self.limits = limits;
    }

    /// Where to put octets that arrive. Take all events before reading more: so it stays within the limits.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Nothing has arrived that was not yet taken. After STARTTLS anything else is an attack (CVE-2011-0411).
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Gives back the memory of what was taken, if that was all; says whether it was.
    pub fn give_back(&mut self) -> bool {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        self.buffer.is_empty()
    }

    /// The next event, or None until more octets are put into the buffer.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            match self.state {
                State::Line => match self.line_of_command() {
                    None if matches!(self.state, State::Literal { .. }) => {}
                    event => return event,
                },
                State::Literal { end } => {
                    if self.buffer.len() < end {
                        return None;
                    }
                    self.line = end;
                    self.scanned = end;
                    self.state = State::Line;
                }
                State::Announced { .. } | State::Failed => return None,
                State::Message { left: 0 } => self.state = State::AfterMessage,
                State::Message { left } => {
                    let chunk = self.take_up_to(left)?;
                    self.state = State::Message { left: left - chunk.len() as u64 };
                    return Some(Event::Chunk(chunk));
                }
                State::AfterMessage => {
                    return match self.line()? {
                        Ok(rest) => Some(self.after_message(&rest)),
                        Err(too_long) => Some(too_long),
                    };
                }
                State::Discard { left: 0 } => self.state = State::DiscardLine,
                State::Discard { left } => {
                    let chunk = self.take_up_to(left)?;
                    self.state = State::Discard { left: left - chunk.len() as u64 };
                }
                State::DiscardLine => match self.line()? {
                    // What was announced without waiting comes too.
                    Ok(rest) => {
                        self.state = match announced(&rest) {
                            Some((_, Literal { size, synchronising: false })) => {
                                State::Discard { left: size }
                            }
                            _ => State::Line,
                        }
                    }
                    Err(too_long) => return Some(too_long),
                },
            }
        }
    }

    /// The announced message shall come as [`Event::Chunk`]s. For a synchronising literal, ask for it.
    pub fn accept_message(&mut self) {
        if let State::Announced { literal } = self.state {
            self.state = State::Message { left: literal.size };
        }
    }

    /// The announced message is not wanted: octets of it that come all the same are dropped.
    pub fn refuse_message(&mut self) {
        match self.state {
            State::Announced { literal } if literal.synchronising => self.state = State::Line,
            State::Announced { literal } => self.state = State::Discard { left: literal.size },
            // Refused half-way: the rest still comes.
            State::Message { left } => self.state = State::Discard { left },
            State::AfterMessage => self.state = State::DiscardLine,
            _ => {}
        }
    }

    /// The next line as it is, without its end: for what answers a continuation request. None until it is whole.
    pub fn line(&mut self) -> Option<Result<Bytes, Event>> {
        match self.line_end() {
            Ok(Some((text, end))) => {
                let line = self.buffer.split_to(end).freeze().slice(..text);
                self.begin_command();
                Some(Ok(line))
            }
            Ok(None) => None,
            Err(too_long) => Some(Err(too_long)),
        }
    }

    /// None if the line is not whole, or ended in a literal that needs no answer.
    fn line_of_command(&mut self) -> Option<Event> {
        let (text, end) = match self.line_end() {
            Ok(ends) => ends?,
            Err(too_long) => return Some(too_long),
        };
        let line = self.buffer.get(self.line..text).unwrap_or_default();
        let Some((announcement, literal)) = announced(line) else {
            let command = self.buffer.split_to(end).freeze().slice(..text);
            self.begin_command();
            return Some(Event::Command(command));
        };
        self.literal(literal, text - announcement, end)
    }

    /// A literal is announced at `before`, and begins at `start`.
    fn literal(&mut self, literal: Literal, before: usize, start: usize) -> Option<Event> {
        self.literals += 1;
        let head = Bytes::copy_from_slice(self.buffer.get(..before).unwrap_or_default());
        if self.limits.message > 0
            && let Some(append) = append::head(head.clone())
        {
            self.buffer.advance(start);
            self.begin_command();
            if literal.size > self.limits.message {
                return Some(self.too_large(tag_of(&head), literal));
            }
            self.state = State::Announced { literal };
            return Some(match append {
                Ok(append) => Event::Append(Box::new(append), literal),
                Err(wrong) => {
                    self.refuse_message();
                    Event::WrongAppend(wrong)
                }
            });
        }
        let end = usize::try_from(literal.size).ok().and_then(|size| start.checked_add(size));
        match end {
            Some(end) if end <= self.limits.command && self.literals <= LITERALS => {
                self.state = State::Literal { end };
                literal.synchronising.then_some(Event::Continue)
            }
            _ => {
                self.buffer.advance(start);
                self.begin_command();
                Some(self.too_large(tag_of(&head), literal))
            }
        }
    }

    fn too_large(&mut self, tag: Option<String>, literal: Literal) -> Event {
        if !literal.synchronising {
            self.fail();
        }
        Event::LiteralTooLarge { tag, literal }
    }

    fn after_message(&mut self, rest: &Bytes) -> Event {
        let Some((announcement, literal)) = announced(rest) else {
            self.state = State::Line;
            return Event::AppendMore(rest.clone(), None);
        };
        if literal.size > self.limits.message {
            self.state = State::Line;
            return self.too_large(None, literal);
        }
        self.state = State::Announced { literal };
        Event::AppendMore(rest.slice(..rest.len() - announcement), Some(literal))
    }

    /// Where the current line's text ends, and where the next begins. A bare LF ends a line too, as it always did
    /// for people who type; nothing is passed on to where that could matter.
    fn line_end(&mut self) -> Result<Option<(usize, usize)>, Event> {
        let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
        let Some(found) = unseen.iter().position(|&octet| octet == b'\n') else {
            if self.buffer.len() > self.limits.command {
                return Err(self.too_long());
            }
            self.scanned = self.buffer.len();
            return Ok(None);
        };
        let newline = self.scanned + found;
        if newline > self.limits.command {
            return Err(self.too_long());
        }
        // A CR belongs to the line end only if it is the line's, not a literal's last octet.
        let carriage_return = newline > self.line && self.buffer.get(newline - 1) == Some(&b'\r');
        let text = newline - usize::from(carriage_return);
        Ok(Some((text, newline + 1)))
    }

    fn too_long(&mut self) -> Event {
        self.fail();
        Event::LineTooLong
    }

    fn fail(&mut self) {
        self.buffer.clear();
        self.begin_command();
        self.state = State::Failed;
    }

    fn begin_command(&mut self) {
        self.line = 0;
        self.scanned = 0;
        self.literals = 0;
    }

    fn take_up_to(&mut self, left: u64) -> Option<Bytes> {
        if self.buffer.is_empty() {
            return None;
        }
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
        Some(self.buffer.split_to(length).freeze())
    }
}

/// A literal at the end of a line: `["~"] "{" number64 ["+"] "}"`, and how many octets announce it. A `~` is left
/// to the parser, which knows where a literal8 may stand.
fn announced(line: &[u8]) -> Option<(usize, Literal)> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, synchronising) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, false),
        None => (inner, true),
    };
    let digits = inner.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let (before, number) = inner.split_at_checked(inner.len() - digits)?;
    if digits == 0 || before.last() != Some(&b'{') {
        return None;
    }
    let announcement = line.len() - before.len() + 1;
    let size = number
        .iter()
        .fold(0_u64, |size, digit| size.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some((announcement, Literal { size, synchronising }))
}
