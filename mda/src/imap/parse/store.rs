//! STORE (RFC 9051 §6.4.6), and flags as arguments.

use super::cursor::{Cursor, Invalid};
use super::set::{MessageSet, message_set};

/// Flags in one command.
const FLAGS: usize = 256;

/// The arguments of STORE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Of which messages.
    pub set: MessageSet,
    /// What is done with the flags.
    pub mode: StoreMode,
    /// No FETCH responses.
    pub silent: bool,
    /// Only messages that have not changed since (RFC 7162 §3.1.3).
    pub unchanged_since: Option<u64>,
    /// As sent.
    pub flags: Vec<String>,
}

/// What STORE does with its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreMode {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

pub(super) fn arguments(cursor: &mut Cursor) -> Result<Store, Invalid> {
    cursor.space()?;
    let set = message_set(cursor)?;
    cursor.space()?;
    let unchanged_since = unchanged_since(cursor)?;
    let mode = match cursor.peek() {
        Some(b'+') => StoreMode::Add,
        Some(b'-') => StoreMode::Remove,
        _ => StoreMode::Replace,
    };
    if mode != StoreMode::Replace {
        cursor.take(b'+');
        cursor.take(b'-');
    }
    let silent = cursor.keyword("FLAGS.SILENT");
    if !silent && !cursor.keyword("FLAGS") {
        return Err(cursor.invalid("FLAGS"));
    }
    cursor.space()?;
    let flags = if cursor.peek() == Some(b'(') { flag_list(cursor)? } else { bare_flags(cursor)? };
    Ok(Store { set, mode, silent, unchanged_since, flags })
}

/// `["(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")" SP]`
fn unchanged_since(cursor: &mut Cursor) -> Result<Option<u64>, Invalid> {
    if !cursor.take(b'(') {
        return Ok(None);
    }
    if !cursor.keyword("UNCHANGEDSINCE") {
        return Err(cursor.invalid("UNCHANGEDSINCE"));
    }
    cursor.space()?;
    let modseq = cursor.number64()?;
    cursor.expect(b')')?;
    cursor.space()?;
    Ok(Some(modseq))
}

/// `flag-list = "(" [flag *(SP flag)] ")"`
pub(super) fn flag_list(cursor: &mut Cursor) -> Result<Vec<String>, Invalid> {
    cursor.expect(b'(')?;
    if cursor.take(b')') {
        return Ok(Vec::new());
    }
    let flags = bare_flags(cursor)?;
    cursor.expect(b')')?;
    Ok(flags)
}

fn bare_flags(cursor: &mut Cursor) -> Result<Vec<String>, Invalid> {
    let mut flags = vec![flag(cursor)?];
    while cursor.take(b' ') {
        if flags.len() == FLAGS {
            return Err(cursor.invalid("fewer flags"));
        }
        flags.push(flag(cursor)?);
    }
    Ok(flags)
}

fn flag(cursor: &mut Cursor) -> Result<String, Invalid> {
    let system = cursor.take(b'\\');
    let name = cursor.atom_string()?;
    Ok(if system { format!("\\{name}") } else { name })
}
