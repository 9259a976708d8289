//! Command lines (RFC 5321 §4.1), as types.

use crate::parameters::{self, Mail, RcptCommand};
use crate::reply::Reply;
use crate::xclient::XClient;

#[cfg(test)]
mod tests;

/// A command, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// EHLO or HELO, with what the client calls itself.
    Hello {
        /// EHLO: the client speaks extensions.
        esmtp: bool,
        /// A domain or an address literal mostly, but many clients know no name of theirs.
        name: &'a str,
    },
    /// MAIL FROM.
    Mail(Mail),
    /// RCPT TO.
    Rcpt(RcptCommand),
    /// DATA.
    Data,
    /// BDAT: so many octets follow at once (RFC 3030 §2).
    Bdat {
        /// Octets that follow the line.
        size: u64,
        /// The message ends with them.
        last: bool,
    },
    /// AUTH, with the initial response as it stands (RFC 4954 §4).
    Auth {
        /// The mechanism's name.
        mechanism: &'a str,
        /// In base64, or `=` for an empty one.
        initial_response: Option<&'a str>,
    },
    /// STARTTLS (RFC 3207).
    StartTls,
    /// RSET.
    Rset,
    /// NOOP.
    Noop,
    /// VRFY: never answered with a yes or no (RFC 5321 §7.3).
    Vrfy,
    /// HELP.
    Help,
    /// QUIT.
    Quit,
    /// XCLIENT, from a proxy.
    XClient(XClient),
}

impl<'a> Command<'a> {
    /// Parses a line, without its CRLF.
    ///
    /// # Errors
    /// Each error knows its reply.
    pub fn parse(line: &'a [u8]) -> Result<Self, CommandError> {
        let line = std::str::from_utf8(line).map_err(|_| CommandError::Octets)?;
        // Trailing space is allowed (RFC 5321 §4.1.1).
        let line = line.trim_end_matches(' ');
        if line.contains(|c: char| c.is_control()) {
            return Err(CommandError::Octets);
        }
        let (verb, arguments) = line.split_once(' ').unwrap_or((line, ""));
        Verb::parse(verb)?.command(arguments.trim_start_matches(' '))
    }
}

/// Whether a line is how an HTTP client, a proxy or a web page in a browser speaks, and not a mail client.
pub fn is_http(line: &[u8]) -> bool {
    const STARTS: [&[u8]; 10] = [
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"PUT ",
        b"DELETE ",
        b"OPTIONS ",
        b"CONNECT ",
        b"TRACE ",
        b"PATCH ",
        b"HOST:",
    ];
    STARTS.iter().any(|start| line.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)))
}

#[derive(Clone, Copy)]
enum Verb {
    Ehlo,
    Helo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Auth,
    StartTls,
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
    XClient,
}

impl Verb {
    fn parse(word: &str) -> Result<Self, CommandError> {
        const VERBS: [(&str, Verb); 14] = [
            ("MAIL", Verb::Mail),
            ("RCPT", Verb::Rcpt),
            ("DATA", Verb::Data),
            ("EHLO", Verb::Ehlo),
            ("QUIT", Verb::Quit),
            ("BDAT", Verb::Bdat),
            ("STARTTLS", Verb::StartTls),
            ("AUTH", Verb::Auth),
            ("RSET", Verb::Rset),
            ("NOOP", Verb::Noop),
            ("HELO", Verb::Helo),
            ("VRFY", Verb::Vrfy),
            ("HELP", Verb::Help),
            ("XCLIENT", Verb::XClient),
        ];
        const NOT_IMPLEMENTED: [&str; 7] = ["EXPN", "TURN", "ATRN", "ETRN", "SEND", "SOML", "SAML"];
        if let Some((_, verb)) = VERBS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) {
            return Ok(*verb);
        }
        let known = NOT_IMPLEMENTED.iter().any(|name| word.eq_ignore_ascii_case(name));
        Err(if known { CommandError::NotImplemented } else { CommandError::Unrecognized })
    }

    fn command(self, arguments: &str) -> Result<Command<'_>, CommandError> {
        match self {
            Self::Ehlo => hello(true, arguments),
            Self::Helo => hello(false, arguments),
            Self::Mail => parameters::parse_mail(strip_keyword(arguments, "FROM:")?).map(Command::Mail),
            Self::Rcpt => parameters::parse_rcpt(strip_keyword(arguments, "TO:")?).map(Command::Rcpt),
            Self::Bdat => bdat(arguments),
            Self::Auth => auth(arguments),
            Self::Noop => Ok(Command::Noop),
            Self::Vrfy => Ok(Command::Vrfy),
            Self::Help => Ok(Command::Help),
            Self::XClient => XClient::parse(arguments).map(Command::XClient),
            Self::Data => alone(Command::Data, arguments),
            Self::StartTls => alone(Command::StartTls, arguments),
            Self::Rset => alone(Command::Rset, arguments),
            Self::Quit => alone(Command::Quit, arguments),
        }
    }
}

fn alone<'a>(command: Command<'a>, arguments: &str) -> Result<Command<'a>, CommandError> {
    if arguments.is_empty() { Ok(command) } else { Err(CommandError::Arguments) }
}

/// RFC 5321 §4.1.4: a server must not refuse a client because its name does not resolve, or is badly chosen.
fn hello(esmtp: bool, arguments: &str) -> Result<Command<'_>, CommandError> {
    let name = arguments.split(' ').next().unwrap_or_default();
    let valid = !name.is_empty() && name.len() <= message::address::MAX_DOMAIN;
    if valid { Ok(Command::Hello { esmtp, name }) } else { Err(CommandError::Arguments) }
}

fn strip_keyword<'a>(arguments: &'a str, keyword: &str) -> Result<&'a str, CommandError> {
    match arguments.split_at_checked(keyword.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(keyword) => Ok(rest),
        _ => Err(CommandError::Arguments),
    }
}

/// An error here is [`CommandError::ChunkSize`] always: nobody can tell where the chunk ends that follows.
fn bdat(arguments: &str) -> Result<Command<'_>, CommandError> {
    let (size, marker) = arguments.split_once(' ').unwrap_or((arguments, ""));
    let marker = marker.trim_start_matches(' ');
    let last = marker.eq_ignore_ascii_case("LAST");
    let valid = size.bytes().all(|b| b.is_ascii_digit()) && (last || marker.is_empty());
    let size = if valid { size.parse().ok() } else { None };
    size.map(|size| Command::Bdat { size, last }).ok_or(CommandError::ChunkSize)
}

fn auth(arguments: &str) -> Result<Command<'_>, CommandError> {
    let (mechanism, initial_response) = match arguments.split_once(' ') {
        Some((mechanism, response)) => (mechanism, Some(response)),
        None => (arguments, None),
    };
    let valid = !mechanism.is_empty() && initial_response.is_none_or(|response| !response.contains(' '));
    if valid { Ok(Command::Auth { mechanism, initial_response }) } else { Err(CommandError::Arguments) }
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No command of SMTP.
    #[error("command unrecognized")]
    Unrecognized,
    /// A command of SMTP that is not served here.
    #[error("command not implemented")]
    NotImplemented,
    /// Control characters, or octets that are not UTF-8.
    #[error("octets that no command may hold")]
    Octets,
    /// The line is longer than allowed.
    #[error("line too long")]
    LineTooLong,
    /// Arguments are missing, or there are some where none belong.
    #[error("syntax error in arguments")]
    Arguments,
    /// The reverse-path is malformed.
    #[error("malformed sender address")]
    Sender,
    /// The forward-path is malformed.
    #[error("malformed recipient address")]
    Recipient,
    /// A parameter of MAIL or RCPT that is not known, or was not offered.
    #[error("parameter not recognized")]
    UnknownParameter,
    /// A known parameter with a value that it cannot have, or twice.
    #[error("malformed parameter")]
    ParameterValue,
    /// A known value that is not offered.
    #[error("parameter not implemented")]
    ParameterNotImplemented,
    /// The size of BDAT is malformed, so the two sides are out of step from here on.
    #[error("malformed chunk size")]
    ChunkSize,
}

impl CommandError {
    /// The reply to a line like this.
    pub fn reply(self) -> Reply {
        match self {
            Self::Unrecognized => Reply::fixed(500, 5, 1, "Command unrecognized"),
            Self::NotImplemented => Reply::fixed(502, 5, 1, "Command not implemented"),
            Self::Octets => Reply::fixed(500, 5, 2, "Commands are text"),
            Self::LineTooLong => Reply::fixed(500, 5, 2, "Line too long"),
            Self::Arguments => Reply::fixed(501, 5, 4, "Syntax error in arguments"),
            Self::Sender => Reply::fixed(501, 1, 7, "Malformed sender address"),
            Self::Recipient => Reply::fixed(501, 1, 3, "Malformed recipient address"),
            Self::UnknownParameter => Reply::fixed(555, 5, 4, "Parameter not recognized"),
            Self::ParameterValue => Reply::fixed(501, 5, 4, "Malformed parameter"),
            Self::ParameterNotImplemented => Reply::fixed(504, 5, 4, "Parameter not implemented"),
            Self::ChunkSize => Reply::fixed(501, 5, 4, "Malformed chunk size"),
        }
    }
}
