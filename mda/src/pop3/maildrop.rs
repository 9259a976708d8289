//! The messages of one session: what was in INBOX when it began, and what the client marked since.

use std::time::Duration;

use super::command::Number;

/// A locked maildrop (RFC 1939 §4): its messages keep their numbers until the session ends.
#[derive(Debug)]
pub(crate) struct Maildrop {
    uid_validity: u32,
    /// For how long messages stay; None: for ever.
    retention: Option<Duration>,
    /// In the order of their numbers, which is that of their UIDs.
    messages: Vec<Message>,
}

/// A message in a maildrop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// In INBOX.
    pub(crate) uid: u32,
    pub(crate) octets: u64,
    /// Marked by DELE; goes at QUIT.
    pub(crate) deleted: bool,
    /// It was asked for before, and could not be read.
    pub(crate) unreadable: bool,
}

/// The message that a number names is not, or no longer, there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSuchMessage {
    #[error("no such message")]
    Unknown,
    #[error("the message is marked as deleted")]
    Deleted,
}

impl Maildrop {
    pub(crate) fn new(uid_validity: u32, messages: impl IntoIterator<Item = (u32, u64)>) -> Self {
        let message = |(uid, octets)| Message { uid, octets, deleted: false, unreadable: false };
        Self { uid_validity, retention: None, messages: messages.into_iter().map(message).collect() }
    }

    /// The same, whose messages go by themselves after so long.
    pub(crate) fn kept_for(self, retention: Option<Duration>) -> Self {
        Self { retention, ..self }
    }

    /// For how long messages stay at least, in whole days; None: for ever.
    pub(crate) fn days(&self) -> Option<u64> {
        self.retention.map(|retention| retention.as_secs() / (24 * 60 * 60))
    }

    /// Number and total octets of the messages that are not marked.
    pub(crate) fn totals(&self) -> (usize, u64) {
        self.remaining().fold((0, 0), |(count, octets), (_, message)| (count + 1, octets + message.octets))
    }

    /// The messages that are not marked, with their numbers.
    pub(crate) fn remaining(&self) -> impl Iterator<Item = (Number, &Message)> {
        (1..).zip(&self.messages).filter(|(_, message)| !message.deleted)
    }

    pub(crate) fn message(&self, number: Number) -> Result<&Message, NoSuchMessage> {
        let message = self.messages.get(index(number)).ok_or(NoSuchMessage::Unknown)?;
        if message.deleted { Err(NoSuchMessage::Deleted) } else { Ok(message) }
    }

    /// Marks a message as deleted.
    pub(crate) fn delete(&mut self, number: Number) -> Result<(), NoSuchMessage> {
        self.message(number)?;
        self.messages[index(number)].deleted = true;
        Ok(())
    }

    /// Takes all marks back.
    pub(crate) fn reset(&mut self) {
        self.messages.iter_mut().for_each(|message| message.deleted = false);
    }

    /// Notes that a message cannot be read; false if that was known.
    pub(crate) fn note_unreadable(&mut self, uid: u32) -> bool {
        let found = self.messages.binary_search_by_key(&uid, |message| message.uid);
        found.is_ok_and(|at| !std::mem::replace(&mut self.messages[at].unreadable, true))
    }

    /// The UIDs of the marked messages.
    pub(crate) fn deleted(&self) -> Vec<u32> {
        self.messages.iter().filter(|message| message.deleted).map(|message| message.uid).collect()
    }

    /// The unique id of a message (RFC 1939 §7): never that of another, in any session.
    pub(crate) fn unique_id(&self, message: &Message) -> String {
        format!("{}.{}", self.uid_validity, message.uid)
    }
}

/// Numbers count from 1.
fn index(number: Number) -> usize {
    number as usize - 1
}
