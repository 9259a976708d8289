//! The client's side of a session: bytes in, events and commands out.
//!
//! The driver asks [`Session::poll`] what to do, writes [`Session::output`] and appends what it reads to
//! [`Session::input`]. When the session is ready, [`Session::begin`] starts a transaction; it ends with an [`Outcome`]
//! for each recipient, whatever happens to the connection.

use bytes::{Bytes, BytesMut};
use message::Domain;

use crate::auth::Credentials;
use crate::extensions::Extensions;
use crate::reply::{Parser, Reply, ReplyError};

mod auth;
mod opening;
mod outcome;
#[cfg(test)]
mod tests;
mod transaction;

use opening::Opening;
pub use outcome::{Failure, Outcome, Stage};
pub use transaction::Envelope;
use transaction::Transaction;

/// What a session is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the client calls itself in EHLO.
    pub hello: Domain,
    /// Whether TLS is asked for.
    pub start_tls: StartTls,
    /// Who the client is.
    pub credentials: Option<Credentials>,
    /// Say who the client is without TLS too, for all on the way to hear. Else such a session fails.
    pub auth_in_clear: bool,
    /// Send messages by BDAT where the server offers it.
    pub chunking: bool,
}

impl Options {
    /// A session that takes TLS if it can get it.
    pub fn new(hello: Domain) -> Self {
        Self {
            hello,
            start_tls: StartTls::Opportunistic,
            credentials: None,
            auth_in_clear: false,
            chunking: false,
        }
    }
}

/// Whether to ask for TLS (RFC 3207).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTls {
    /// No. Also where TLS has been there from the start.
    Never,
    /// If it is offered; go on in clear if it is not, or refused.
    Opportunistic,
    /// Or nothing at all.
    Required,
}

/// The client's side of a session.
#[derive(Debug)]
pub struct Session {
    options: Options,
    input: BytesMut,
    output: BytesMut,
    parser: Parser,
    state: State,
    tls: bool,
    greeting: Option<Reply>,
    extensions: Extensions,
    start_tls_refusal: Option<Reply>,
    /// A transaction has begun that the server may not hold for ended: RSET comes first.
    needs_reset: bool,
    replies: u64,
    /// Transactions begun.
    transactions: u32,
}

#[derive(Debug)]
enum State {
    /// On the way to the first transaction.
    Opening(Opening),
    /// [`Session::tls_established`] is due.
    Handshake,
    /// Between transactions.
    Ready,
    Transaction(Box<Transaction>),
    /// Waiting for the reply to RSET.
    Reset,
    /// Waiting for the reply to QUIT.
    Quit,
    /// The session is over; why is still to be told.
    Failed(Failure),
    /// The transaction is over; what became of it is still to be told. Then come this failure, or the next transaction.
    Ended(Vec<Outcome>, Option<Failure>),
    Closed,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Write the output, then read the reply to this.
    Wait(Stage),
    /// Take the TLS handshake, then call [`Session::tls_established`].
    StartTls,
    /// A transaction can begin.
    Ready,
    /// Send the message: a piece with [`Session::send`], or its end with [`Session::finish`]. Write the output before
    /// too much gathers.
    Send,
    /// The transaction is over, with this outcome for each recipient.
    Sent(Vec<Outcome>),
    /// The session is over, and did not end by QUIT.
    Failed(Failure),
    /// The session is over.
    Closed,
}

impl Session {
    /// A session that has just been connected, under TLS if `tls`.
    pub fn new(options: Options, tls: bool) -> Self {
        Self {
            options,
            input: BytesMut::new(),
            output: BytesMut::new(),
            parser: Parser::default(),
            state: State::Opening(Opening::Greeting),
            tls,
            greeting: None,
            extensions: Extensions::default(),
            start_tls_refusal: None,
            needs_reset: false,
            replies: 0,
            transactions: 0,
        }
    }

    /// Where what was read is appended to.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// What is to be written. What is taken off counts as sent.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// What the server offers: the reply to the last EHLO.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The server's greeting, once it has come.
    pub fn greeting(&self) -> Option<&Reply> {
        self.greeting.as_ref()
    }

    /// Why the server would not begin TLS, if it offered to and did not.
    pub fn start_tls_refusal(&self) -> Option<&Reply> {
        self.start_tls_refusal.as_ref()
    }

    /// Whether the session is under TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether a transaction can begin.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// Whether the server takes another message in this session: it may have set a limit (MAILMAX of RFC 9422).
    pub fn has_room(&self) -> bool {
        self.extensions.limits.mail.is_none_or(|limit| self.transactions < limit)
    }

    /// How many replies have arrived: whoever measures time starts anew with each.
    pub fn replies(&self) -> u64 {
        self.replies
    }

    /// What to do next. Replies that have arrived are taken into account.
    pub fn poll(&mut self) -> Event {
        loop {
            self.fill();
            if let Some(event) = self.next_event() {
                return event;
            }
            match self.parser.parse(&mut self.input) {
                Ok(Some(reply)) => {
                    self.replies += 1;
                    self.reply(reply);
                }
                Ok(None) => return Event::Wait(self.stage()),
                Err(error) => self.malformed(&error),
            }
        }
    }

    /// Sends the commands whose time has come.
    fn fill(&mut self) {
        if let State::Transaction(transaction) = &mut self.state {
            transaction.fill(&mut self.output);
            self.settle();
        }
    }

    /// What is to be done whether or not a reply has arrived.
    fn next_event(&mut self) -> Option<Event> {
        match &mut self.state {
            State::Handshake => Some(Event::StartTls),
            State::Ready => Some(Event::Ready),
            State::Closed => Some(Event::Closed),
            State::Failed(failure) => {
                let failure = failure.clone();
                self.state = State::Closed;
                Some(Event::Failed(failure))
            }
            State::Ended(outcomes, failure) => {
                let outcomes = std::mem::take(outcomes);
                self.state = failure.take().map_or(State::Ready, State::Failed);
                Some(Event::Sent(outcomes))
            }
            State::Transaction(transaction) => {
                // A reply that is there already may say that there is no point in sending more.
                let sends = transaction.wants_message() && self.input.is_empty();
                sends.then_some(Event::Send)
            }
            State::Opening(_) | State::Reset | State::Quit => None,
        }
    }

    /// What is waited for.
    fn stage(&self) -> Stage {
        match &self.state {
            State::Opening(opening) => opening.stage(),
            State::Handshake => Stage::StartTls,
            State::Transaction(transaction) => transaction.stage(),
            State::Reset | State::Ready | State::Ended(..) => Stage::Reset,
            State::Quit | State::Closed => Stage::Quit,
            State::Failed(failure) => failure.stage,
        }
    }

    fn reply(&mut self, reply: Reply) {
        match &mut self.state {
            State::Opening(_) => self.opening_reply(reply),
            State::Transaction(transaction) => {
                transaction.reply(reply, self.output.is_empty());
                self.settle();
            }
            State::Reset if reply.is_positive() => {
                self.needs_reset = false;
                self.state = State::Ready;
            }
            State::Reset => self.state = State::Failed(Failure::from_peer(Stage::Reset, reply)),
            State::Quit => self.state = State::Closed,
            State::Handshake | State::Ready | State::Failed(_) | State::Ended(..) | State::Closed => {}
        }
    }

    /// Ends the transaction if it has come to its end.
    fn settle(&mut self) {
        let State::Transaction(transaction) = &mut self.state else { return };
        if let Some(end) = transaction.end() {
            self.needs_reset = end.needs_reset;
            self.state = State::Ended(end.outcomes, end.failure);
        }
    }

    /// Takes what the server said between transactions, where nothing was asked. If it ends the session by that (421, RFC
    /// 5321 §3.8), this is why; the session is over then.
    pub fn farewell(&mut self) -> Option<Failure> {
        while self.is_ready() {
            let Ok(Some(reply)) = self.parser.parse(&mut self.input) else { break };
            if reply.code == 421 {
                self.state = State::Closed;
                return Some(Failure::from_peer(Stage::Mail, reply));
            }
        }
        None
    }

    /// Begins a transaction, if the session is ready for one.
    ///
    /// `whole` is the message, if it is at hand in one piece: where the server takes chunks and pipelining, it goes
    /// with the commands, and nothing is waited for in between. Otherwise, or if it does not, [`Event::Send`] asks.
    ///
    /// # Errors
    /// What the message needs and this server does not offer: for all recipients alike, and nothing was sent. A recipient
    /// that alone is the cause gets an outcome of its own instead.
    pub fn begin(&mut self, envelope: &Envelope, whole: Option<Bytes>) -> Result<(), Failure> {
        let mut transaction =
            Transaction::new(envelope, &self.extensions, &self.options, self.tls, self.needs_reset)?;
        if let Some(whole) = whole {
            transaction.hold(whole);
        }
        self.start(transaction);
        Ok(())
    }

    /// Begins a transaction without a message: it ends behind the replies to RCPT, and says of each recipient whether it
    /// would be accepted ([`Outcome::Delivered`]) or not.
    ///
    /// # Errors
    /// As [`Session::begin`].
    pub fn probe(&mut self, envelope: &Envelope) -> Result<(), Failure> {
        let transaction =
            Transaction::new(envelope, &self.extensions, &self.options, self.tls, self.needs_reset)?;
        self.start(transaction.into_probe());
        Ok(())
    }

    fn start(&mut self, transaction: Transaction) {
        if self.is_ready() {
            // Unsolicited: no reply to anything that is to come.
            self.input.clear();
            self.parser.reset();
            self.needs_reset = true;
            self.transactions = self.transactions.saturating_add(1);
            self.state = State::Transaction(Box::new(transaction));
            self.settle();
        }
    }

    /// Sends a piece of the message, when [`Event::Send`] asked for it.
    pub fn send(&mut self, content: &[u8]) {
        if let State::Transaction(transaction) = &mut self.state {
            transaction.send(content, &mut self.output);
        }
    }

    /// Sends the end of the message, when [`Event::Send`] asked for it.
    pub fn finish(&mut self) {
        if let State::Transaction(transaction) = &mut self.state {
            transaction.finish(&mut self.output);
        }
    }

    /// Says RSET, between transactions: to see whether the connection still lives.
    pub fn reset(&mut self) {
        if self.is_ready() {
            self.output.extend_from_slice(b"RSET\r\n");
            self.state = State::Reset;
        }
    }

    /// Says QUIT, between transactions.
    pub fn quit(&mut self) {
        if self.is_ready() {
            self.output.extend_from_slice(b"QUIT\r\n");
            self.state = State::Quit;
        }
    }

    /// The connection is gone, or must not be used any more; `reply` says why in a report. What the server said of the
    /// message before that still counts.
    pub fn disconnected(&mut self, reply: Reply) {
        while matches!(self.state, State::Transaction(_)) {
            let Ok(Some(said)) = self.parser.parse(&mut self.input) else { break };
            self.replies += 1;
            self.reply(said);
        }
        self.break_off(reply);
    }

    /// Ends the session, whatever may still be in the input.
    fn break_off(&mut self, reply: Reply) {
        let failure = Failure::local(self.stage(), reply);
        match &mut self.state {
            State::Transaction(transaction) => {
                transaction.over(failure, self.output.is_empty());
                self.settle();
            }
            State::Quit | State::Closed => self.state = State::Closed,
            State::Ended(_, cause) => *cause = Some(failure),
            State::Failed(_) => {}
            State::Opening(_) | State::Handshake | State::Ready | State::Reset => {
                self.state = State::Failed(failure);
            }
        }
    }

    fn malformed(&mut self, error: &ReplyError) {
        // Which of the replies behind it answers what can no longer be told.
        self.break_off(Reply::new(451, 5, 0, error.to_string()));
    }
}
