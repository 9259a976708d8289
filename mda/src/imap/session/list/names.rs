//! The names that LIST and LSUB tell of. There may be very many, and as many superiors of each as it has levels: only
//! those that match are kept, and of a superior no more than where its name ends.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::super::access::shared_mailboxes;
use super::super::pattern::Patterns;
use crate::imap::parse::ListSelection;
use crate::store::{AccountId, MailStore, Mailbox, MailboxName, SpecialUse, StoreError};

/// Names that match, by name.
pub(super) type Names = BTreeMap<Listed, Known>;

/// A name, or one of its superiors: the name's first octets.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    name: MailboxName,
    octets: usize,
}

/// What is known of a name.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// None: there is no such mailbox, only a subscription, or mailboxes below.
    pub(super) mailbox: Option<Box<Mailbox>>,
    pub(super) subscribed: bool,
    pub(super) has_children: bool,
    /// Something below is selected by LIST's options.
    pub(super) has_selected_children: bool,
    /// Something below is selected, and does not match the patterns: it is not listed itself.
    pub(super) has_unlisted_children: bool,
}

impl Known {
    pub(super) fn special_use(&self) -> Option<SpecialUse> {
        self.mailbox.as_ref().and_then(|mailbox| mailbox.special_use)
    }

    /// LIST's options select the name itself.
    pub(super) fn is_selected(&self, selection: ListSelection) -> bool {
        (!selection.subscribed || self.subscribed) && (!selection.special_use || self.special_use().is_some())
    }
}

/// Mailboxes, subscriptions, and the names above them. `shares`: what others share is among them.
pub(super) fn listed<S: MailStore>(
    store: &S,
    account: AccountId,
    shares: bool,
    patterns: &Patterns,
    selection: ListSelection,
) -> Result<Names, StoreError> {
    let mut names = Names::new();
    let mut mailboxes = store.mailboxes(account)?;
    if shares {
        mailboxes.extend(shared_mailboxes(store, account)?.into_iter().map(|(mailbox, _)| mailbox));
    }
    for mailbox in mailboxes {
        let selected = (!selection.subscribed || mailbox.subscribed)
            && (!selection.special_use || mailbox.special_use.is_some());
        let name = mailbox.name.clone();
        let own = each(&mut names, patterns, &name, |superior, is_listed| {
            superior.has_children = true;
            superior.has_selected_children |= selected;
            superior.has_unlisted_children |= selected && !is_listed;
        });
        if let Some(own) = own {
            own.mailbox = Some(Box::new(mailbox));
        }
    }
    let selected = selection.subscribed && !selection.special_use;
    for name in store.subscriptions(account)? {
        let own = each(&mut names, patterns, &name, |superior, is_listed| {
            superior.has_selected_children |= selected;
            superior.has_unlisted_children |= selected && !is_listed;
        });
        if let Some(own) = own {
            own.subscribed = true;
        }
    }
    Ok(names)
}

/// Subscriptions, and the names above them.
pub(super) fn subscribed<S: MailStore>(
    store: &S,
    account: AccountId,
    patterns: &Patterns,
) -> Result<Names, StoreError> {
    let mut names = Names::new();
    for name in store.subscriptions(account)? {
        if let Some(own) = each(&mut names, patterns, &name, |_, _| ()) {
            own.subscribed = true;
        }
    }
    Ok(names)
}

/// Visits the superiors of a name that match, with whether the name itself does; gives what is known of that, if so.
fn each<'a>(
    names: &'a mut Names,
    patterns: &Patterns,
    name: &MailboxName,
    mut visit: impl FnMut(&mut Known, bool),
) -> Option<&'a mut Known> {
    let mut matches = patterns.matches(name);
    let is_matched = matches.pop_if(|octets| *octets == name.as_str().len()).is_some();
    for octets in matches {
        visit(names.entry(Listed { name: name.clone(), octets }).or_default(), is_matched);
    }
    let whole = Listed { name: name.clone(), octets: name.as_str().len() };
    is_matched.then(|| names.entry(whole).or_default())
}

impl Listed {
    pub(super) fn as_str(&self) -> &str {
        &self.name.as_str()[..self.octets]
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Listed {}

impl PartialOrd for Listed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Listed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}
