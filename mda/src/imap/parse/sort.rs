//! SORT and THREAD (RFC 5256 §3, RFC 5957, RFC 5267 §3).

use message::thread::Algorithm;

use super::cursor::{Cursor, Invalid};
use super::fetch::FetchItem;
use super::search::{self, ReturnOptions, Search};

/// The arguments of SORT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// The most important first; never empty.
    pub criteria: Vec<SortCriterion>,
    /// Which messages; what it asks to be returned is in the order of the criteria.
    pub search: Search,
}

/// `sort-criterion`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortCriterion {
    /// By what.
    pub key: SortKey,
    /// The greatest first.
    pub reverse: bool,
}

/// `sort-key`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// The internal date.
    Arrival,
    /// The local part of the first address of `Cc`.
    Cc,
    /// The date sent.
    Date,
    /// The name, or else the address, of the first author.
    DisplayFrom,
    /// The name, or else the address, of the first recipient.
    DisplayTo,
    /// The local part of the first address of `From`.
    From,
    /// Octets of the message.
    Size,
    /// The base subject.
    Subject,
    /// The local part of the first address of `To`.
    To,
}

/// The arguments of THREAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// How messages are put together.
    pub algorithm: Algorithm,
    /// Which messages.
    pub search: Search,
}

pub(super) fn sort(cursor: &mut Cursor) -> Result<Sort, Invalid> {
    cursor.space()?;
    let (returns, fetched) = search::returns(cursor)?;
    let criteria = criteria(cursor)?;
    Ok(Sort { criteria, search: charset_and_key(returns, fetched, cursor)? })
}

pub(super) fn thread(cursor: &mut Cursor) -> Result<Thread, Invalid> {
    cursor.space()?;
    let invalid = cursor.invalid("a threading algorithm");
    let algorithm = match cursor.atom()?.to_ascii_uppercase().as_slice() {
        b"ORDEREDSUBJECT" => Algorithm::OrderedSubject,
        b"REFERENCES" => Algorithm::References,
        b"REFS" => Algorithm::Refs,
        _ => return Err(invalid),
    };
    Ok(Thread { algorithm, search: charset_and_key(None, Vec::new(), cursor)? })
}

/// `SP search-criteria`: here the charset must be given.
fn charset_and_key(
    returns: Option<ReturnOptions>,
    fetched: Vec<FetchItem>,
    cursor: &mut Cursor,
) -> Result<Search, Invalid> {
    cursor.space()?;
    let charset = Some(String::from_utf8_lossy(&cursor.astring()?).to_ascii_uppercase());
    cursor.space()?;
    Ok(Search { returns, fetched, charset, key: search::key(cursor)? })
}

/// `sort-criteria`
fn criteria(cursor: &mut Cursor) -> Result<Vec<SortCriterion>, Invalid> {
    cursor.expect(b'(')?;
    let mut criteria = vec![criterion(cursor)?];
    while !cursor.take(b')') {
        cursor.space()?;
        let invalid = cursor.invalid("another sort key");
        let next = criterion(cursor)?;
        // Each means something once, reversed or not.
        if criteria.iter().any(|criterion| criterion.key == next.key) {
            return Err(invalid);
        }
        criteria.push(next);
    }
    Ok(criteria)
}

fn criterion(cursor: &mut Cursor) -> Result<SortCriterion, Invalid> {
    let reverse = cursor.keyword("REVERSE");
    if reverse {
        cursor.space()?;
    }
    let invalid = cursor.invalid("a sort key");
    let key = match cursor.atom()?.to_ascii_uppercase().as_slice() {
        b"ARRIVAL" => SortKey::Arrival,
        b"CC" => SortKey::Cc,
        b"DATE" => SortKey::Date,
        b"DISPLAYFROM" => SortKey::DisplayFrom,
        b"DISPLAYTO" => SortKey::DisplayTo,
        b"FROM" => SortKey::From,
        b"SIZE" => SortKey::Size,
        b"SUBJECT" => SortKey::Subject,
        b"TO" => SortKey::To,
        _ => return Err(invalid),
    };
    Ok(SortCriterion { key, reverse })
}
