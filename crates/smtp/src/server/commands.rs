//! Commands in their order (RFC 5321 §4.1.4), and the answers to those that the handler decides on.

use bytes::Buf as _;
use message::{Address, LocalPart};

use super::line::{self, Line};
use super::{Abort, Event, Hello, Question, Session, State, Transaction, replies};
use crate::auth::{AuthError, Exchange, Mechanism, Mechanisms, Said, Step};
use crate::command::{self, Command, CommandError};
use crate::parameters::{BodyType, Mail, Rcpt, RcptCommand};
use crate::reply::Reply;
use crate::xclient::{self, XClient};

impl Session {
    /// Reads a command, if one has arrived.
    pub(super) fn read_command(&mut self) -> Option<Event> {
        self.read_line(Line::find, &CommandError::LineTooLong.reply(), Self::command_line)
    }

    /// Reads a response of an AUTH exchange, if one has arrived.
    pub(super) fn read_response(&mut self) -> Option<Event> {
        self.read_line(Line::find_response, &AuthError::TooLong.reply(), Self::response_line)
    }

    fn read_line(
        &mut self,
        find: impl FnOnce(&[u8]) -> Line,
        too_long: &Reply,
        read: impl FnOnce(&mut Self, &[u8], bool) -> Option<Event>,
    ) -> Option<Event> {
        // Taken out, so that a command can borrow from it.
        let mut input = std::mem::take(&mut self.input);
        let mut event = None;
        match Line::or_http(find, &input) {
            Line::Incomplete => event = Some(Event::Read),
            Line::Whole(length) => {
                let behind = length + 2;
                let is_last = behind == input.len();
                self.pipelined |= !is_last;
                event = read(self, &input[..length], is_last);
                input.advance(behind);
            }
            Line::TooLong(length) => {
                self.long_line(length, too_long);
                input.advance(length);
            }
            Line::Endless => {
                self.state = State::LongLine { skipped: input.len(), reply: too_long.clone() };
                input.clear();
            }
            Line::BareLf => self.close(&replies::BARE_LF),
            Line::Http => self.close(&replies::HTTP),
        }
        self.input = input;
        event
    }

    /// Drops the rest of a line that is too long.
    pub(super) fn skip_line(&mut self) -> Option<Event> {
        let State::LongLine { skipped, reply } = &mut self.state else { return None };
        let end = memchr::memchr(b'\n', &self.input).map(|end| end + 1);
        let length = end.unwrap_or(self.input.len());
        *skipped += length;
        let (skipped, reply) = (*skipped, reply.clone());
        self.input.advance(length);
        if end.is_some() || skipped > line::MAX_SKIPPED {
            self.long_line(skipped, &reply);
            None
        } else {
            Some(Event::Read)
        }
    }

    fn long_line(&mut self, length: usize, reply: &Reply) {
        self.state = State::Command;
        if length > line::MAX_SKIPPED {
            self.close(&replies::ENDLESS_LINE);
        } else {
            self.error(reply);
        }
    }

    fn command_line(&mut self, line: &[u8], is_last: bool) -> Option<Event> {
        self.counts.commands = self.counts.commands.saturating_add(1);
        match Command::parse(line) {
            Ok(command) => self.command(command, is_last),
            Err(CommandError::ChunkSize) => {
                self.close(&CommandError::ChunkSize.reply());
                None
            }
            Err(error) => {
                self.error(&error.reply());
                None
            }
        }
    }

    fn command(&mut self, command: Command<'_>, is_last: bool) -> Option<Event> {
        // What follows these depends on their replies, so nobody who follows the protocol has sent it (RFC 2920 §3.1).
        let waits = matches!(
            command,
            Command::Hello { .. }
                | Command::Data
                | Command::Auth { .. }
                | Command::StartTls
                | Command::XClient(_)
        );
        if waits && !is_last {
            self.close(&replies::OUT_OF_STEP);
            return None;
        }
        match command {
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(rcpt) => self.rcpt(rcpt),
            Command::Data => self.data(),
            Command::Bdat { size, last } => self.bdat(size, last),
            Command::Auth { mechanism, initial_response } => self.auth(mechanism, initial_response),
            Command::XClient(client) => self.xclient(client),
            Command::Hello { esmtp, name } => self.say(|session| session.hello_from(esmtp, name)),
            Command::StartTls => self.say(Self::start_tls),
            Command::Rset => self.say(Self::reset),
            Command::Noop => self.say(|session| session.idle(&replies::OK)),
            Command::Vrfy => self.say(|session| session.idle(&replies::VRFY)),
            Command::Help => self.say(|session| session.idle(&replies::HELP)),
            Command::Quit => self.say(Self::quit),
        }
    }

    /// Deals with a command that the handler has no part in.
    fn say(&mut self, command: impl FnOnce(&mut Self)) -> Option<Event> {
        command(self);
        None
    }

    /// Refuses a command without asking.
    pub(super) fn refuse(&mut self, reply: &Reply) -> Option<Event> {
        self.error(reply);
        None
    }

    /// A command that leads nowhere: a few are fine.
    fn idle(&mut self, reply: &Reply) {
        self.counts.idle += 1;
        if self.counts.idle > self.config.max_idle_commands {
            self.close(&replies::TOO_MANY_IDLE_COMMANDS);
        } else {
            self.reply(reply);
        }
    }

    pub(super) fn connected(&mut self, answer: &Reply) {
        self.early_talker = !self.input.is_empty();
        if self.early_talker && self.config.refuse_early_talkers {
            self.close(&replies::EARLY_TALKER);
        } else {
            self.greet(answer);
        }
    }

    /// Says the greeting, or what stands in its place.
    pub(super) fn greet(&mut self, answer: &Reply) {
        if answer.is_positive() {
            let text = format!("{} ESMTP", self.config.hostname);
            self.reply(&Reply { code: 220, enhanced: None, text: text.into() });
        } else {
            self.close(answer);
        }
    }

    fn hello_from(&mut self, esmtp: bool, name: &str) {
        self.abandon(Abort::Reset);
        self.hello = Some(Hello { name: name.to_owned(), esmtp });
        let hostname = self.config.hostname.as_str();
        let text = if esmtp {
            let mut extensions = self.config.extensions(self.tls, self.authenticated);
            let offered = self.offered.as_ref().filter(|offered| self.tls && !offered.is_empty());
            if self.offered.is_some() {
                extensions.auth = Mechanisms::NONE;
            }
            let mut extensions = extensions.advertise(hostname);
            if let Some(offered) = offered {
                extensions = format!("{extensions}\nAUTH {}", offered.join(" "));
            }
            if self.trusted_proxy {
                format!("{extensions}\nXCLIENT {}", xclient::ATTRIBUTES)
            } else {
                extensions
            }
        } else {
            hostname.to_owned()
        };
        self.idle(&Reply { code: 250, enhanced: None, text: text.into() });
    }

    /// The session is the client's from here on, and at its beginning: it is greeted again.
    fn xclient(&mut self, client: XClient) -> Option<Event> {
        if !self.trusted_proxy {
            return self.refuse(&replies::UNTRUSTED_PROXY);
        } else if self.transaction.is_some() {
            return self.refuse(&replies::XCLIENT_IN_TRANSACTION);
        }
        self.spoken_for = true;
        self.counts.idle += 1;
        if self.counts.idle > self.config.max_idle_commands {
            self.close(&replies::TOO_MANY_IDLE_COMMANDS);
            return None;
        }
        let esmtp = client.esmtp.unwrap_or(true);
        self.hello = client.helo.clone().map(|name| Hello { name, esmtp });
        self.authenticated = client.login.is_some();
        Some(self.ask(Question::XClient, Event::XClient(client)))
    }

    fn reset(&mut self) {
        self.abandon(Abort::Reset);
        self.idle(&replies::OK);
    }

    fn quit(&mut self) {
        self.quit = true;
        self.close(&replies::QUIT);
    }

    fn start_tls(&mut self) {
        if self.tls {
            self.error(&replies::TLS_ALREADY);
        } else if !self.config.starttls {
            self.error(&replies::NO_START_TLS);
        } else if self.authenticated {
            self.error(&replies::TLS_TOO_LATE);
        } else {
            self.abandon(Abort::Reset);
            self.reply(&replies::START_TLS);
            self.state = State::Handshake;
        }
    }

    fn auth(&mut self, mechanism: &str, initial_response: Option<&str>) -> Option<Event> {
        let esmtp = self.hello.as_ref().is_some_and(|hello| hello.esmtp);
        let offers = |name: &str| match &self.offered {
            Some(offered) => offered.iter().any(|known| known.eq_ignore_ascii_case(name)),
            None => Mechanism::parse(name).is_some_and(|known| self.config.mechanisms.contains(known)),
        };
        if self.config.mechanisms.is_empty() {
            return self.refuse(&replies::NO_AUTH);
        } else if !esmtp {
            return self.refuse(&replies::NO_HELLO);
        } else if !self.tls {
            return self.refuse(&replies::AUTH_NEEDS_TLS);
        } else if self.authenticated {
            return self.refuse(&replies::AUTH_ALREADY);
        } else if self.transaction.is_some() {
            return self.refuse(&replies::AUTH_IN_TRANSACTION);
        }
        if !offers(mechanism) {
            return self.refuse(&replies::UNKNOWN_MECHANISM);
        }
        match Mechanism::parse(mechanism) {
            Some(mechanism) => self.auth_step(Exchange::start(mechanism, initial_response)),
            None => self.exchange(Said::begin(mechanism, initial_response)),
        }
    }

    fn exchange(&mut self, said: Result<Said, AuthError>) -> Option<Event> {
        match said {
            Ok(said) => Some(self.ask(Question::Exchange, Event::Exchange(said))),
            Err(error) => self.refuse(&error.reply()),
        }
    }

    fn response_line(&mut self, line: &[u8], is_last: bool) -> Option<Event> {
        let state = std::mem::replace(&mut self.state, State::Command);
        if !is_last {
            self.close(&replies::OUT_OF_STEP);
            return None;
        }
        match state {
            State::Authentication(exchange) => self.auth_step(exchange.respond(line)),
            State::Exchange => {
                let said = Said::response(line);
                let cancelled = said.is_err();
                self.exchange(said).or(cancelled.then_some(Event::ExchangeCancelled))
            }
            _ => None,
        }
    }

    fn auth_step(&mut self, step: Result<Step, AuthError>) -> Option<Event> {
        match step {
            Ok(Step::Challenge(exchange, reply)) => {
                self.reply(&reply);
                self.state = State::Authentication(exchange);
                None
            }
            Ok(Step::Done(credentials)) => {
                Some(self.ask(Question::Authenticate, Event::Authenticate(credentials)))
            }
            Err(error) => self.refuse(&error.reply()),
        }
    }

    pub(super) fn authenticated(&mut self, answer: &Reply) {
        self.authenticated = answer.is_positive();
        self.say_or_close(answer);
        if !self.authenticated && !self.is_closed() {
            self.counts.auth_failures += 1;
            if self.counts.auth_failures >= self.config.max_auth_failures {
                self.close(&replies::TOO_MANY_AUTH_FAILURES);
            }
        }
    }

    fn mail(&mut self, mail: Mail) -> Option<Event> {
        // A proxy passes on what its client says from here on, and does not look for commands of its own in that.
        self.trusted_proxy &= !self.spoken_for;
        let Some(hello) = &self.hello else { return self.refuse(&replies::NO_HELLO) };
        let esmtp = hello.esmtp;
        if self.config.mail_needs_tls && !self.tls {
            return self.refuse(&replies::NEEDS_TLS);
        } else if self.config.mail_needs_auth && !self.authenticated {
            return self.refuse(&replies::NEEDS_AUTH);
        } else if self.transaction.as_ref().is_some_and(|transaction| !transaction.is_void()) {
            return self.refuse(&replies::NESTED_MAIL);
        } else if let Err(reply) = self.check_parameters(&mail, esmtp) {
            return self.refuse(&reply);
        } else if self.counts.messages >= self.config.max_messages {
            self.close(&replies::TOO_MANY_MESSAGES);
            return None;
        }
        self.transaction = None;
        let binary = mail.body == BodyType::BinaryMime;
        Some(self.ask(Question::Mail { smtputf8: mail.smtputf8, binary }, Event::Mail(mail)))
    }

    /// Only what was offered can be asked for.
    fn check_parameters(&self, mail: &Mail, esmtp: bool) -> Result<(), Reply> {
        let offers_require_tls = self.config.require_tls && self.tls;
        let unknown = (mail.has_parameters() && !esmtp)
            || (mail.require_tls && !offers_require_tls)
            || (mail.priority.is_some() && !self.config.mt_priority);
        if unknown {
            return Err(CommandError::UnknownParameter.reply());
        }
        if mail.body == BodyType::BinaryMime && !self.config.binary_mime {
            return Err(CommandError::ParameterNotImplemented.reply());
        }
        if mail.size.is_some_and(|size| size > self.config.max_message_size) {
            return Err(replies::TOO_LARGE);
        }
        match mail.reverse_path.address() {
            Some(address) if !mail.smtputf8 && !address.is_ascii() => Err(replies::NEEDS_SMTPUTF8),
            _ => Ok(()),
        }
    }

    pub(super) fn mail_answered(&mut self, smtputf8: bool, binary: bool, answer: &Reply) {
        if answer.is_positive() {
            self.transaction = Some(Transaction { smtputf8, binary, ..Transaction::default() });
            self.reply(answer);
        } else {
            self.refused(answer);
        }
    }

    fn rcpt(&mut self, command: RcptCommand) -> Option<Event> {
        let max_recipients = self.config.max_recipients;
        let Some(transaction) = &mut self.transaction else { return self.refuse(&replies::NO_MAIL) };
        if transaction.body.is_some() {
            return self.refuse(&replies::CHUNKS_BEGUN);
        } else if transaction.accepted >= max_recipients {
            // No error of the client, which may not know the limit: RFC 5321 §4.5.3.1.10.
            self.reply(&replies::TOO_MANY_RECIPIENTS);
            return None;
        }
        let smtputf8 = transaction.smtputf8;
        let esmtp = self.hello.as_ref().is_some_and(|hello| hello.esmtp);
        let rcpt = match command {
            RcptCommand::Address(rcpt) => rcpt,
            RcptCommand::Postmaster { notify, original_recipient } => match self.postmaster() {
                Some(address) => Rcpt { address, notify, original_recipient },
                None => return self.refuse(&CommandError::Recipient.reply()),
            },
        };
        if !esmtp && rcpt.has_parameters() {
            return self.refuse(&CommandError::UnknownParameter.reply());
        } else if !smtputf8 && !rcpt.address.is_ascii() {
            self.note_refused_recipient();
            return self.refuse(&replies::NEEDS_SMTPUTF8);
        }
        Some(self.ask(Question::Rcpt, Event::Rcpt(rcpt)))
    }

    /// `<Postmaster>` is this server's (RFC 5321 §4.5.1).
    fn postmaster(&self) -> Option<Address> {
        let local_part = LocalPart::parse("postmaster").ok()?;
        Address::new(local_part, self.config.hostname.clone()).ok()
    }

    pub(super) fn rcpt_answered(&mut self, answer: &Reply) {
        if answer.is_positive() {
            if let Some(transaction) = &mut self.transaction {
                transaction.accepted += 1;
            }
            self.reply(answer);
        } else {
            self.note_refused_recipient();
            self.refused(answer);
        }
    }

    fn note_refused_recipient(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.any_refused = true;
        }
    }

    /// The handler says no to an address.
    fn refused(&mut self, answer: &Reply) {
        self.say_or_close(answer);
        self.counts.refusals += 1;
        if self.counts.refusals > self.config.max_refusals && !self.is_closed() {
            self.close(&replies::TOO_MANY_REFUSALS);
        }
    }
}

impl Line {
    /// Tells HTTP apart before anything else: its clients are content with LF, and a web page can make a browser send
    /// commands of SMTP in the body of a request.
    fn or_http(find: impl FnOnce(&[u8]) -> Self, input: &[u8]) -> Self {
        if command::is_http(input) { Self::Http } else { find(input) }
    }
}
