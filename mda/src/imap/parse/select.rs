//! SELECT and EXAMINE (RFC 9051 §6.3.2) with their parameters (RFC 7162 §3.1.8, §3.2.5).

use bytes::Bytes;

use super::cursor::{Cursor, Invalid};
use super::set::{SequenceSet, SetEnd, sequence_set};

/// The arguments of SELECT and EXAMINE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Select {
    /// Which mailbox.
    pub mailbox: Bytes,
    /// `CONDSTORE`
    pub condstore: bool,
    /// `QRESYNC`
    pub resync: Option<Resync>,
}

/// What a client knows of a mailbox from before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    /// Without the same UIDVALIDITY it knows nothing.
    pub uid_validity: u32,
    /// It knows all changes up to here.
    pub modseq: u64,
    /// The UIDs it knows of; None for all.
    pub known: Option<SequenceSet>,
    /// Some message numbers and the UIDs that they had, ascending.
    pub matched: Option<(SequenceSet, SequenceSet)>,
}

pub(super) fn arguments(cursor: &mut Cursor) -> Result<Select, Invalid> {
    cursor.space()?;
    let mut select = Select { mailbox: cursor.astring()?, ..Select::default() };
    if !cursor.take(b' ') {
        return Ok(select);
    }
    cursor.expect(b'(')?;
    loop {
        let invalid = cursor.invalid("a parameter");
        match cursor.atom()?.to_ascii_uppercase().as_slice() {
            b"CONDSTORE" => select.condstore = true,
            b"QRESYNC" if select.resync.is_none() => {
                cursor.space()?;
                select.resync = Some(resync(cursor)?);
            }
            _ => return Err(invalid),
        }
        if cursor.take(b')') {
            return Ok(select);
        }
        cursor.space()?;
    }
}

/// `"(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"`
fn resync(cursor: &mut Cursor) -> Result<Resync, Invalid> {
    cursor.expect(b'(')?;
    let uid_validity = cursor.nz_number()?;
    cursor.space()?;
    let mut resync = Resync { uid_validity, modseq: cursor.number64()?, known: None, matched: None };
    let mut more = cursor.take(b' ');
    if more && cursor.peek() != Some(b'(') {
        resync.known = Some(known_set(cursor)?);
        more = cursor.take(b' ');
    }
    if more {
        cursor.expect(b'(')?;
        let numbers = known_set(cursor)?;
        cursor.space()?;
        resync.matched = Some((numbers, known_set(cursor)?));
        cursor.expect(b')')?;
    }
    cursor.expect(b')')?;
    Ok(resync)
}

/// A set without `*`: what a client knows has an end.
fn known_set(cursor: &mut Cursor) -> Result<SequenceSet, Invalid> {
    let invalid = cursor.invalid("a set without *");
    let set = sequence_set(cursor)?;
    let open = set.0.iter().any(|(one, other)| [one, other].contains(&&SetEnd::Last));
    if open { Err(invalid) } else { Ok(set) }
}
