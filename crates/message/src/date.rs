//! Date and time in header fields (RFC 5322 §3.3), with the obsolete forms of §4.3.

use std::fmt;

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::Offset;

#[cfg(test)]
mod tests;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment as the clock on its sender's wall showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// What the wall clock showed. IMAP's SENTON and its like compare its date alone (RFC 9051 §6.4.4).
    pub local: civil::DateTime,
    /// How far that clock was ahead of UTC.
    pub offset: Offset,
}

impl DateTime {
    /// Reads a date in the current or an obsolete form: without weekday or seconds, with a year of two digits, with a
    /// named zone, with comments; also the order of C's `asctime`.
    ///
    /// The weekday is not checked. A zone that is missing or unknown is taken for UTC (RFC 5322 §4.3). `None`: there is
    /// no such date, or no date at all.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut lexer = Lexer { rest: value, peeked: None };
        let first = lexer.next();
        let day_first = match first? {
            Token::Word(word) if month(word).is_none() => {
                lexer.skip(b',');
                lexer.next()?
            }
            token => token,
        };
        match day_first {
            Token::Number(day) => parse_from_day(day, &mut lexer),
            Token::Word(word) => parse_asctime(month(word)?, &mut lexer),
            Token::Other(_) => None,
        }
    }

    /// The moment, whatever the wall; at the ends of the calendar the nearest one there is.
    pub fn timestamp(&self) -> Timestamp {
        self.offset.to_timestamp(self.local).unwrap_or(if self.local.year() > 0 {
            Timestamp::MAX
        } else {
            Timestamp::MIN
        })
    }
}

/// In UTC, to the second.
impl From<Timestamp> for DateTime {
    fn from(timestamp: Timestamp) -> Self {
        let local = Offset::UTC.to_datetime(timestamp);
        let local = local.with().subsec_nanosecond(0).build().unwrap_or(local);
        Self { local, offset: Offset::UTC }
    }
}

/// `Tue, 1 Jul 2003 10:52:37 +0200`
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.offset.seconds() / 60;
        write!(
            f,
            "{} {}{:02}{:02}",
            self.local.strftime("%a, %-d %b %Y %H:%M:%S"),
            if minutes < 0 { '-' } else { '+' },
            minutes.abs() / 60,
            minutes.abs() % 60,
        )
    }
}

/// `1 Jul 2003 10:52:37 +0200`, from behind the day.
fn parse_from_day(day: &[u8], lexer: &mut Lexer<'_>) -> Option<DateTime> {
    lexer.skip(b'-');
    let month = match lexer.next()? {
        Token::Word(word) => month(word)?,
        _ => return None,
    };
    lexer.skip(b'-');
    let year = year(lexer.number()?)?;
    let time = parse_time(lexer)?;
    let offset = parse_zone(lexer);
    date_time(year, month, number(day)?, time, offset)
}

/// `Jul  1 10:52:37 2003`, from behind the month.
fn parse_asctime(month: i8, lexer: &mut Lexer<'_>) -> Option<DateTime> {
    let day = number(lexer.number()?)?;
    let time = parse_time(lexer)?;
    let year = year(lexer.number()?)?;
    date_time(year, month, day, time, Offset::UTC)
}

fn date_time(year: i16, month: i8, day: i8, time: civil::Time, offset: Offset) -> Option<DateTime> {
    let date = civil::Date::new(year, month, day).ok()?;
    Some(DateTime { local: civil::DateTime::from_parts(date, time), offset })
}

fn parse_time(lexer: &mut Lexer<'_>) -> Option<civil::Time> {
    let hour = number(lexer.number()?)?;
    if !lexer.skip(b':') {
        return None;
    }
    let minute = number(lexer.number()?)?;
    let second = if lexer.skip(b':') { number(lexer.number()?)? } else { 0 };
    if lexer.skip(b'.') {
        lexer.number()?;
    }
    // A leap second is the second before it, for a calendar that has none.
    civil::Time::new(hour, minute, if second == 60 { 59 } else { second }, 0).ok()
}

fn parse_zone(lexer: &mut Lexer<'_>) -> Offset {
    let mut named = Offset::UTC;
    // `GMT+0100`: the number says it.
    if let Some(Token::Word(word)) = lexer.peek() {
        named = named_zone(word);
        lexer.next();
    }
    let sign = match lexer.next() {
        Some(Token::Other(b'+')) => 1,
        Some(Token::Other(b'-')) => -1,
        _ => return named,
    };
    let digits = match lexer.next() {
        Some(Token::Number(digits)) if digits.len() == 4 => digits,
        _ => return named,
    };
    let (Some(hours), Some(minutes)) = (number(&digits[..2]), number(&digits[2..])) else { return named };
    Offset::from_seconds(sign * (i32::from(hours) * 60 + i32::from(minutes)) * 60).unwrap_or(named)
}

/// RFC 5322 §4.3: North America's zones by name; the military letters and all else say nothing.
fn named_zone(name: &[u8]) -> Offset {
    let hours = match name.to_ascii_uppercase().as_slice() {
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => 0,
    };
    Offset::constant(hours)
}

/// The month by the first three letters of its name.
fn month(word: &[u8]) -> Option<i8> {
    let index = MONTHS
        .iter()
        .position(|month| word.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(month.as_bytes())))?;
    i8::try_from(index + 1).ok()
}

/// RFC 5322 §4.3: two digits are 1950 to 2049, three are years since 1900.
fn year(digits: &[u8]) -> Option<i16> {
    let year: i16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match digits.len() {
        2 if year < 50 => Some(2000 + year),
        2 | 3 => Some(1900 + year),
        4 => Some(year),
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i8> {
    if digits.len() > 2 {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A piece of a date; blanks and comments lie between them.
#[derive(Clone, Copy)]
enum Token<'a> {
    Number(&'a [u8]),
    Word(&'a [u8]),
    Other(u8),
}

struct Lexer<'a> {
    rest: &'a [u8],
    peeked: Option<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn peek(&mut self) -> Option<Token<'a>> {
        if self.peeked.is_none() {
            self.peeked = self.read();
        }
        self.peeked
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.peek();
        self.peeked = None;
        token
    }

    fn number(&mut self) -> Option<&'a [u8]> {
        match self.next()? {
            Token::Number(digits) => Some(digits),
            _ => None,
        }
    }

    /// Takes this character if it comes next.
    fn skip(&mut self, byte: u8) -> bool {
        let found = matches!(self.peek(), Some(Token::Other(other)) if other == byte);
        if found {
            self.peeked = None;
        }
        found
    }

    fn read(&mut self) -> Option<Token<'a>> {
        self.skip_blanks_and_comments();
        let first = *self.rest.first()?;
        let run = |is: fn(&u8) -> bool| self.rest.iter().take_while(|byte| is(byte)).count();
        let (length, token): (usize, fn(&'a [u8]) -> Token<'a>) = match first {
            b'0'..=b'9' => (run(u8::is_ascii_digit), Token::Number),
            b'a'..=b'z' | b'A'..=b'Z' => (run(u8::is_ascii_alphabetic), Token::Word),
            _ => (1, |other| Token::Other(other[0])),
        };
        let (read, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(token(read))
    }

    fn skip_blanks_and_comments(&mut self) {
        let mut depth = 0_usize;
        let mut bytes = self.rest.iter();
        loop {
            let before = bytes.as_slice();
            match bytes.next() {
                Some(b'(') => depth += 1,
                Some(b')') if depth > 0 => depth -= 1,
                Some(b'\\') if depth > 0 => drop(bytes.next()),
                Some(b' ' | b'\t' | b'\r' | b'\n') => {}
                Some(_) if depth > 0 => {}
                _ => {
                    self.rest = before;
                    return;
                }
            }
        }
    }
}
