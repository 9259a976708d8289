//! The message: by DATA (RFC 5321 §4.1.1.4) or by BDAT (RFC 3030 §2), counted, and read to its end whatever happens.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{Abort, Event, Question, Session, State, Transaction, replies};
use crate::reply::Reply;
use crate::{bdat, data};

/// A message that is being received.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    /// Octets that have arrived.
    size: u64,
    /// What the client will be told at the end instead of the handler's reply. The handler has nothing more to do with
    /// the message.
    refusal: Option<Reply>,
}

/// How the message's end is found.
#[derive(Debug)]
enum Framing {
    Data(data::Decoder),
    Chunks {
        decoder: bdat::Decoder,
        /// This chunk is the last.
        last: bool,
    },
}

/// How far the message has come.
enum Progress {
    /// More has to be read.
    Incomplete,
    /// A chunk has ended, and it was not the last.
    ChunkEnd,
    /// The message has ended.
    End,
}

impl Body {
    fn new(framing: Framing) -> Self {
        Self { framing, size: 0, refusal: None }
    }

    /// Whether the message is only read to find its end.
    pub(super) fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    fn decode(&mut self, input: &mut BytesMut) -> Bytes {
        let before = input.len();
        let chunk = match &mut self.framing {
            Framing::Data(decoder) => decoder.decode(input),
            Framing::Chunks { decoder, .. } => decoder.decode(input),
        };
        // A message that is refused is counted as it arrives, or bare line ends in it would go uncounted.
        let octets = if self.is_refused() { before - input.len() } else { chunk.len() };
        self.size = self.size.saturating_add(octets as u64);
        chunk
    }

    fn progress(&self) -> Progress {
        match &self.framing {
            Framing::Data(decoder) if decoder.is_finished() => Progress::End,
            Framing::Chunks { decoder, last } if decoder.is_chunk_finished() => {
                if *last {
                    Progress::End
                } else {
                    Progress::ChunkEnd
                }
            }
            _ => Progress::Incomplete,
        }
    }

    /// Whether the message cannot be taken because of a CR or LF in it.
    fn has_bare_line_end(&self) -> bool {
        match &self.framing {
            Framing::Data(decoder) => decoder.has_bare_line_end(),
            Framing::Chunks { decoder, last } => {
                *last && decoder.is_chunk_finished() && decoder.has_bare_cr()
            }
        }
    }
}

impl Transaction {
    /// Whether nothing can come of it any more: its message began by BDAT and was refused.
    pub(super) fn is_void(&self) -> bool {
        self.body.as_ref().is_some_and(Body::is_refused)
    }

    /// Why there can be no message yet.
    fn check_recipients(&self) -> Result<(), Reply> {
        match (self.accepted, self.any_refused) {
            (0, false) => Err(replies::NO_RCPT),
            (0, true) => Err(replies::NO_VALID_RCPT),
            _ => Ok(()),
        }
    }
}

impl Session {
    /// The handler has lost the message: the client is told `reply` once it has sent everything.
    pub fn refuse_message(&mut self, reply: Reply) {
        if let Some(body) = self.transaction.as_mut().and_then(|transaction| transaction.body.as_mut()) {
            body.refusal.get_or_insert(reply);
        }
    }

    pub(super) fn data(&mut self) -> Option<Event> {
        let ready = match &self.transaction {
            None => Err(replies::NO_MAIL),
            Some(transaction) if transaction.body.is_some() => Err(replies::CHUNKS_BEGUN),
            // RFC 3030 §3: lines are what DATA is made of.
            Some(transaction) if transaction.binary => Err(replies::BINARY_NEEDS_BDAT),
            Some(transaction) => transaction.check_recipients(),
        };
        match ready {
            Ok(()) => Some(self.ask(Question::Data, Event::Body)),
            Err(reply) => self.refuse(&reply),
        }
    }

    pub(super) fn data_answered(&mut self, answer: &Reply) {
        if !answer.is_positive() {
            self.end_transaction(answer);
            return;
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.body = Some(Body::new(Framing::Data(data::Decoder::default())));
            self.state = State::Body;
            self.reply(&replies::START_MESSAGE);
        }
    }

    pub(super) fn bdat(&mut self, size: u64, last: bool) -> Option<Event> {
        let ready = match &self.transaction {
            None => Err(replies::NO_MAIL),
            Some(transaction) => transaction.check_recipients(),
        };
        if let Err(reply) = ready {
            return self.discard_chunk(size, reply);
        }
        match self.transaction.as_mut().and_then(|transaction| transaction.body.as_mut()) {
            None => Some(self.ask(Question::Chunk { size, last }, Event::Body)),
            Some(_) => {
                self.begin_chunk(size, last);
                None
            }
        }
    }

    pub(super) fn chunk_answered(&mut self, size: u64, last: bool, answer: Reply) {
        if let Some(transaction) = &mut self.transaction {
            let decoder = if transaction.binary { bdat::Decoder::binary() } else { bdat::Decoder::default() };
            let mut body = Body::new(Framing::Chunks { decoder, last });
            body.refusal = (!answer.is_positive()).then_some(answer);
            transaction.body = Some(body);
            self.begin_chunk(size, last);
        }
    }

    fn begin_chunk(&mut self, size: u64, is_last: bool) {
        self.state = State::Body;
        let max_size = self.config.max_message_size;
        let Some(body) = self.transaction.as_mut().and_then(|transaction| transaction.body.as_mut()) else {
            return;
        };
        let Framing::Chunks { decoder, last } = &mut body.framing else { return };
        decoder.begin_chunk(size);
        *last = is_last;
        let total = body.size.saturating_add(size);
        if total > max_size {
            self.void_message(replies::TOO_LARGE);
            // To read it all would take for ever.
            if total > drain_limit(max_size) {
                self.close(&replies::TOO_LARGE);
            }
        }
    }

    /// Reads a chunk that belongs to nothing, so that its octets are not taken for commands.
    fn discard_chunk(&mut self, size: u64, reply: Reply) -> Option<Event> {
        if size > drain_limit(self.config.max_message_size) {
            self.close(&reply);
        } else {
            self.state = State::Discard { remaining: size, reply };
        }
        None
    }

    pub(super) fn discard(&mut self) -> Option<Event> {
        let State::Discard { remaining, reply } = &mut self.state else { return None };
        let length =
            usize::try_from(*remaining).map_or(self.input.len(), |remaining| remaining.min(self.input.len()));
        self.input.advance(length);
        *remaining -= length as u64;
        if *remaining > 0 {
            return Some(Event::Read);
        }
        let reply = reply.clone();
        self.state = State::Command;
        self.refuse(&reply)
    }

    /// Reads what there is of the message.
    pub(super) fn read_body(&mut self) -> Option<Event> {
        let max_size = self.config.max_message_size;
        let body = self.transaction.as_mut().and_then(|transaction| transaction.body.as_mut())?;
        let chunk = body.decode(&mut self.input);
        let size = body.size;
        if !body.is_refused() {
            if body.has_bare_line_end() {
                self.void_message(replies::BARE_LINE_END);
                return None;
            } else if size > max_size {
                self.void_message(replies::TOO_LARGE);
                return None;
            } else if !chunk.is_empty() {
                return Some(Event::Chunk(chunk));
            }
        }
        match body.progress() {
            Progress::End => self.message_read(),
            Progress::ChunkEnd => self.chunk_read(),
            Progress::Incomplete if size > drain_limit(max_size) => {
                self.close(&replies::TOO_LARGE);
                None
            }
            Progress::Incomplete => Some(Event::Read),
        }
    }

    fn message_read(&mut self) -> Option<Event> {
        self.state = State::Command;
        let refusal = self.transaction.as_mut()?.body.as_mut()?.refusal.clone();
        match refusal {
            Some(reply) => {
                self.end_transaction(&reply);
                None
            }
            None => Some(self.ask(Question::Finish, Event::Finish)),
        }
    }

    fn chunk_read(&mut self) -> Option<Event> {
        self.state = State::Command;
        let refusal = self.transaction.as_mut()?.body.as_mut()?.refusal.clone();
        self.say_or_close(refusal.as_ref().unwrap_or(&replies::OK));
        None
    }

    pub(super) fn finish_answered(&mut self, answer: &Reply) {
        self.end_transaction(answer);
    }

    /// The message breaks a rule: the handler is told now, the client at the end.
    fn void_message(&mut self, reply: Reply) {
        let Some(body) = self.transaction.as_mut().and_then(|transaction| transaction.body.as_mut()) else {
            return;
        };
        if body.refusal.is_none() {
            body.refusal = Some(reply.clone());
            self.abort = Some(Abort::Refused(reply));
        }
    }

    /// Ends the transaction with the reply to its message, of which the handler knows.
    fn end_transaction(&mut self, reply: &Reply) {
        self.transaction = None;
        self.counts.messages += 1;
        self.counts.idle = 0;
        self.say_or_close(reply);
    }
}

/// Octets of a message that are read to find its end, however little of it can be taken.
fn drain_limit(max_message_size: u64) -> u64 {
    max_message_size.saturating_mul(2).saturating_add(1024 * 1024)
}
