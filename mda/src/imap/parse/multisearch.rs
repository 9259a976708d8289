//! ESEARCH, the command (RFC 7377 §2).

use bytes::Bytes;

use super::cursor::{Cursor, Invalid};
use super::notify::names;
use super::search::{self, Search};

/// Sources in one command.
const MOST: usize = 256;

/// The arguments of ESEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiSearch {
    /// Which mailboxes; none given is the selected one.
    pub sources: Option<Vec<Source>>,
    /// What is sought in each.
    pub search: Search,
}

/// `filter-mailboxes`, as it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The selected mailbox.
    Selected,
    /// Where mail is delivered to.
    Inboxes,
    /// The user's own.
    Personal,
    /// Subscribed ones.
    Subscribed,
    /// These names, as sent, and all below.
    Subtree(Vec<Bytes>),
    /// These names, as sent, and those right below.
    SubtreeOne(Vec<Bytes>),
    /// These names, as sent.
    Mailboxes(Vec<Bytes>),
}

pub(super) fn arguments(cursor: &mut Cursor) -> Result<MultiSearch, Invalid> {
    let sources = if cursor.is_at(" IN ") { Some(sources(cursor)?) } else { None };
    Ok(MultiSearch { sources, search: search::arguments(cursor)? })
}

/// `SP "IN" SP "(" source-mbox ")"`; no scope options are known.
fn sources(cursor: &mut Cursor) -> Result<Vec<Source>, Invalid> {
    cursor.space()?;
    if !cursor.keyword("IN") {
        return Err(cursor.invalid("IN"));
    }
    cursor.space()?;
    cursor.expect(b'(')?;
    let mut sources = vec![source(cursor)?];
    while !cursor.take(b')') {
        cursor.space()?;
        if sources.len() == MOST {
            return Err(cursor.invalid("fewer sources"));
        }
        sources.push(source(cursor)?);
    }
    Ok(sources)
}

fn source(cursor: &mut Cursor) -> Result<Source, Invalid> {
    let invalid = cursor.invalid("which mailboxes");
    Ok(match cursor.atom()?.to_ascii_uppercase().as_slice() {
        b"SELECTED" => Source::Selected,
        b"INBOXES" => Source::Inboxes,
        b"PERSONAL" => Source::Personal,
        b"SUBSCRIBED" => Source::Subscribed,
        b"SUBTREE" => Source::Subtree(names(cursor)?),
        b"SUBTREE-ONE" => Source::SubtreeOne(names(cursor)?),
        b"MAILBOXES" => Source::Mailboxes(names(cursor)?),
        _ => return Err(invalid),
    })
}
