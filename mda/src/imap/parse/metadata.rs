//! GETMETADATA and SETMETADATA (RFC 5464 §4, §5).

use bytes::Bytes;

use super::cursor::{Cursor, Invalid};

/// Entries in one command.
const ENTRIES: usize = 256;
/// Octets of an entry's name.
const NAME: usize = 256;
/// Components of an entry's name.
const COMPONENTS: usize = 16;

/// The arguments of GETMETADATA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetMetadata {
    /// Empty for the server.
    pub mailbox: Bytes,
    /// In lower case.
    pub entries: Vec<String>,
    /// Larger values are left out.
    pub max_size: Option<u32>,
    /// What of the entries below those is wanted.
    pub depth: Depth,
}

/// How far below an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    /// The entry alone.
    #[default]
    Zero,
    /// Those directly below it, too.
    One,
    /// All below it.
    Infinity,
}

/// The arguments of SETMETADATA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetMetadata {
    /// Empty for the server.
    pub mailbox: Bytes,
    /// The names in lower case; None takes the value away.
    pub entries: Vec<(String, Option<Bytes>)>,
}

pub(super) fn get(cursor: &mut Cursor) -> Result<GetMetadata, Invalid> {
    cursor.space()?;
    let mut asked =
        GetMetadata { mailbox: Bytes::new(), entries: Vec::new(), max_size: None, depth: Depth::Zero };
    let options_first = cursor.peek() == Some(b'(');
    if options_first {
        options(cursor, &mut asked)?;
        cursor.space()?;
    }
    asked.mailbox = cursor.astring()?;
    cursor.space()?;
    // The RFC's own examples have the options here, as its grammar has not.
    if !options_first && (cursor.is_at("(MAXSIZE") || cursor.is_at("(DEPTH")) {
        options(cursor, &mut asked)?;
        cursor.space()?;
    }
    asked.entries = entries(cursor)?;
    Ok(asked)
}

pub(super) fn set(cursor: &mut Cursor) -> Result<SetMetadata, Invalid> {
    cursor.space()?;
    let mailbox = cursor.astring()?;
    cursor.space()?;
    cursor.expect(b'(')?;
    let mut entries = Vec::new();
    loop {
        if entries.len() == ENTRIES {
            return Err(cursor.invalid("fewer entries"));
        }
        let invalid = cursor.invalid("an entry below /private/ or /shared/");
        let entry = entry(cursor)?;
        if !(entry.starts_with("/private/") || entry.starts_with("/shared/")) {
            return Err(invalid);
        }
        cursor.space()?;
        entries.push((entry, cursor.nstring8()?));
        if cursor.take(b')') {
            return Ok(SetMetadata { mailbox, entries });
        }
        cursor.space()?;
    }
}

/// `entry / "(" entry *(SP entry) ")"`
pub(super) fn entries(cursor: &mut Cursor) -> Result<Vec<String>, Invalid> {
    if !cursor.take(b'(') {
        return Ok(vec![entry(cursor)?]);
    }
    let mut entries = vec![entry(cursor)?];
    while !cursor.take(b')') {
        cursor.space()?;
        if entries.len() == ENTRIES {
            return Err(cursor.invalid("fewer entries"));
        }
        entries.push(entry(cursor)?);
    }
    Ok(entries)
}

fn options(cursor: &mut Cursor, asked: &mut GetMetadata) -> Result<(), Invalid> {
    cursor.expect(b'(')?;
    loop {
        if cursor.keyword("MAXSIZE") {
            cursor.space()?;
            asked.max_size = Some(cursor.number()?);
        } else if cursor.keyword("DEPTH") {
            cursor.space()?;
            asked.depth = depth(cursor)?;
        } else {
            return Err(cursor.invalid("MAXSIZE or DEPTH"));
        }
        if cursor.take(b')') {
            return Ok(());
        }
        cursor.space()?;
    }
}

fn depth(cursor: &mut Cursor) -> Result<Depth, Invalid> {
    for (word, depth) in [("0", Depth::Zero), ("1", Depth::One), ("infinity", Depth::Infinity)] {
        if cursor.keyword(word) {
            return Ok(depth);
        }
    }
    Err(cursor.invalid("0, 1 or infinity"))
}

/// RFC 5464 §3.1: names have no case, no wildcards, and no empty component.
fn entry(cursor: &mut Cursor) -> Result<String, Invalid> {
    let invalid = cursor.invalid("the name of an entry");
    let name = cursor.astring()?.to_ascii_lowercase();
    let name = String::from_utf8(name).map_err(|_| invalid)?;
    let Some(components) = name.strip_prefix('/') else { return Err(invalid) };
    let is_fine = |component: &str| {
        !component.is_empty()
            && component.bytes().all(|octet| matches!(octet, b' '..=b'~') && !b"*%".contains(&octet))
    };
    let right = name.len() <= NAME
        && components.split('/').count() <= COMPONENTS
        && components.split('/').all(is_fine)
        && matches!(components.split('/').next(), Some("private" | "shared"));
    if right { Ok(name) } else { Err(invalid) }
}
