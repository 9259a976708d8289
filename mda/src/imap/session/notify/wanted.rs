//! Which events of which mailboxes are wanted (RFC 5465 §6).

use std::collections::HashMap;

use bytes::Bytes;

use crate::imap::parse::{EventGroup, FetchItem, MailboxFilter, NotifyEvent};
use crate::imap::session::Failure;
use crate::store::{AccountId, Mailbox, MailboxName};

/// What a client wants to hear of.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Of the user's own mailboxes.
    personal: Events,
    subscribed: Events,
    /// Of a name and all below it. By name, because names and mailboxes may be very many.
    subtrees: HashMap<MailboxName, Events>,
    mailboxes: HashMap<MailboxName, Events>,
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
        for EventGroup { filter, events } in groups {
            if events.contains(&NotifyEvent::Other) {
                return None;
            }
            wanted.server_metadata |= events.contains(&NotifyEvent::ServerMetadataChange);
            let of_each = Events::of(&events);
            let add = |to: &mut HashMap<MailboxName, Events>, names: Vec<Bytes>| {
                for name in names.iter().filter_map(|name| decode(name).ok()) {
                    to.entry(name).or_default().add(of_each);
                }
            };
            match filter {
                MailboxFilter::Selected => wanted.selected = of_selected(events, false),
                MailboxFilter::SelectedDelayed => wanted.selected = of_selected(events, true),
                MailboxFilter::Personal => wanted.personal.add(of_each),
                MailboxFilter::Subscribed => wanted.subscribed.add(of_each),
                MailboxFilter::Subtree(names) => add(&mut wanted.subtrees, names),
                MailboxFilter::Mailboxes(names) => add(&mut wanted.mailboxes, names),
            }
        }
        Some(wanted)
    }

    /// Something of mailboxes that are not selected.
    pub(super) fn is_of_others(&self) -> bool {
        let named = !(self.subtrees.is_empty() && self.mailboxes.is_empty());
        named || self.personal != Events::default() || self.subscribed != Events::default()
    }

    /// What is wanted of a mailbox, by all groups together.
    pub(super) fn events(&self, mailbox: &Mailbox, user: AccountId) -> Events {
        let mut events = Events::default();
        if mailbox.account == user {
            events.add(self.personal);
        }
        if mailbox.subscribed {
            events.add(self.subscribed);
        }
        for named in [&self.mailboxes, &self.subtrees] {
            named.get(&mailbox.name).into_iter().for_each(|wanted| events.add(*wanted));
        }
        if !self.subtrees.is_empty() {
            let above = mailbox.name.superiors().filter_map(|superior| self.subtrees.get(&superior));
            above.for_each(|wanted| events.add(*wanted));
        }
        events
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

    fn add(&mut self, more: Self) {
        self.messages |= more.messages;
        self.flags |= more.flags;
        self.names |= more.names;
        self.subscriptions |= more.subscriptions;
        self.metadata |= more.metadata;
    }

    /// Each change in the mailbox has to be looked at.
    pub(super) fn are_of_contents(self) -> bool {
        self.messages || self.metadata
    }
}

fn of_selected(events: Vec<NotifyEvent>, delayed: bool) -> Option<OfSelected> {
    events.into_iter().find_map(|event| match event {
        NotifyEvent::MessageNew(items) => Some(OfSelected { delayed, items }),
        _ => None,
    })
}
