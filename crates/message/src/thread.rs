//! Puts messages that belong together into threads (RFC 5256 §3, THREAD).

mod forest;
mod ids;
mod references;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use forest::{Forest, NodeId};

use crate::collation::casemap;
use crate::header;
use crate::subject::BaseSubject;
use references::Linker;

/// References of a message that are followed; of more, the last.
const MAX_REFERENCES: usize = 200;

/// What a thread is made of: what must be known of each message, in the order of the mailbox.
#[derive(Clone, Debug)]
pub struct Threadable {
    message_id: Option<String>,
    /// The oldest first.
    references: Vec<String>,
    subject: BaseSubject,
    /// What the message is put in order by, in seconds since 1970.
    date: i64,
}

impl Threadable {
    /// Reads a header block. `date` is in seconds since 1970: the date sent, for [`Algorithm::References`] and
    /// [`Algorithm::OrderedSubject`] (RFC 5256 §2.2), or that of arrival for [`Algorithm::Refs`].
    pub fn new(block: &[u8], date: i64) -> Self {
        let first = |name| header::first(block, name);
        let mut references = first("References").map(ids::all).unwrap_or_default();
        if references.is_empty() {
            references.extend(first("In-Reply-To").and_then(|value| ids::all(value).into_iter().next()));
        }
        references.drain(..references.len().saturating_sub(MAX_REFERENCES));
        Self {
            message_id: first("Message-ID").and_then(|value| ids::all(value).into_iter().next()),
            references,
            subject: BaseSubject::of(first("Subject").unwrap_or_default()),
            date,
        }
    }

    /// The subject that a conversation has in common, in the form that is compared.
    fn topic(&self) -> String {
        casemap(&self.subject.text)
    }
}

/// How messages are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// By subject alone.
    OrderedSubject,
    /// By references, then by subject.
    References,
    /// By references alone; threads with the newest message last (draft-ietf-morg-inthread).
    Refs,
}

/// Threads the messages. Nodes of the forest name them by their place in `messages`.
pub fn thread(messages: &[Threadable], algorithm: Algorithm) -> Forest {
    match algorithm {
        Algorithm::OrderedSubject => by_subject(messages),
        Algorithm::References => {
            let mut linker = Linker::link(messages);
            linker.prune();
            linker.sort_roots();
            linker.merge_subjects();
            linker.sort_all();
            linker.into_forest()
        }
        Algorithm::Refs => {
            let mut linker = Linker::link(messages);
            linker.prune();
            linker.sort_all();
            linker.sort_roots_by_newest();
            linker.into_forest()
        }
    }
}

/// ORDEREDSUBJECT: the first message of a subject, and under it all others.
fn by_subject(messages: &[Threadable]) -> Forest {
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_by_key(|index| (messages[*index].date, *index));
    let mut forest = Forest::default();
    let mut first_of: HashMap<String, NodeId> = HashMap::new();
    for index in order {
        let node = forest.add(Some(index));
        match first_of.entry(messages[index].topic()) {
            std::collections::hash_map::Entry::Occupied(first) => forest.push_child(*first.get(), node),
            std::collections::hash_map::Entry::Vacant(first) => {
                first.insert(node);
                forest.roots.push(node);
            }
        }
    }
    forest
}
