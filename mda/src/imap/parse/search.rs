//! SEARCH (RFC 9051 §6.4.4).

use bytes::Bytes;
use jiff::civil::Date;

use super::cursor::{Cursor, Invalid};
use super::date::search_date;
use super::fetch::{FetchItem, items};
use super::partial::{PartialRange, partial_range};
use super::set::{MessageSet, message_set};

/// How deep NOT, OR and parentheses may nest.
pub(super) const DEPTH: usize = 32;
/// Keys in one command, at all depths.
const KEYS: usize = 1_000;

/// The arguments of SEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// `RETURN (…)`: the result is an ESEARCH response.
    pub returns: Option<ReturnOptions>,
    /// What is fetched of messages that come later and match, if the client follows the results (RFC 5465 §7).
    pub fetched: Vec<FetchItem>,
    /// In upper case.
    pub charset: Option<String>,
    /// What the messages must match.
    pub key: SearchKey,
}

/// `search-return-opts`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReturnOptions {
    /// The lowest match.
    pub min: bool,
    /// The highest match.
    pub max: bool,
    /// All matches.
    pub all: bool,
    /// How many matches.
    pub count: bool,
    /// Keep the matches for `$`.
    pub save: bool,
    /// Some of the matches (RFC 9394 §3.1); not together with `all`.
    pub partial: Option<PartialRange>,
    /// The client is going to ask the same again (RFC 5267 §4.2).
    pub context: bool,
    /// What becomes of the matches is to be told (RFC 5267 §4.3).
    pub update: bool,
}

/// What a message is asked for. Words are as sent, in the command's charset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchKey {
    /// Every message.
    All,
    /// All of these; never empty.
    And(Vec<SearchKey>),
    /// Either.
    Or(Box<(SearchKey, SearchKey)>),
    /// Not this.
    Not(Box<SearchKey>),
    /// Message numbers.
    Sequence(MessageSet),
    /// UIDs.
    Uid(MessageSet),
    /// The flag is set.
    Flag(String),
    /// Arrived since this session began (RFC 3501 §6.4.4).
    Recent,
    /// The internal date is before this day.
    Before(Date),
    /// The internal date is this day.
    On(Date),
    /// The internal date is this day or later.
    Since(Date),
    /// The Date field is before this day.
    SentBefore(Date),
    /// The Date field is this day.
    SentOn(Date),
    /// The Date field is this day or later.
    SentSince(Date),
    /// More octets than this.
    Larger(u64),
    /// Fewer octets than this.
    Smaller(u64),
    /// A field by this name holds the text; an empty text asks for the field alone.
    Header(Bytes, Bytes),
    /// The body holds the text.
    Body(Bytes),
    /// The header or the body holds the text.
    Text(Bytes),
    /// Came or changed at this modseq or later (RFC 7162 §3.1.5).
    ModSeq(u64),
    /// The save date is before this day (RFC 8514 §4.3).
    SavedBefore(Date),
    /// The save date is this day.
    SavedOn(Date),
    /// The save date is this day or later.
    SavedSince(Date),
    /// So many seconds old, or older (RFC 5032).
    Older(u32),
    /// So many seconds old, or younger.
    Younger(u32),
    /// The message has this id (RFC 8474 §6).
    EmailId(String),
    /// The message is of the thread of this id.
    ThreadId(String),
}

impl SearchKey {
    /// A test of modseqs is in it: the results then come with the highest.
    pub fn asks_modseq(&self) -> bool {
        self.any(&|key| matches!(key, Self::ModSeq(_)))
    }

    /// A message number is in it.
    pub fn names_numbers(&self) -> bool {
        self.any(&|key| matches!(key, Self::Sequence(set) if *set != MessageSet::Saved))
    }

    /// Holds of this key or of one in it. Recursion ends: the parser caps the nesting of keys.
    pub fn any(&self, holds: &impl Fn(&Self) -> bool) -> bool {
        match self {
            Self::And(keys) => keys.iter().any(|key| key.any(holds)),
            Self::Or(keys) => keys.0.any(holds) || keys.1.any(holds),
            Self::Not(key) => key.any(holds),
            key => holds(key),
        }
    }
}

pub(super) fn arguments(cursor: &mut Cursor) -> Result<Search, Invalid> {
    cursor.space()?;
    let (returns, fetched) = returns(cursor)?;
    let charset = if cursor.keyword("CHARSET") {
        cursor.space()?;
        let name = cursor.astring()?;
        cursor.space()?;
        Some(String::from_utf8_lossy(&name).to_ascii_uppercase())
    } else {
        None
    };
    Ok(Search { returns, fetched, charset, key: key(cursor)? })
}

/// `[RETURN SP search-return-opts SP]`, and what UPDATE wants fetched.
pub(super) fn returns(cursor: &mut Cursor) -> Result<(Option<ReturnOptions>, Vec<FetchItem>), Invalid> {
    if !cursor.keyword("RETURN") {
        return Ok((None, Vec::new()));
    }
    cursor.space()?;
    let mut fetched = Vec::new();
    let returns = return_options(cursor, &mut fetched)?;
    cursor.space()?;
    Ok((Some(returns), fetched))
}

/// `search-key *(SP search-key)`
pub(super) fn key(cursor: &mut Cursor) -> Result<SearchKey, Invalid> {
    Keys { left: KEYS }.list(cursor, 0)
}

fn return_options(cursor: &mut Cursor, fetched: &mut Vec<FetchItem>) -> Result<ReturnOptions, Invalid> {
    let mut options = ReturnOptions::default();
    cursor.expect(b'(')?;
    if cursor.take(b')') {
        // RFC 9051 §6.4.4: nothing asked for is ALL.
        options.all = true;
        return Ok(options);
    }
    loop {
        let invalid = cursor.invalid("a return option");
        match cursor.atom()?.to_ascii_uppercase().as_slice() {
            b"MIN" => options.min = true,
            b"MAX" => options.max = true,
            b"ALL" => options.all = true,
            b"COUNT" => options.count = true,
            b"SAVE" => options.save = true,
            b"CONTEXT" => options.context = true,
            b"UPDATE" if !options.update => {
                options.update = true;
                *fetched = items(cursor)?;
            }
            b"PARTIAL" if options.partial.is_none() => {
                cursor.space()?;
                options.partial = Some(partial_range(cursor)?);
            }
            _ => return Err(invalid),
        }
        if options.all && options.partial.is_some() {
            return Err(invalid);
        }
        if cursor.take(b')') {
            return Ok(options);
        }
        cursor.space()?;
    }
}

/// Counts the keys of one command.
struct Keys {
    left: usize,
}

impl Keys {
    /// `search-key *(SP search-key)`
    fn list(&mut self, cursor: &mut Cursor, depth: usize) -> Result<SearchKey, Invalid> {
        let first = self.key(cursor, depth)?;
        if cursor.peek() != Some(b' ') {
            return Ok(first);
        }
        let mut keys = vec![first];
        while cursor.take(b' ') {
            keys.push(self.key(cursor, depth)?);
        }
        Ok(SearchKey::And(keys))
    }

    fn key(&mut self, cursor: &mut Cursor, depth: usize) -> Result<SearchKey, Invalid> {
        if depth > DEPTH {
            return Err(cursor.invalid("less nesting"));
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| cursor.invalid("fewer search keys"))?;
        match cursor.peek() {
            Some(b'(') => {
                cursor.take(b'(');
                let keys = self.list(cursor, depth + 1)?;
                cursor.expect(b')')?;
                Ok(keys)
            }
            Some(b'0'..=b'9' | b'*' | b'$') => message_set(cursor).map(SearchKey::Sequence),
            _ => self.named(cursor, depth),
        }
    }

    fn named(&mut self, cursor: &mut Cursor, depth: usize) -> Result<SearchKey, Invalid> {
        let invalid = cursor.invalid("a search key");
        let name = cursor.atom_string()?.to_ascii_uppercase();
        if let Some(key) = flag_key(&name) {
            return Ok(key);
        }
        let key = match name.as_str() {
            "NOT" => {
                cursor.space()?;
                not(self.key(cursor, depth + 1)?)
            }
            "OR" => {
                cursor.space()?;
                let one = self.key(cursor, depth + 1)?;
                cursor.space()?;
                SearchKey::Or(Box::new((one, self.key(cursor, depth + 1)?)))
            }
            _ => key_with_argument(&name, cursor)?.ok_or(invalid)?,
        };
        Ok(key)
    }
}

/// The keys that are a word alone.
fn flag_key(name: &str) -> Option<SearchKey> {
    let flag = |name: &str| SearchKey::Flag(name.to_owned());
    Some(match name {
        // Every message has a save date, if only since such were kept (RFC 8514 §4.3).
        "ALL" | "SAVEDATESUPPORTED" => SearchKey::All,
        "ANSWERED" => flag("\\Answered"),
        "DELETED" => flag("\\Deleted"),
        "DRAFT" => flag("\\Draft"),
        "FLAGGED" => flag("\\Flagged"),
        "SEEN" => flag("\\Seen"),
        "UNANSWERED" => not(flag("\\Answered")),
        "UNDELETED" => not(flag("\\Deleted")),
        "UNDRAFT" => not(flag("\\Draft")),
        "UNFLAGGED" => not(flag("\\Flagged")),
        "UNSEEN" => not(flag("\\Seen")),
        "RECENT" => SearchKey::Recent,
        "OLD" => not(SearchKey::Recent),
        "NEW" => SearchKey::And(vec![SearchKey::Recent, not(flag("\\Seen"))]),
        _ => return None,
    })
}

fn key_with_argument(name: &str, cursor: &mut Cursor) -> Result<Option<SearchKey>, Invalid> {
    let known = matches!(
        name,
        "BCC"
            | "BEFORE"
            | "BODY"
            | "CC"
            | "FROM"
            | "HEADER"
            | "KEYWORD"
            | "LARGER"
            | "ON"
            | "SENTBEFORE"
            | "SENTON"
            | "SENTSINCE"
            | "SINCE"
            | "SMALLER"
            | "SUBJECT"
            | "TEXT"
            | "TO"
            | "UID"
            | "UNKEYWORD"
            | "EMAILID"
            | "MODSEQ"
            | "OLDER"
            | "SAVEDBEFORE"
            | "SAVEDON"
            | "SAVEDSINCE"
            | "THREADID"
            | "YOUNGER"
    );
    if !known {
        return Ok(None);
    }
    cursor.space()?;
    Ok(Some(match name {
        "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => {
            SearchKey::Header(Bytes::copy_from_slice(name.as_bytes()), cursor.astring()?)
        }
        "HEADER" => {
            let field = cursor.astring()?;
            cursor.space()?;
            SearchKey::Header(field, cursor.astring()?)
        }
        "BODY" => SearchKey::Body(cursor.astring()?),
        "TEXT" => SearchKey::Text(cursor.astring()?),
        "KEYWORD" => SearchKey::Flag(cursor.atom_string()?),
        "UNKEYWORD" => not(SearchKey::Flag(cursor.atom_string()?)),
        "LARGER" => SearchKey::Larger(cursor.number64()?),
        "SMALLER" => SearchKey::Smaller(cursor.number64()?),
        "UID" => SearchKey::Uid(message_set(cursor)?),
        "BEFORE" => SearchKey::Before(search_date(cursor)?),
        "ON" => SearchKey::On(search_date(cursor)?),
        "SINCE" => SearchKey::Since(search_date(cursor)?),
        "MODSEQ" => SearchKey::ModSeq(modseq(cursor)?),
        "EMAILID" => SearchKey::EmailId(object_id(cursor)?),
        "THREADID" => SearchKey::ThreadId(object_id(cursor)?),
        "OLDER" => SearchKey::Older(cursor.nz_number()?),
        "YOUNGER" => SearchKey::Younger(cursor.nz_number()?),
        "SAVEDBEFORE" => SearchKey::SavedBefore(search_date(cursor)?),
        "SAVEDON" => SearchKey::SavedOn(search_date(cursor)?),
        "SAVEDSINCE" => SearchKey::SavedSince(search_date(cursor)?),
        "SENTBEFORE" => SearchKey::SentBefore(search_date(cursor)?),
        "SENTON" => SearchKey::SentOn(search_date(cursor)?),
        "SENTSINCE" => SearchKey::SentSince(search_date(cursor)?),
        _ => return Ok(None),
    }))
}

/// `[entry-name SP entry-type-req SP] mod-sequence-valzer`: there is one modseq for all that a message has, so the entry
/// is passed over (RFC 7162 §3.1.5).
fn modseq(cursor: &mut Cursor) -> Result<u64, Invalid> {
    if cursor.peek() == Some(b'"') {
        cursor.string()?;
        cursor.space()?;
        if !["priv", "shared", "all"].iter().any(|kind| cursor.keyword(kind)) {
            return Err(cursor.invalid("priv, shared or all"));
        }
        cursor.space()?;
    }
    cursor.number64()
}

/// `objectid` (RFC 8474 §7)
fn object_id(cursor: &mut Cursor) -> Result<String, Invalid> {
    let invalid = cursor.invalid("an object id");
    let id = cursor.astring()?;
    let is_known = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-');
    if id.is_empty() || id.len() > 255 || !id.iter().all(is_known) {
        return Err(invalid);
    }
    Ok(id.iter().copied().map(char::from).collect())
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}
