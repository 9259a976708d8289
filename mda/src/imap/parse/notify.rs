//! NOTIFY (RFC 5465 §8).

use bytes::Bytes;

use super::cursor::{Cursor, Invalid};
use super::fetch::{FetchItem, items};

/// Groups in one command, and names in one group.
const MOST: usize = 256;

/// What a client wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// Nothing.
    None,
    /// These.
    Set {
        /// The present state is wanted first.
        status: bool,
        /// What of which mailboxes.
        groups: Vec<EventGroup>,
    },
}

/// Some events of some mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventGroup {
    /// Which mailboxes.
    pub filter: MailboxFilter,
    /// Empty: none.
    pub events: Vec<NotifyEvent>,
}

/// `filter-mailboxes`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxFilter {
    /// The selected mailbox.
    Selected,
    /// The same, expunges at a command only.
    SelectedDelayed,
    /// The user's own; INBOX has no other meaning here than to be among them (RFC 5465 §6.3).
    Personal,
    /// Subscribed ones.
    Subscribed,
    /// These names, as sent, and all below.
    Subtree(Vec<Bytes>),
    /// These names, as sent.
    Mailboxes(Vec<Bytes>),
}

/// `event`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyEvent {
    /// Messages come; of those in the selected mailbox these items are fetched.
    MessageNew(Vec<FetchItem>),
    /// Messages go.
    MessageExpunge,
    /// Flags change.
    FlagChange,
    /// Mailboxes are made, deleted and renamed.
    MailboxName,
    /// Names are subscribed to, or no more.
    SubscriptionChange,
    /// Annotations of mailboxes change.
    MailboxMetadataChange,
    /// Annotations of the server change.
    ServerMetadataChange,
    /// One that is not known here.
    Other,
}

pub(super) fn arguments(cursor: &mut Cursor) -> Result<Notify, Invalid> {
    cursor.space()?;
    if cursor.keyword("NONE") {
        return Ok(Notify::None);
    }
    if !cursor.keyword("SET") {
        return Err(cursor.invalid("SET or NONE"));
    }
    cursor.space()?;
    let status = cursor.keyword("STATUS");
    if status {
        cursor.space()?;
    }
    let mut groups = vec![group(cursor)?];
    while cursor.take(b' ') {
        if groups.len() == MOST {
            return Err(cursor.invalid("fewer groups"));
        }
        groups.push(group(cursor)?);
    }
    check(&groups, cursor)?;
    Ok(Notify::Set { status, groups })
}

/// RFC 5465 §5 and §6.1: which events go together.
fn check(groups: &[EventGroup], cursor: &Cursor) -> Result<(), Invalid> {
    let is_selected = |group: &&EventGroup| {
        matches!(group.filter, MailboxFilter::Selected | MailboxFilter::SelectedDelayed)
    };
    if groups.iter().filter(is_selected).count() > 1 {
        return Err(cursor.invalid("the selected mailbox once"));
    }
    for group in groups {
        let new = group.events.iter().any(|event| matches!(event, NotifyEvent::MessageNew(_)));
        let expunge = group.events.contains(&NotifyEvent::MessageExpunge);
        if new != expunge || (group.events.contains(&NotifyEvent::FlagChange) && !new) {
            return Err(cursor.invalid("MessageNew and MessageExpunge together"));
        }
        let of_messages = |event: &NotifyEvent| {
            use NotifyEvent::{FlagChange, MessageExpunge, MessageNew, Other};
            matches!(event, MessageNew(_) | MessageExpunge | FlagChange | Other)
        };
        if is_selected(&group) && !group.events.iter().all(of_messages) {
            return Err(cursor.invalid("events of messages for the selected mailbox"));
        }
    }
    Ok(())
}

fn group(cursor: &mut Cursor) -> Result<EventGroup, Invalid> {
    cursor.expect(b'(')?;
    let filter = filter(cursor)?;
    cursor.space()?;
    if cursor.keyword("NONE") {
        cursor.expect(b')')?;
        return Ok(EventGroup { filter, events: Vec::new() });
    }
    // The RFC's first example has no parentheses around the events, as its grammar has.
    let enclosed = cursor.take(b'(');
    let mut events = vec![event(cursor)?];
    while cursor.take(b' ') {
        if events.len() == MOST {
            return Err(cursor.invalid("fewer events"));
        }
        events.push(event(cursor)?);
    }
    if enclosed {
        cursor.expect(b')')?;
    }
    cursor.expect(b')')?;
    Ok(EventGroup { filter, events })
}

fn filter(cursor: &mut Cursor) -> Result<MailboxFilter, Invalid> {
    let invalid = cursor.invalid("which mailboxes");
    Ok(match cursor.atom()?.to_ascii_uppercase().as_slice() {
        b"SELECTED" => MailboxFilter::Selected,
        b"SELECTED-DELAYED" => MailboxFilter::SelectedDelayed,
        b"INBOXES" | b"PERSONAL" => MailboxFilter::Personal,
        b"SUBSCRIBED" => MailboxFilter::Subscribed,
        b"SUBTREE" => MailboxFilter::Subtree(names(cursor)?),
        b"MAILBOXES" => MailboxFilter::Mailboxes(names(cursor)?),
        _ => return Err(invalid),
    })
}

pub(super) fn names(cursor: &mut Cursor) -> Result<Vec<Bytes>, Invalid> {
    cursor.space()?;
    if !cursor.take(b'(') {
        return Ok(vec![cursor.astring()?]);
    }
    let mut names = vec![cursor.astring()?];
    while !cursor.take(b')') {
        cursor.space()?;
        if names.len() == MOST {
            return Err(cursor.invalid("fewer mailboxes"));
        }
        names.push(cursor.astring()?);
    }
    Ok(names)
}

fn event(cursor: &mut Cursor) -> Result<NotifyEvent, Invalid> {
    Ok(match cursor.atom()?.to_ascii_uppercase().as_slice() {
        b"MESSAGENEW" => NotifyEvent::MessageNew(items(cursor)?),
        b"MESSAGEEXPUNGE" => NotifyEvent::MessageExpunge,
        b"FLAGCHANGE" => NotifyEvent::FlagChange,
        b"MAILBOXNAME" => NotifyEvent::MailboxName,
        b"SUBSCRIPTIONCHANGE" => NotifyEvent::SubscriptionChange,
        b"MAILBOXMETADATACHANGE" => NotifyEvent::MailboxMetadataChange,
        b"SERVERMETADATACHANGE" => NotifyEvent::ServerMetadataChange,
        _ => NotifyEvent::Other,
    })
}
