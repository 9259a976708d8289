//! A search key made ready, and what it says of a message.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use message::date::DateTime;
use message::header;

use crate::fulltext::Hits;
use crate::imap::parse::{MessageSet, SearchKey};
use crate::imap::session::context::ALLOCATION;
use crate::imap::session::{Failure, bad};
use crate::outline::Outline;
use crate::store::{EmailId, ModSeq, Row, SystemFlag, Uid, UidSet};
use crate::text::{DecodedText, Needle};

/// What is asked of each message.
#[derive(Debug)]
pub(in crate::imap::session) enum Test {
    All(Vec<Test>),
    Either(Box<(Test, Test)>),
    Not(Box<Test>),
    Never,
    Uids(UidSet),
    Flag(SystemFlag),
    Keyword(String),
    Arrived(Day),
    Saved(Day),
    /// Arrived at this moment or later.
    Since(Timestamp),
    /// Arrived at this moment or earlier.
    Until(Timestamp),
    ModSeq(ModSeq),
    Email(EmailId),
    Sent(Day),
    Larger(u64),
    Smaller(u64),
    Header {
        name: Bytes,
        /// Outlines have the field.
        in_outline: bool,
        needle: Needle,
    },
    Body(Needle),
    Text(Needle),
}

/// What is asked of a date.
#[derive(Debug, Clone, Copy)]
pub(in crate::imap::session) enum Day {
    Before(Date),
    On(Date),
    Since(Date),
}

impl Day {
    fn holds(self, date: Date) -> bool {
        match self {
            Self::Before(day) => date < day,
            Self::On(day) => date == day,
            Self::Since(day) => date >= day,
        }
    }
}

/// What is known of a message so far.
pub(super) struct Candidate<'a> {
    pub(super) row: &'a Row,
    /// What an index says of the words sought.
    pub(super) hits: Option<&'a Hits>,
    /// Of the header the fields that outlines have.
    pub(super) fields: Option<&'a [u8]>,
    /// All of the header.
    pub(super) header: Option<&'a [u8]>,
    pub(super) text: Option<&'a DecodedText>,
}

impl Test {
    /// Recursion ends: the parser caps the nesting of keys.
    pub(super) fn new(
        key: SearchKey,
        resolve: &impl Fn(&MessageSet, bool) -> Result<UidSet, Failure>,
    ) -> Result<Self, Failure> {
        Ok(match key {
            SearchKey::All => Self::All(Vec::new()),
            SearchKey::And(keys) => {
                let tests = keys.into_iter().map(|key| Self::new(key, resolve));
                Self::All(tests.collect::<Result<_, _>>()?)
            }
            SearchKey::Or(keys) => {
                let (one, other) = *keys;
                Self::Either(Box::new((Self::new(one, resolve)?, Self::new(other, resolve)?)))
            }
            SearchKey::Not(key) => Self::Not(Box::new(Self::new(*key, resolve)?)),
            SearchKey::Sequence(set) => Self::Uids(resolve(&set, false)?),
            SearchKey::Uid(set) => Self::Uids(resolve(&set, true)?),
            SearchKey::Flag(name) => match SystemFlag::parse(&name) {
                Some(flag) => Self::Flag(flag),
                None => Self::Keyword(name),
            },
            // No message is recent, or has the id of a thread.
            SearchKey::Recent | SearchKey::ThreadId(_) => Self::Never,
            SearchKey::Before(date) => Self::Arrived(Day::Before(date)),
            SearchKey::On(date) => Self::Arrived(Day::On(date)),
            SearchKey::Since(date) => Self::Arrived(Day::Since(date)),
            SearchKey::SavedBefore(date) => Self::Saved(Day::Before(date)),
            SearchKey::SavedOn(date) => Self::Saved(Day::On(date)),
            SearchKey::SavedSince(date) => Self::Saved(Day::Since(date)),
            SearchKey::Younger(seconds) => Self::Since(ago(seconds)),
            SearchKey::Older(seconds) => Self::Until(ago(seconds)),
            SearchKey::ModSeq(modseq) => Self::ModSeq(modseq),
            SearchKey::EmailId(id) => EmailId::parse(&id).map_or(Self::Never, Self::Email),
            SearchKey::SentBefore(date) => Self::Sent(Day::Before(date)),
            SearchKey::SentOn(date) => Self::Sent(Day::On(date)),
            SearchKey::SentSince(date) => Self::Sent(Day::Since(date)),
            SearchKey::Larger(size) => Self::Larger(size),
            SearchKey::Smaller(size) => Self::Smaller(size),
            SearchKey::Header(name, words) => {
                let in_outline = Outline::knows(&name);
                // It may be kept, and must not keep all of the command.
                Self::Header { in_outline, name: Bytes::copy_from_slice(&name), needle: needle(&words)? }
            }
            SearchKey::Body(words) => Self::Body(needle(&words)?),
            SearchKey::Text(words) => Self::Text(needle(&words)?),
        })
    }

    /// False: no message with this UID matches. Spares reading rows when the client names few messages.
    pub(super) fn may_match(&self, uid: Uid) -> bool {
        match self {
            Self::Uids(uids) => uids.contains(uid),
            Self::All(tests) => tests.iter().all(|test| test.may_match(uid)),
            Self::Never => false,
            _ => true,
        }
    }

    /// How long it takes to ask a message that is in memory, at least 1: fields must be found and decoded.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::All(tests) => tests.iter().map(Self::weight).sum::<usize>() + 1,
            Self::Either(tests) => tests.0.weight() + tests.1.weight(),
            Self::Not(test) => test.weight(),
            Self::Sent(_) | Self::Header { .. } => 64,
            _ => 1,
        }
    }

    /// What may change of a message is asked: its flags, or its modseq.
    pub(super) fn asks_flags(&self) -> bool {
        self.any(&|test| matches!(test, Self::Flag(_) | Self::Keyword(_) | Self::ModSeq(_)))
    }

    fn any(&self, holds: &impl Fn(&Self) -> bool) -> bool {
        match self {
            Self::All(tests) => tests.iter().any(|test| test.any(holds)),
            Self::Either(tests) => tests.0.any(holds) || tests.1.any(holds),
            Self::Not(test) => test.any(holds),
            test => holds(test),
        }
    }

    /// Octets that it takes, roughly.
    pub(super) fn octets(&self) -> usize {
        size_of::<Self>() + self.octets_behind()
    }

    /// Those that it takes elsewhere.
    fn octets_behind(&self) -> usize {
        match self {
            Self::All(tests) => {
                let behind = tests.iter().map(Self::octets_behind).sum::<usize>();
                tests.capacity() * size_of::<Self>() + ALLOCATION + behind
            }
            Self::Either(tests) => tests.0.octets() + tests.1.octets() + ALLOCATION,
            Self::Not(test) => test.octets() + ALLOCATION,
            Self::Uids(uids) => uids.octets() + ALLOCATION,
            Self::Keyword(keyword) => keyword.capacity() + ALLOCATION,
            Self::Header { name, needle, .. } => name.len() + needle.words().len() + 3 * ALLOCATION,
            Self::Body(needle) | Self::Text(needle) => needle.words().len() + ALLOCATION,
            _ => 0,
        }
    }

    /// Adds the words that are sought in the text of messages.
    pub(super) fn add_words(&self, words: &mut Vec<String>) {
        match self {
            Self::All(tests) => tests.iter().for_each(|test| test.add_words(words)),
            Self::Either(tests) => [&tests.0, &tests.1].iter().for_each(|test| test.add_words(words)),
            Self::Not(test) => test.add_words(words),
            Self::Body(needle) | Self::Text(needle) => words.push(needle.words().to_owned()),
            _ => {}
        }
    }

    /// None: more of the message must be known.
    pub(super) fn answer(&self, candidate: &Candidate<'_>) -> Option<bool> {
        let row = candidate.row;
        match self {
            Self::All(tests) => all(tests.iter().map(|test| test.answer(candidate))),
            Self::Either(tests) => {
                let answers = [&tests.0, &tests.1].map(|test| test.answer(candidate).map(|answer| !answer));
                all(answers.into_iter()).map(|neither| !neither)
            }
            Self::Not(test) => test.answer(candidate).map(|answer| !answer),
            Self::Never => Some(false),
            Self::Uids(uids) => Some(uids.contains(row.uid)),
            Self::Flag(flag) => Some(row.flags.has(*flag)),
            Self::Keyword(keyword) => Some(row.flags.has_keyword(keyword)),
            // Disregarding time and zone (RFC 9051 §6.4.4): INTERNALDATE is given in UTC.
            Self::Arrived(day) => Some(day.holds(Offset::UTC.to_datetime(row.internal_date).date())),
            Self::Saved(day) => {
                // RFC 8514 §4.3: where there is none, the internal date stands for it.
                let saved_at = row.saved_at.unwrap_or(row.internal_date);
                Some(day.holds(Offset::UTC.to_datetime(saved_at).date()))
            }
            Self::Since(moment) => Some(row.internal_date >= *moment),
            Self::Until(moment) => Some(row.internal_date <= *moment),
            Self::ModSeq(modseq) => Some(row.modseq >= *modseq),
            Self::Email(email) => Some(row.email == *email),
            Self::Larger(size) => Some(row.size > *size),
            Self::Smaller(size) => Some(row.size < *size),
            Self::Sent(day) => {
                let fields = candidate.header.or(candidate.fields);
                fields.map(|fields| sent(fields).is_some_and(|date| day.holds(date)))
            }
            Self::Header { name, in_outline, needle } => {
                let fields = candidate.fields.filter(|_| *in_outline);
                candidate.header.or(fields).map(|fields| has_field(fields, name, needle))
            }
            Self::Body(needle) => candidate.holds(needle, false),
            Self::Text(needle) => candidate.holds(needle, true),
        }
    }
}

/// So many seconds before now (RFC 5032).
fn ago(seconds: u32) -> Timestamp {
    let then = Timestamp::now().checked_sub(SignedDuration::from_secs(seconds.into()));
    then.unwrap_or(Timestamp::MIN)
}

impl Candidate<'_> {
    /// The words are in the body, or if that is asked for too in the header.
    fn holds(&self, needle: &Needle, header_too: bool) -> Option<bool> {
        if let Some(text) = self.text {
            return Some(needle.is_in(text.body()) || header_too && needle.is_in(text.header()));
        }
        let ruled_out =
            self.hits.is_some_and(|hits| hits.rule_out(self.row.email, needle.words(), header_too));
        ruled_out.then_some(false)
    }
}

/// One no is no, whatever is unknown.
fn all(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = Some(true);
    for answer in answers {
        match answer {
            Some(false) => return Some(false),
            Some(true) => {}
            None => known = None,
        }
    }
    known
}

fn sent(header: &[u8]) -> Option<Date> {
    Some(DateTime::parse(header::first(header, "Date")?)?.local.date())
}

fn has_field(header: &[u8], name: &[u8], needle: &Needle) -> bool {
    header::fields(header)
        .filter(|field| field.name.eq_ignore_ascii_case(name))
        .any(|field| needle.is_in_field(&field))
}

fn needle(words: &Bytes) -> Result<Needle, Failure> {
    let words = std::str::from_utf8(words).map_err(|_| bad("the text sought is not UTF-8"))?;
    Ok(Needle::new(words))
}
