//! Which events of which mailboxes are wanted (RFC 5465 §6).

use bytes::Bytes;

use crate::imap::parse::{EventGroup, FetchItem, MailboxFilter, NotifyEvent};
use crate::imap::session::Failure;
use crate::store::{AccountId, Mailbox, MailboxName};

/// What a client wants to hear of.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    groups: Vec<Group>,
    /// None: nothing of the selected mailbox.
    pub(super) selected: Option<OfSelected>,
    pub(super) server_metadata: bool,
}

/// Of the selected mailbox.
#[derive(Debug, Clone)]
pub(super) struct OfSelected {
    /// Expunges wait for a command.
    pub(super) delayed: bool,
    /// What is fetched of new messages.
    pub(super) items: Vec<FetchItem>,
}

#[derive(Debug)]
struct Group {
    filter: Filter,
    events: Events,
}

#[derive(Debug)]
enum Filter {
    Personal,
    Subscribed,
    Subtree(Vec<MailboxName>),
    Mailboxes(Vec<MailboxName>),
}

/// Events of a mailbox that is not selected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// Messages come and go.
    pub(super) messages: bool,
    pub(super) flags: bool,
    pub(super) names: bool,
    pub(super) subscriptions: bool,
    pub(super) metadata: bool,
}

impl Wanted {
    /// None: an event is not known. Names that are none are passed over: there is no such mailbox.
    pub(super) fn new(
        groups: Vec<EventGroup>,
        decode: impl Fn(&[u8]) -> Result<MailboxName, Failure>,
    ) -> Option<Self> {
        let mut wanted = Self::default();
        let decode_all = |names: Vec<Bytes>| names.iter().filter_map(|name| decode(name).ok()).collect();
        for EventGroup { filter, events } in groups {
            if events.contains(&NotifyEvent::Other) {
                return None;
            }
            wanted.server_metadata |= events.contains(&NotifyEvent::ServerMetadataChange);
            let filter = match filter {
                MailboxFilter::Selected => {
                    wanted.selected = of_selected(events, false);
                    continue;
                }
                MailboxFilter::SelectedDelayed => {
                    wanted.selected = of_selected(events, true);
                    continue;
                }
                MailboxFilter::Personal => Filter::Personal,
                MailboxFilter::Subscribed => Filter::Subscribed,
                MailboxFilter::Subtree(names) => Filter::Subtree(decode_all(names)),
                MailboxFilter::Mailboxes(names) => Filter::Mailboxes(decode_all(names)),
            };
            wanted.groups.push(Group { filter, events: Events::of(&events) });
        }
        Some(wanted)
    }

    /// What is wanted of a mailbox, by all groups together.
    pub(super) fn events(&self, mailbox: &Mailbox, user: AccountId) -> Events {
        let fitting = self.groups.iter().filter(|group| group.filter.fits(mailbox, user));
        fitting.fold(Events::default(), |events, group| events.and(group.events))
    }
}

impl Filter {
    fn fits(&self, mailbox: &Mailbox, user: AccountId) -> bool {
        match self {
            Self::Personal => mailbox.account == user,
            Self::Subscribed => mailbox.subscribed,
            Self::Subtree(names) => {
                names.iter().any(|name| *name == mailbox.name || name.is_superior_of(&mailbox.name))
            }
            Self::Mailboxes(names) => names.contains(&mailbox.name),
        }
    }
}

impl Events {
    fn of(events: &[NotifyEvent]) -> Self {
        Self {
            messages: events.contains(&NotifyEvent::MessageExpunge),
            flags: events.contains(&NotifyEvent::FlagChange),
            names: events.contains(&NotifyEvent::MailboxName),
            subscriptions: events.contains(&NotifyEvent::SubscriptionChange),
            metadata: events.contains(&NotifyEvent::MailboxMetadataChange),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            messages: self.messages || other.messages,
            flags: self.flags || other.flags,
            names: self.names || other.names,
            subscriptions: self.subscriptions || other.subscriptions,
            metadata: self.metadata || other.metadata,
        }
    }
}

fn of_selected(events: Vec<NotifyEvent>, delayed: bool) -> Option<OfSelected> {
    events.into_iter().find_map(|event| match event {
        NotifyEvent::MessageNew(items) => Some(OfSelected { delayed, items }),
        _ => None,
    })
}
