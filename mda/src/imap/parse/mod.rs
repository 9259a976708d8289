//! From octets to typed commands, without I/O.
//!
//! [`Framer`] cuts the input into commands (RFC 9051 §2.2.1), checking every size before it is met; [`request`]
//! reads one such command. Both are total: any input gives a value or a typed error, in time linear in its
//! length, and nothing recurses deeper than a fixed cap.

mod acl;
mod append;
mod command;
mod context;
mod cursor;
mod date;
mod fetch;
mod frame;
mod list;
mod metadata;
mod multisearch;
mod notify;
mod partial;
mod quota;
mod search;
mod select;
mod set;
mod sort;
mod store;
mod url;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use acl::{Acl, RightsMode};
pub use append::{AppendHead, Piece, Replaced, Segment, Then, Use, segment_behind};
pub use command::{Command, Request};
pub use cursor::Invalid;
pub(crate) use cursor::is_atom;
pub use fetch::{FetchItem, FetchModifiers, Partial, Section, SectionText};
pub use frame::{Event, FrameLimits, Framer, Literal};
pub use list::{List, ListReturn, ListSelection, StatusItem};
pub use metadata::{Depth, GetMetadata, SetMetadata};
pub use multisearch::{MultiSearch, Source};
pub use notify::{EventGroup, MailboxFilter, Notify, NotifyEvent};
pub use partial::PartialRange;
pub use search::{ReturnOptions, Search, SearchKey};
pub use select::{Resync, Select};
pub use set::{MessageSet, SequenceSet, SetEnd};
pub use sort::{Sort, SortCriterion, SortKey, Thread};
pub use store::{Store, StoreMode};
pub use url::{MessageUrl, message_url};

use cursor::Cursor;

/// What is wrong with a command, and what it was tagged with if that much could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCommand {
    /// For the tagged BAD; without a tag the BAD is untagged.
    pub tag: Option<String>,
    /// What the client is told.
    pub reason: Reason,
}

/// Why a command is refused before anything is done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No command by this name.
    #[error("unknown command")]
    UnknownCommand,
    /// The command's arguments are not its grammar's.
    #[error(transparent)]
    Syntax(#[from] Invalid),
}

/// Reads one framed command: its line without the final CRLF, literals in place.
pub fn request(frame: Bytes) -> Result<Request, BadCommand> {
    let mut cursor = Cursor::new(frame);
    let tag = cursor.tag().map_err(|invalid| BadCommand { tag: None, reason: invalid.into() })?;
    match command(&mut cursor) {
        Ok(command) => Ok(Request { tag, command }),
        Err(reason) => Err(BadCommand { tag: Some(tag), reason }),
    }
}

/// The tag of a command that may be incomplete.
pub(super) fn tag_of(line: &Bytes) -> Option<String> {
    Cursor::new(line.clone()).tag().ok()
}

fn command(cursor: &mut Cursor) -> Result<Command, Reason> {
    cursor.space()?;
    let verb = cursor.atom()?.to_ascii_uppercase();
    let command = if verb == b"UID" {
        cursor.space()?;
        let verb = cursor.atom()?.to_ascii_uppercase();
        message_command(&verb, true, cursor)?.ok_or(Reason::UnknownCommand)?
    } else if let Some(command) = message_command(&verb, false, cursor)? {
        command
    } else {
        other_command(&verb, cursor)?
    };
    cursor.end()?;
    Ok(command)
}

/// The commands that have a UID form (RFC 9051 §6.4.9).
fn message_command(verb: &[u8], uid: bool, cursor: &mut Cursor) -> Result<Option<Command>, Invalid> {
    Ok(Some(match verb {
        b"FETCH" => {
            let (set, items, modifiers) = fetch::arguments(cursor, uid)?;
            Command::Fetch { uid, set, items, modifiers }
        }
        b"SEARCH" => Command::Search { uid, search: search::arguments(cursor)? },
        b"SORT" => Command::Sort { uid, sort: sort::sort(cursor)? },
        b"THREAD" => Command::Thread { uid, thread: sort::thread(cursor)? },
        b"STORE" => Command::Store { uid, store: store::arguments(cursor)? },
        b"COPY" => {
            let (set, target) = set_and_mailbox(cursor)?;
            Command::Copy { uid, set, target }
        }
        b"MOVE" => {
            let (set, target) = set_and_mailbox(cursor)?;
            Command::Move { uid, set, target }
        }
        b"REPLACE" => Command::Append(append::replace_by_urls(uid, cursor)?),
        b"EXPUNGE" if uid => {
            cursor.space()?;
            Command::Expunge { set: Some(set::message_set(cursor)?) }
        }
        b"EXPUNGE" => Command::Expunge { set: None },
        _ => return Ok(None),
    }))
}

fn other_command(verb: &[u8], cursor: &mut Cursor) -> Result<Command, Reason> {
    Ok(match verb {
        b"CAPABILITY" => Command::Capability,
        b"NOOP" => Command::Noop,
        b"LOGOUT" => Command::Logout,
        b"STARTTLS" => Command::StartTls,
        b"LOGIN" => {
            let username = argument(cursor)?;
            Command::Login { username, password: argument(cursor)? }
        }
        b"AUTHENTICATE" => authenticate(cursor)?,
        b"ENABLE" => Command::Enable(capabilities(cursor)?),
        b"COMPRESS" => {
            cursor.space()?;
            Command::Compress { mechanism: cursor.atom_string()?.to_ascii_uppercase() }
        }
        b"UNAUTHENTICATE" => Command::Unauthenticate,
        b"ID" => identification(cursor)?,
        b"NAMESPACE" => Command::Namespace,
        b"LIST" => Command::List(list::arguments(cursor)?),
        b"GETQUOTA" => Command::GetQuota(argument(cursor)?),
        b"GETQUOTAROOT" => Command::GetQuotaRoot(argument(cursor)?),
        b"SETQUOTA" => Command::SetQuota(quota::set(cursor)?),
        b"LSUB" => {
            let (reference, pattern) = list::reference_and_pattern(cursor)?;
            Command::Lsub { reference, pattern }
        }
        b"STATUS" => {
            let mailbox = argument(cursor)?;
            cursor.space()?;
            Command::Status { mailbox, items: list::status_items(cursor)? }
        }
        b"GETMETADATA" => Command::GetMetadata(metadata::get(cursor)?),
        b"SETMETADATA" => Command::SetMetadata(metadata::set(cursor)?),
        b"SETACL" | b"DELETEACL" | b"GETACL" | b"LISTRIGHTS" | b"MYRIGHTS" => {
            Command::Acl(acl::command(verb, cursor)?)
        }
        b"CANCELUPDATE" => Command::CancelUpdate(context::tags(cursor)?),
        b"ESEARCH" => Command::MultiSearch(multisearch::arguments(cursor)?),
        b"NOTIFY" => Command::Notify(notify::arguments(cursor)?),
        b"SUBSCRIBE" => Command::Subscribe(argument(cursor)?),
        b"UNSUBSCRIBE" => Command::Unsubscribe(argument(cursor)?),
        b"CREATE" => {
            let mailbox = argument(cursor)?;
            Command::Create { mailbox, special_use: list::create_uses(cursor)? }
        }
        b"DELETE" => Command::Delete(argument(cursor)?),
        b"RENAME" => {
            let from = argument(cursor)?;
            Command::Rename { from, to: argument(cursor)? }
        }
        b"SELECT" => Command::Select(select::arguments(cursor)?),
        b"EXAMINE" => Command::Examine(select::arguments(cursor)?),
        b"CHECK" => Command::Check,
        b"CLOSE" => Command::Close,
        b"UNSELECT" => Command::Unselect,
        b"IDLE" => Command::Idle,
        // The framer takes an APPEND apart by itself: its literals are streamed. What comes here has none.
        b"APPEND" => Command::Append(append::append_of_urls(cursor)?),
        _ => return Err(Reason::UnknownCommand),
    })
}

fn argument(cursor: &mut Cursor) -> Result<Bytes, Invalid> {
    cursor.space()?;
    cursor.astring()
}

fn set_and_mailbox(cursor: &mut Cursor) -> Result<(MessageSet, Bytes), Invalid> {
    cursor.space()?;
    let set = set::message_set(cursor)?;
    Ok((set, argument(cursor)?))
}

/// `AUTHENTICATE` SP mechanism \[SP initial-response\] (RFC 9051 §6.2.2). `=` is an empty initial response.
fn authenticate(cursor: &mut Cursor) -> Result<Command, Invalid> {
    cursor.space()?;
    let mechanism = cursor.atom_string()?.to_ascii_uppercase();
    let initial = if cursor.take(b' ') { Some(cursor.rest()) } else { None };
    Ok(Command::Authenticate { mechanism, initial })
}

fn capabilities(cursor: &mut Cursor) -> Result<Vec<String>, Invalid> {
    let mut names = Vec::new();
    cursor.space()?;
    names.push(cursor.atom_string()?.to_ascii_uppercase());
    while cursor.take(b' ') {
        names.push(cursor.atom_string()?.to_ascii_uppercase());
    }
    Ok(names)
}

/// RFC 2971 §3.3: at most 30 pairs of field and value, of so many octets.
const IDENTIFICATION_FIELDS: usize = 30;
const IDENTIFICATION_FIELD: usize = 30;
const IDENTIFICATION_VALUE: usize = 1_024;

fn identification(cursor: &mut Cursor) -> Result<Command, Invalid> {
    cursor.space()?;
    let mut fields = Vec::new();
    if cursor.keyword("NIL") {
        return Ok(Command::Id(fields));
    }
    cursor.expect(b'(')?;
    while !cursor.take(b')') {
        if !fields.is_empty() {
            cursor.space()?;
        }
        if fields.len() == IDENTIFICATION_FIELDS {
            return Err(cursor.invalid("at most 30 fields"));
        }
        let name = cursor.string()?;
        cursor.space()?;
        let value = cursor.nstring()?;
        if name.len() > IDENTIFICATION_FIELD
            || value.as_ref().is_some_and(|value| value.len() > IDENTIFICATION_VALUE)
        {
            return Err(cursor.invalid("a field of 30 octets and a value of 1,024 octets at most"));
        }
        fields.push((name, value));
    }
    Ok(Command::Id(fields))
}
