//! The server's side of a session: bytes in, events and replies out.
//!
//! The driver appends what it reads to [`Session::input`], asks [`Session::poll`] what happened, answers the events
//! that want an answer, and writes [`Session::output`] when there is nothing left but to read. Commands that arrive
//! together (RFC 2920) are answered in their order, and their replies can be written at once.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::auth::{self, Credentials, Exchange, Said};
use crate::parameters::{Mail, Rcpt};
use crate::reply::Reply;
use crate::xclient::XClient;

mod body;
mod commands;
mod config;
mod line;
mod replies;
#[cfg(test)]
mod tests;

use body::Body;
pub use config::Config;

/// The server's side of a session.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    input: BytesMut,
    output: BytesMut,
    state: State,
    /// The handler has yet to hear that its transaction is void.
    abort: Option<Abort>,
    tls: bool,
    hello: Option<Hello>,
    authenticated: bool,
    /// The mechanisms that the handler offers, in place of the configuration's.
    offered: Option<Vec<&'static str>>,
    pipelined: bool,
    early_talker: bool,
    /// The client is a proxy whose XCLIENT is believed.
    trusted_proxy: bool,
    /// It has said for whom it speaks.
    spoken_for: bool,
    quit: bool,
    /// What was said at the end, if the session was closed with a reply.
    last_word: Option<Reply>,
    transaction: Option<Transaction>,
    counts: Counts,
}

/// What a session waits for.
#[derive(Debug)]
enum State {
    /// [`Event::Connected`] is due.
    Start,
    /// A command.
    Command,
    /// The answer to an event.
    Asked(Question),
    /// A line of an AUTH exchange.
    Authentication(Exchange),
    /// A line of one that the handler speaks.
    Exchange,
    /// The rest of a line that is too long.
    LongLine {
        /// Octets of it that were dropped.
        skipped: usize,
        /// What answers it.
        reply: Reply,
    },
    /// The message, or a chunk of it.
    Body,
    /// Octets of a chunk that nobody wants.
    Discard {
        /// How many.
        remaining: u64,
        /// What answers it.
        reply: Reply,
    },
    /// [`Session::tls_established`].
    Handshake,
    /// Nothing any more.
    Closed,
}

/// An event that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Connected,
    XClient,
    Authenticate,
    Exchange,
    Mail { smtputf8: bool, binary: bool },
    Rcpt,
    Data,
    Chunk { size: u64, last: bool },
    Finish,
}

/// What happened. The session goes on when the event has had its answer, if it wants one.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// All input is dealt with: write the output, then read more.
    Read,
    /// A client is there. Answer: anything positive greets it, anything else is said to it before the session closes.
    Connected,
    /// A proxy says for whom it speaks. Answer: as to [`Event::Connected`], of the client behind the proxy.
    XClient(XClient),
    /// The client says who it is. Answer: anything positive if that is so.
    Authenticate(Credentials),
    /// The same, in a mechanism that only the handler knows. Answer: as to [`Event::Authenticate`], or
    /// [`Session::challenge`] to go on.
    Exchange(Said),
    /// Such an exchange has come to nothing by the client's doing. No answer.
    ExchangeCancelled,
    /// A transaction begins. Answer: the reply.
    Mail(Mail),
    /// It has this recipient. Answer: the reply.
    Rcpt(Rcpt),
    /// The message is about to be sent. Answer: anything positive if it may.
    Body,
    /// A piece of the message. No answer, but [`Session::refuse_message`] can be called.
    Chunk(Bytes),
    /// The whole message has arrived. Answer: the reply; if positive, the message is ours.
    Finish,
    /// The transaction came to nothing. No answer.
    Abort(Abort),
    /// Write the output, take the TLS handshake, then call [`Session::tls_established`].
    StartTls,
    /// Write the output, then close the connection.
    Close,
}

/// Why a transaction came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abort {
    /// The client began anew: RSET, EHLO or STARTTLS.
    Reset,
    /// The message broke a rule of the protocol, and the client gets this reply.
    Refused(Reply),
    /// The session ended in the middle of it.
    Closed,
}

/// What the client calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The argument of EHLO or HELO, which may be anything printable.
    pub name: String,
    /// EHLO.
    pub esmtp: bool,
}

/// A transaction that MAIL began (RFC 5321 §3.3).
#[derive(Debug, Default)]
struct Transaction {
    smtputf8: bool,
    /// BODY=BINARYMIME: the message comes by BDAT, and as it is.
    binary: bool,
    accepted: u32,
    /// A recipient was refused.
    any_refused: bool,
    /// DATA or BDAT began.
    body: Option<Body>,
}

/// What a session has had too much of at some point.
#[derive(Debug, Default)]
struct Counts {
    commands: u32,
    errors: u32,
    refusals: u32,
    auth_failures: u32,
    /// Commands since the last message that lead nowhere.
    idle: u32,
    messages: u32,
}

/// How much a client has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines that were taken for commands.
    pub commands: u32,
    /// Those that were wrong, and addresses and credentials that were refused.
    pub errors: u32,
}

impl Session {
    /// A session that has just been connected to, under TLS if `tls`.
    pub fn new(config: Arc<Config>, tls: bool) -> Self {
        Self {
            config,
            input: BytesMut::new(),
            output: BytesMut::new(),
            state: State::Start,
            abort: None,
            tls,
            hello: None,
            authenticated: false,
            offered: None,
            pipelined: false,
            early_talker: false,
            trusted_proxy: false,
            spoken_for: false,
            quit: false,
            last_word: None,
            transaction: None,
            counts: Counts::default(),
        }
    }

    /// Believes the client's XCLIENT, by which a proxy says for whom it speaks. Without this nobody's is. It may say so
    /// several times; from the first MAIL behind that on it is the client who speaks, and is not believed.
    pub fn trust_proxy(&mut self) {
        self.trusted_proxy = true;
    }

    /// Offers these mechanisms from here on, in place of the configuration's. PLAIN and LOGIN are known here; an exchange
    /// of any other is the handler's ([`Event::Exchange`]).
    pub fn offer(&mut self, mechanisms: Vec<&'static str>) {
        self.offered = Some(mechanisms);
    }

    /// Where what was read is appended to.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// What is to be written.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// What the client calls itself, once it has said so.
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// Whether the session is under TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether the client has authenticated.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Whether the client has sent commands without waiting for replies.
    pub fn is_pipelined(&self) -> bool {
        self.pipelined
    }

    /// Whether the client spoke before it was greeted.
    pub fn is_early_talker(&self) -> bool {
        self.early_talker
    }

    /// What the client has used up since the session began.
    pub fn tally(&self) -> Tally {
        let Counts { commands, errors, refusals, auth_failures, .. } = self.counts;
        Tally { commands, errors: errors.saturating_add(refusals).saturating_add(auth_failures) }
    }

    /// Whether the client has said QUIT.
    pub fn is_quit(&self) -> bool {
        self.quit
    }

    /// The reply with which the session was closed, if it was.
    pub fn last_word(&self) -> Option<&Reply> {
        self.last_word.as_ref()
    }

    /// Whether no message is under way, so that the session can be closed without a loss.
    pub fn is_idle(&self) -> bool {
        self.transaction.is_none()
            && matches!(self.state, State::Command | State::Authentication(_) | State::Exchange)
    }

    /// Whether the next octets to read belong to a message.
    pub fn is_reading_message(&self) -> bool {
        matches!(self.state, State::Body | State::Discard { .. })
    }

    /// What happened. To be called until it says [`Event::Read`].
    pub fn poll(&mut self) -> Event {
        loop {
            if let Some(abort) = self.abort.take() {
                return Event::Abort(abort);
            }
            let event = match &mut self.state {
                State::Start => Some(self.ask(Question::Connected, Event::Connected)),
                State::Command => self.read_command(),
                State::Authentication(_) | State::Exchange => self.read_response(),
                State::LongLine { .. } => self.skip_line(),
                State::Body => self.read_body(),
                State::Discard { .. } => self.discard(),
                State::Asked(_) => Some(Event::Read),
                State::Handshake => Some(Event::StartTls),
                State::Closed => Some(Event::Close),
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// Answers the last event. Without one that waits for it, nothing happens.
    pub fn answer(&mut self, reply: Reply) {
        let State::Asked(question) = self.state else { return };
        self.state = State::Command;
        match question {
            Question::Connected => self.connected(&reply),
            Question::XClient => self.greet(&reply),
            Question::Authenticate | Question::Exchange => self.authenticated(&reply),
            Question::Mail { smtputf8, binary } => self.mail_answered(smtputf8, binary, &reply),
            Question::Rcpt => self.rcpt_answered(&reply),
            Question::Data => self.data_answered(&reply),
            Question::Chunk { size, last } => self.chunk_answered(size, last, reply),
            Question::Finish => self.finish_answered(&reply),
        }
    }

    /// Answers [`Event::Exchange`] with a challenge, to which the client responds. After any other event nothing happens.
    pub fn challenge(&mut self, text: &[u8]) {
        if matches!(self.state, State::Asked(Question::Exchange)) {
            self.reply(&auth::challenge(text));
            self.state = State::Exchange;
        }
    }

    /// The handshake that [`Event::StartTls`] asked for is done. Nothing that was said before it counts any more
    /// (RFC 3207 §4.2).
    pub fn tls_established(&mut self) {
        self.input.clear();
        self.tls = true;
        self.hello = None;
        self.authenticated = false;
        self.pipelined = false;
        self.state = State::Command;
    }

    /// Says `reply` and ends the session.
    pub fn close(&mut self, reply: &Reply) {
        if !self.is_closed() {
            self.reply(reply);
            self.last_word = Some(reply.clone());
        }
        self.disconnected();
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.state = State::Closed;
        self.abandon(Abort::Closed);
    }

    fn reply(&mut self, reply: &Reply) {
        reply.encode(&mut self.output);
    }

    /// Says what the handler has decided, which may be that it has had enough.
    fn say_or_close(&mut self, reply: &Reply) {
        if reply.closes() {
            self.close(reply);
        } else {
            self.reply(reply);
        }
    }

    fn ask(&mut self, question: Question, event: Event) -> Event {
        self.state = State::Asked(question);
        event
    }

    fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Ends the transaction, if there is one, and lets the handler know unless it does.
    fn abandon(&mut self, abort: Abort) {
        let Some(transaction) = self.transaction.take() else { return };
        if transaction.body.is_none_or(|body| !body.is_refused()) {
            self.abort = Some(abort);
        }
    }

    /// A command that is wrong. Whoever sends many of them is no mail client.
    fn error(&mut self, reply: &Reply) {
        self.counts.errors += 1;
        if self.counts.errors > self.config.max_errors {
            self.close(&replies::TOO_MANY_ERRORS);
        } else {
            self.reply(reply);
        }
    }
}
