//! What a client may say (RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 6856).

#[cfg(test)]
mod tests;

/// Octets of a user name or a password at most.
const MAX_ARGUMENT: usize = 1024;

/// A command with its arguments.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// `CAPA` (RFC 2449 §5)
    Capa,
    /// `STLS` (RFC 2595 §4)
    Stls,
    /// `UTF8` (RFC 6856 §2.1)
    Utf8,
    /// `LANG [range]` (RFC 6856 §3)
    Lang(Option<String>),
    /// `USER name`
    User(String),
    /// `PASS string`: all that follows the first space, spaces included.
    Pass(String),
    /// `AUTH mechanism [initial-response]` (RFC 5034 §4); the mechanism in upper case.
    Auth { mechanism: String, initial: Option<Vec<u8>> },
    /// `STAT`
    Stat,
    /// `LIST [msg]`
    List(Option<Number>),
    /// `UIDL [msg]`
    Uidl(Option<Number>),
    /// `RETR msg`
    Retr(Number),
    /// `TOP msg n`
    Top { message: Number, lines: u32 },
    /// `DELE msg`
    Dele(Number),
    /// `RSET`
    Rset,
    /// `NOOP`
    Noop,
    /// `QUIT`
    Quit,
}

/// The number of a message within a session, from 1.
pub(crate) type Number = u32;

/// Why a line is no command; the words are fit for a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("unknown command")]
    Unknown,
    #[error("this command takes other arguments")]
    Arguments,
    #[error("an argument is too long")]
    TooLong,
    #[error("not a message number")]
    Number,
    #[error("the line is not UTF-8, or holds control characters")]
    Text,
}

impl Command {
    /// Parses a line without its end.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let line = str::from_utf8(line).map_err(|_| CommandError::Text)?;
        if line.chars().any(char::is_control) {
            return Err(CommandError::Text);
        }
        let (keyword, rest) = match line.split_once(' ') {
            Some((keyword, rest)) => (keyword, Some(rest)),
            None => (line, None),
        };
        let keyword = keyword.to_ascii_uppercase();
        match keyword.as_str() {
            "CAPA" => nothing(rest, Self::Capa),
            "STLS" => nothing(rest, Self::Stls),
            "UTF8" => nothing(rest, Self::Utf8),
            "LANG" => lang(rest),
            "STAT" => nothing(rest, Self::Stat),
            "RSET" => nothing(rest, Self::Rset),
            "NOOP" => nothing(rest, Self::Noop),
            "QUIT" => nothing(rest, Self::Quit),
            "USER" => text(rest).map(Self::User),
            "PASS" => text(rest).map(Self::Pass),
            "AUTH" => auth(rest),
            "LIST" => optional_number(rest).map(Self::List),
            "UIDL" => optional_number(rest).map(Self::Uidl),
            "RETR" => required_number(rest).map(Self::Retr),
            "DELE" => required_number(rest).map(Self::Dele),
            "TOP" => top(rest),
            _ => Err(CommandError::Unknown),
        }
    }
}

impl std::fmt::Debug for Command {
    // Keywords only: arguments may be passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Capa => "CAPA",
            Self::Stls => "STLS",
            Self::Utf8 => "UTF8",
            Self::Lang(_) => "LANG",
            Self::User(_) => "USER",
            Self::Pass(_) => "PASS",
            Self::Auth { .. } => "AUTH",
            Self::Stat => "STAT",
            Self::List(_) => "LIST",
            Self::Uidl(_) => "UIDL",
            Self::Retr(_) => "RETR",
            Self::Top { .. } => "TOP",
            Self::Dele(_) => "DELE",
            Self::Rset => "RSET",
            Self::Noop => "NOOP",
            Self::Quit => "QUIT",
        })
    }
}

fn nothing(rest: Option<&str>, command: Command) -> Result<Command, CommandError> {
    match rest.map(str::trim_end) {
        None | Some("") => Ok(command),
        Some(_) => Err(CommandError::Arguments),
    }
}

fn text(rest: Option<&str>) -> Result<String, CommandError> {
    match rest {
        None | Some("") => Err(CommandError::Arguments),
        Some(text) if text.len() > MAX_ARGUMENT => Err(CommandError::TooLong),
        Some(text) => Ok(text.to_owned()),
    }
}

fn auth(rest: Option<&str>) -> Result<Command, CommandError> {
    let mut words = rest.unwrap_or_default().split_ascii_whitespace();
    let mechanism = words.next().ok_or(CommandError::Arguments)?.to_ascii_uppercase();
    let initial = words.next().map(|response| response.as_bytes().to_vec());
    if words.next().is_some() {
        return Err(CommandError::Arguments);
    }
    Ok(Command::Auth { mechanism, initial })
}

fn lang(rest: Option<&str>) -> Result<Command, CommandError> {
    let mut words = rest.unwrap_or_default().split_ascii_whitespace();
    let range = words.next().map(str::to_owned);
    if words.next().is_some() { Err(CommandError::Arguments) } else { Ok(Command::Lang(range)) }
}

fn top(rest: Option<&str>) -> Result<Command, CommandError> {
    let mut words = rest.unwrap_or_default().split_ascii_whitespace();
    let (Some(message), Some(lines), None) = (words.next(), words.next(), words.next()) else {
        return Err(CommandError::Arguments);
    };
    Ok(Command::Top { message: message_number(message)?, lines: number(lines)? })
}

fn required_number(rest: Option<&str>) -> Result<Number, CommandError> {
    optional_number(rest)?.ok_or(CommandError::Arguments)
}

fn optional_number(rest: Option<&str>) -> Result<Option<Number>, CommandError> {
    let mut words = rest.unwrap_or_default().split_ascii_whitespace();
    let number = words.next().map(message_number).transpose()?;
    if words.next().is_some() { Err(CommandError::Arguments) } else { Ok(number) }
}

fn message_number(word: &str) -> Result<Number, CommandError> {
    number(word).and_then(|number| if number == 0 { Err(CommandError::Number) } else { Ok(number) })
}

/// Digits only: `u32::from_str` would also take a plus sign.
fn number(word: &str) -> Result<u32, CommandError> {
    if !word.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(CommandError::Number);
    }
    word.parse().map_err(|_| CommandError::Number)
}
