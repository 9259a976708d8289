//! One POP3 session without its connection: lines in, actions out (RFC 1939, RFC 2449, RFC 2595, RFC 5034).

use std::{
    fmt::{Display, Write as _},
    time::Duration,
};

use sasl::Mechanism;

use super::{
    command::{Command, Number},
    line::Line,
    maildrop::{Maildrop, Message},
};
use crate::auth::{self, SaslError};

#[cfg(test)]
mod tests;

const NOT_BASE64: &str = "the response is not valid base64";

/// What a session may do and must respect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// TLS can be begun with STLS.
    pub(crate) tls_available: bool,
    /// Passwords may be sent without TLS.
    pub(crate) plaintext_auth: bool,
    /// Errors before the session is ended.
    pub(crate) max_errors: u32,
    /// Time between two logins of an account; zero for no limit.
    pub(crate) login_delay: Duration,
    /// Messages that need UTF-8 are refused to a client that has not asked for it.
    pub(crate) strict_utf8: bool,
}

/// The state of one session.
///
/// The driver hands in each line with [`Session::line`] and does what it says; the outcome of what takes time comes
/// back by [`Session::logged_in`] and [`Session::secured`], before the next line.
#[derive(Debug)]
pub(crate) struct Session {
    policy: Policy,
    tls: bool,
    /// What the client can log in with.
    mechanisms: Vec<Mechanism>,
    /// The client takes UTF-8 in headers (RFC 6856 §2.1).
    utf8: bool,
    errors: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// AUTHORIZATION (RFC 1939 §4), with the name that USER gave.
    Authorization { user: Option<String> },
    /// AUTH waits for the client's response.
    Sasl,
    /// TRANSACTION (RFC 1939 §5).
    Transaction(Maildrop),
}

/// What the driver is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send this.
    Reply(String),
    /// Send this, then close.
    Close(String),
    /// Send this, then begin TLS, then call [`Session::secured`].
    StartTls(String),
    /// Check the password, lock and list the maildrop, then call [`Session::logged_in`].
    LogIn { username: String, password: String },
    /// Begin an exchange of a mechanism, and call [`Session::challenge`] or [`Session::logged_in`].
    Begin { mechanism: String, initial: Option<Vec<u8>> },
    /// Take this response to the exchange, and go on as with [`Action::Begin`].
    Respond(Vec<u8>),
    /// Send the message, or its header and so many lines; an error if it is gone meanwhile.
    Send { message: Message, lines: Option<u32> },
    /// Remove these messages of the maildrop, all at once, reply how that went, and close.
    Commit { uids: Vec<u32> },
}

/// Why a login failed, in the words of RFC 2449 §8 and RFC 3206.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoginFailure {
    /// Wrong name or password.
    Credentials,
    /// Too many failures; the password was not looked at.
    Throttled,
    /// Another session holds the maildrop.
    InUse,
    /// The last login was too short a while ago (RFC 2449 §6.5).
    TooSoon,
    /// Only an operator can mend it (RFC 3206 §4).
    Permanent,
    /// It may work later.
    Temporary,
    /// The client does not keep to the mechanism, or was not offered it.
    Exchange(SaslError),
}

impl LoginFailure {
    fn text(&self) -> String {
        let text = match self {
            Self::Credentials => "[AUTH] wrong user name or password",
            // Not [AUTH]: a client would ask for another password.
            Self::Throttled => "[SYS/TEMP] too many failed logins, try again later",
            Self::InUse => "[IN-USE] another session has this maildrop open",
            Self::TooSoon => "[LOGIN-DELAY] the last login was too short a while ago",
            Self::Permanent => "[SYS/PERM] the mailbox is damaged, ask whoever runs this server",
            Self::Temporary => "[SYS/TEMP] mail is not available now, try again later",
            // Its name and password were not even looked at, and yet others are needed.
            Self::Exchange(error @ SaslError::Protocol(sasl::Error::Proxy)) => {
                return format!("-ERR [AUTH] {error}\r\n");
            }
            Self::Exchange(error) => return format!("-ERR {error}\r\n"),
        };
        format!("-ERR {text}\r\n")
    }
}

impl Session {
    /// A session over a connection that is, or is not yet, under TLS.
    pub(crate) fn new(policy: Policy, tls: bool, mechanisms: Vec<Mechanism>) -> Self {
        Self { policy, tls, mechanisms, utf8: false, errors: 0, state: State::Authorization { user: None } }
    }

    /// What the server says first.
    pub(crate) fn greeting(hostname: &str) -> String {
        format!("+OK {hostname} POP3 server ready\r\n")
    }

    /// The client has logged in.
    pub(crate) fn is_logged_in(&self) -> bool {
        matches!(self.state, State::Transaction(_))
    }

    /// Handles one line from the client.
    pub(crate) fn line(&mut self, line: &Line<'_>) -> Action {
        let line = match line {
            Line::Whole(line) => *line,
            Line::TooLong => {
                self.end_sasl();
                return self.error("the line is too long");
            }
        };
        if matches!(self.state, State::Sasl) {
            self.end_sasl();
            return self.sasl_response(line);
        }
        match Command::parse(line) {
            Ok(command) => self.command(command),
            Err(error) => self.error(error),
        }
    }

    /// TLS has begun. What came before it counts no more (RFC 2595 §4).
    pub(crate) fn secured(&mut self, mechanisms: Vec<Mechanism>) {
        self.tls = true;
        self.utf8 = false;
        self.mechanisms = mechanisms;
        self.state = State::Authorization { user: None };
    }

    /// How a login went.
    pub(crate) fn logged_in(&mut self, outcome: Result<Maildrop, LoginFailure>) -> Action {
        match outcome {
            Ok(maildrop) => {
                let (count, octets) = maildrop.totals();
                self.state = State::Transaction(maildrop);
                ok(format_args!("{count} messages ({octets} octets)"))
            }
            Err(failure) => self.failed(failure.text()),
        }
    }

    /// An exchange goes on with this; the next line is the client's response.
    pub(crate) fn challenge(&mut self, challenge: &[u8]) -> Action {
        self.state = State::Sasl;
        Action::Reply(format!("+ {}\r\n", auth::encode(challenge)))
    }

    /// A message that was to be sent is gone: no mistake of the client, who may ask for the others.
    pub(crate) fn not_sent(reason: &str) -> Action {
        Action::Reply(format!("-ERR {reason}\r\n"))
    }

    /// A message that was to be sent cannot be read, not even its beginning. Each time costs a line of the log, so whoever
    /// asks for it again makes a mistake; but however many there are, the client gets past them.
    pub(crate) fn unreadable(&mut self, uid: u32, reason: &str) -> Action {
        let is_news = match &mut self.state {
            State::Transaction(maildrop) => maildrop.note_unreadable(uid),
            _ => false,
        };
        if is_news { Self::not_sent(reason) } else { self.error(reason) }
    }

    fn command(&mut self, command: Command) -> Action {
        match (command, &mut self.state) {
            (Command::Capa, _) => self.capabilities(),
            // RFC 6856 §2.1: before login only.
            (Command::Utf8, State::Authorization { .. }) => {
                self.utf8 = true;
                ok("UTF-8 from here on")
            }
            (Command::Lang(range), _) => self.language(range.as_deref()),
            (Command::Quit, State::Transaction(maildrop)) => Action::Commit { uids: maildrop.deleted() },
            (Command::Quit, _) => Action::Close("+OK bye\r\n".to_owned()),
            (command, State::Transaction(_)) => self.transaction(&command),
            (command, _) => self.authorization(command),
        }
    }

    fn authorization(&mut self, command: Command) -> Action {
        match command {
            Command::Stls => self.start_tls(),
            Command::User(_) | Command::Pass(_) | Command::Auth { .. } if !self.may_log_in() => {
                self.error("TLS is needed to log in: use STLS, or the port for POP3 over TLS")
            }
            Command::User(_) | Command::Pass(_) if !self.takes_passwords() => {
                self.error("use AUTH to log in")
            }
            Command::User(name) => {
                self.state = State::Authorization { user: Some(name) };
                // The same for users who do not exist (RFC 1939 §7 allows it, and says why).
                ok("send the password")
            }
            Command::Pass(password) => self.pass(password),
            Command::Auth { mechanism, initial } => match initial.map(|word| auth::decode_initial(&word)) {
                Some(None) => self.error(NOT_BASE64),
                Some(initial) => Action::Begin { mechanism, initial },
                None => Action::Begin { mechanism, initial: None },
            },
            _ => self.error("log in first"),
        }
    }

    /// Whether a message whose header needs UTF-8 may be sent as it is (RFC 6856 §2.1).
    pub(crate) fn takes_utf8(&self) -> bool {
        self.utf8 || !self.policy.strict_utf8
    }

    /// RFC 6856 §3.2: all that is said is English, whatever the client would like better.
    fn language(&mut self, range: Option<&str>) -> Action {
        match range.map(str::to_ascii_lowercase).as_deref() {
            None => Action::Reply("+OK languages follow\r\nen English\r\n.\r\n".to_owned()),
            Some("*" | "en") => ok("en English it is"),
            Some(_) => self.error("en only English is spoken here"),
        }
    }

    fn transaction(&mut self, command: &Command) -> Action {
        let State::Transaction(maildrop) = &mut self.state else { return self.error("log in first") };
        let done = match *command {
            Command::Stat => {
                let (count, octets) = maildrop.totals();
                Ok(ok(format_args!("{count} {octets}")))
            }
            Command::List(None) => Ok(list(maildrop, |message| message.octets.to_string())),
            Command::Uidl(None) => Ok(list(maildrop, |message| maildrop.unique_id(message))),
            Command::List(Some(number)) => {
                maildrop.message(number).map(|message| ok(format_args!("{number} {}", message.octets)))
            }
            Command::Uidl(Some(number)) => maildrop
                .message(number)
                .map(|message| ok(format_args!("{number} {}", maildrop.unique_id(message)))),
            Command::Retr(number) => send(maildrop, number, None),
            Command::Top { message, lines } => send(maildrop, message, Some(lines)),
            Command::Dele(number) => {
                maildrop.delete(number).map(|()| ok(format_args!("message {number} deleted")))
            }
            Command::Rset => {
                maildrop.reset();
                let (count, octets) = maildrop.totals();
                Ok(ok(format_args!("maildrop has {count} messages ({octets} octets)")))
            }
            Command::Noop => Ok(ok("nothing done")),
            _ => return self.error("not after logging in"),
        };
        done.unwrap_or_else(|missing| self.error(missing))
    }

    fn pass(&mut self, password: String) -> Action {
        // Another try begins with USER again (RFC 1939 §7).
        match std::mem::replace(&mut self.state, State::Authorization { user: None }) {
            State::Authorization { user: Some(username) } => Action::LogIn { username, password },
            _ => self.error("send USER first"),
        }
    }

    fn sasl_response(&mut self, response: &[u8]) -> Action {
        if response == b"*" {
            return self.error("authentication cancelled");
        }
        match auth::decode(response) {
            Some(response) => Action::Respond(response),
            None => self.error(NOT_BASE64),
        }
    }

    fn end_sasl(&mut self) {
        if matches!(self.state, State::Sasl) {
            self.state = State::Authorization { user: None };
        }
    }

    fn start_tls(&mut self) -> Action {
        if self.tls {
            self.error("TLS has begun already")
        } else if !self.policy.tls_available {
            self.error("TLS is not available")
        } else {
            Action::StartTls("+OK begin TLS\r\n".to_owned())
        }
    }

    fn may_log_in(&self) -> bool {
        self.tls || self.policy.plaintext_auth
    }

    /// USER and PASS are PLAIN by another name.
    fn takes_passwords(&self) -> bool {
        self.mechanisms.contains(&Mechanism::Plain)
    }

    /// RFC 2449 §5 and §6, RFC 2595 §4, RFC 5034 §3. May differ before and after STLS, and after logging in.
    fn capabilities(&self) -> Action {
        let mut text = "+OK capabilities follow\r\n\
             TOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nLANG\r\nUTF8 USER\r\n"
            .to_owned();
        text.push_str(&self.expire());
        if !self.policy.login_delay.is_zero() {
            // Writing to a string cannot fail.
            let _ = write!(text, "LOGIN-DELAY {}\r\n", self.policy.login_delay.as_secs().max(1));
        }
        if self.may_log_in() && self.takes_passwords() {
            text.push_str("USER\r\n");
        }
        if self.may_log_in() && !self.mechanisms.is_empty() {
            text.push_str("SASL");
            for mechanism in &self.mechanisms {
                // Writing to a string cannot fail.
                let _ = write!(text, " {mechanism}");
            }
            text.push_str("\r\n");
        }
        if self.policy.tls_available && !self.tls && !self.is_logged_in() {
            text.push_str("STLS\r\n");
        }
        text.push_str("IMPLEMENTATION Waypost\r\n.\r\n");
        Action::Reply(text)
    }

    /// RFC 2449 §6.7: what holds for most, and for whoever has logged in what holds for that account.
    fn expire(&self) -> String {
        match &self.state {
            State::Transaction(maildrop) => match maildrop.days() {
                Some(days) => format!("EXPIRE {days}\r\n"),
                None => "EXPIRE NEVER\r\n".to_owned(),
            },
            _ => "EXPIRE NEVER USER\r\n".to_owned(),
        }
    }

    fn error(&mut self, reason: impl Display) -> Action {
        self.failed(format!("-ERR {reason}\r\n"))
    }

    fn failed(&mut self, reply: String) -> Action {
        self.errors += 1;
        if self.errors < self.policy.max_errors { Action::Reply(reply) } else { Action::Close(reply) }
    }
}

fn ok(text: impl Display) -> Action {
    Action::Reply(format!("+OK {text}\r\n"))
}

fn list(maildrop: &Maildrop, item: impl Fn(&Message) -> String) -> Action {
    let (count, octets) = maildrop.totals();
    let mut text = format!("+OK {count} messages ({octets} octets)\r\n");
    for (number, message) in maildrop.remaining() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{number} {}\r\n", item(message));
    }
    text.push_str(".\r\n");
    Action::Reply(text)
}

fn send(
    maildrop: &Maildrop,
    number: Number,
    lines: Option<u32>,
) -> Result<Action, super::maildrop::NoSuchMessage> {
    maildrop.message(number).map(|message| Action::Send { message: *message, lines })
}
