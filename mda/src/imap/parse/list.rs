//! LIST, STATUS and CREATE's attributes (RFC 9051 §6.3.9, §6.3.11; RFC 5258, RFC 5819, RFC 6154).

use bytes::Bytes;

use super::cursor::{Cursor, Invalid};

/// Patterns in one LIST.
const PATTERNS: usize = 32;

/// The arguments of LIST.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// Which mailboxes are considered.
    pub selection: ListSelection,
    /// Put before each pattern.
    pub reference: Bytes,
    /// With `*` and `%`.
    pub patterns: Vec<Bytes>,
    /// What is told of each.
    pub returns: ListReturn,
    /// The command was more than RFC 3501's two arguments: an empty pattern then lists nothing.
    pub extended: bool,
}

/// `list-select-opts`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListSelection {
    /// Subscribed names only, existing or not.
    pub subscribed: bool,
    /// Also parents of what the other options select.
    pub recursive_match: bool,
    /// Only mailboxes with a special use (RFC 6154 §2).
    pub special_use: bool,
}

/// `list-return-opts`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListReturn {
    /// `\Subscribed`
    pub subscribed: bool,
    /// `\HasChildren`, `\HasNoChildren`
    pub children: bool,
    /// `\Sent`, …
    pub special_use: bool,
    /// A STATUS response for each selectable mailbox.
    pub status: Vec<StatusItem>,
    /// A MYRIGHTS response for each mailbox (RFC 8440).
    pub my_rights: bool,
    /// A METADATA response for each mailbox, with these entries (RFC 9590).
    pub metadata: Vec<String>,
}

/// An item of STATUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusItem {
    /// `MESSAGES`
    Messages,
    /// `RECENT` (RFC 3501 §6.3.10)
    Recent,
    /// `UIDNEXT`
    UidNext,
    /// `UIDVALIDITY`
    UidValidity,
    /// `UNSEEN`
    Unseen,
    /// `DELETED`
    Deleted,
    /// `DELETED-STORAGE` (RFC 9208 §4.1.4)
    DeletedStorage,
    /// `SIZE`
    Size,
    /// `APPENDLIMIT` (RFC 7889 §4)
    AppendLimit,
    /// `HIGHESTMODSEQ` (RFC 7162 §3.1.7)
    HighestModSeq,
    /// `MAILBOXID` (RFC 8474 §4.3)
    MailboxId,
}

pub(super) fn arguments(cursor: &mut Cursor) -> Result<List, Invalid> {
    let mut list = List::default();
    cursor.space()?;
    if cursor.take(b'(') {
        list.extended = true;
        list.selection = selection(cursor)?;
        cursor.space()?;
    }
    list.reference = cursor.astring()?;
    cursor.space()?;
    if cursor.take(b'(') {
        list.extended = true;
        list.patterns = patterns(cursor)?;
    } else {
        list.patterns.push(cursor.list_mailbox()?);
    }
    if cursor.take(b' ') {
        list.extended = true;
        list.returns = returns(cursor)?;
    }
    Ok(list)
}

/// The two arguments of LSUB, and of LIST in RFC 3501.
pub(super) fn reference_and_pattern(cursor: &mut Cursor) -> Result<(Bytes, Bytes), Invalid> {
    cursor.space()?;
    let reference = cursor.astring()?;
    cursor.space()?;
    Ok((reference, cursor.list_mailbox()?))
}

fn patterns(cursor: &mut Cursor) -> Result<Vec<Bytes>, Invalid> {
    let mut patterns = vec![cursor.list_mailbox()?];
    while !cursor.take(b')') {
        cursor.space()?;
        if patterns.len() == PATTERNS {
            return Err(cursor.invalid("at most 32 patterns"));
        }
        patterns.push(cursor.list_mailbox()?);
    }
    Ok(patterns)
}

fn selection(cursor: &mut Cursor) -> Result<ListSelection, Invalid> {
    let mut selection = ListSelection::default();
    let invalid = cursor.invalid("RECURSIVEMATCH together with another option");
    options(cursor, |cursor| {
        let invalid = cursor.invalid("a selection option");
        match cursor.atom()?.to_ascii_uppercase().as_slice() {
            b"SUBSCRIBED" => selection.subscribed = true,
            b"RECURSIVEMATCH" => selection.recursive_match = true,
            b"SPECIAL-USE" => selection.special_use = true,
            // There are no remote mailboxes to be shown beside ours.
            b"REMOTE" => {}
            _ => return Err(invalid),
        }
        Ok(())
    })?;
    // RFC 9051 §6.3.9.1: it modifies another option, and is an error without one.
    if selection.recursive_match && !(selection.subscribed || selection.special_use) {
        return Err(invalid);
    }
    Ok(selection)
}

fn returns(cursor: &mut Cursor) -> Result<ListReturn, Invalid> {
    let mut returns = ListReturn::default();
    if !cursor.keyword("RETURN") {
        return Err(cursor.invalid("RETURN"));
    }
    cursor.space()?;
    cursor.expect(b'(')?;
    options(cursor, |cursor| {
        let invalid = cursor.invalid("a return option");
        match cursor.atom()?.to_ascii_uppercase().as_slice() {
            b"SUBSCRIBED" => returns.subscribed = true,
            b"CHILDREN" => returns.children = true,
            b"SPECIAL-USE" => returns.special_use = true,
            b"STATUS" => {
                cursor.space()?;
                returns.status = status_items(cursor)?;
            }
            b"MYRIGHTS" => returns.my_rights = true,
            b"METADATA" => {
                cursor.space()?;
                returns.metadata = super::metadata::entries(cursor)?;
            }
            _ => return Err(invalid),
        }
        Ok(())
    })?;
    Ok(returns)
}

/// Options up to the closing parenthesis; there may be none.
fn options(
    cursor: &mut Cursor,
    mut option: impl FnMut(&mut Cursor) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    if cursor.take(b')') {
        return Ok(());
    }
    option(cursor)?;
    while !cursor.take(b')') {
        cursor.space()?;
        option(cursor)?;
    }
    Ok(())
}

/// `"(" status-att *(SP status-att) ")"`
pub(super) fn status_items(cursor: &mut Cursor) -> Result<Vec<StatusItem>, Invalid> {
    cursor.expect(b'(')?;
    let mut items = vec![status_item(cursor)?];
    while !cursor.take(b')') {
        cursor.space()?;
        let item = status_item(cursor)?;
        if !items.contains(&item) {
            items.push(item);
        }
    }
    Ok(items)
}

fn status_item(cursor: &mut Cursor) -> Result<StatusItem, Invalid> {
    let invalid = cursor.invalid("a status item");
    match cursor.atom()?.to_ascii_uppercase().as_slice() {
        b"MESSAGES" => Ok(StatusItem::Messages),
        b"RECENT" => Ok(StatusItem::Recent),
        b"UIDNEXT" => Ok(StatusItem::UidNext),
        b"UIDVALIDITY" => Ok(StatusItem::UidValidity),
        b"UNSEEN" => Ok(StatusItem::Unseen),
        b"DELETED" => Ok(StatusItem::Deleted),
        b"DELETED-STORAGE" => Ok(StatusItem::DeletedStorage),
        b"SIZE" => Ok(StatusItem::Size),
        b"APPENDLIMIT" => Ok(StatusItem::AppendLimit),
        b"HIGHESTMODSEQ" => Ok(StatusItem::HighestModSeq),
        b"MAILBOXID" => Ok(StatusItem::MailboxId),
        _ => Err(invalid),
    }
}

/// `CREATE mailbox (USE (\Sent …))` (RFC 6154 §3): the attributes.
pub(super) fn create_uses(cursor: &mut Cursor) -> Result<Vec<String>, Invalid> {
    let mut uses = Vec::new();
    if !cursor.take(b' ') {
        return Ok(uses);
    }
    cursor.expect(b'(')?;
    if !cursor.keyword("USE") {
        return Err(cursor.invalid("USE"));
    }
    cursor.space()?;
    cursor.expect(b'(')?;
    options(cursor, |cursor| {
        if !cursor.take(b'\\') {
            return Err(cursor.invalid("a special-use attribute"));
        }
        uses.push(format!("\\{}", cursor.atom_string()?));
        Ok(())
    })?;
    cursor.expect(b')')?;
    Ok(uses)
}
