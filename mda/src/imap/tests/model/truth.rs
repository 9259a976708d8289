//! What the store has, as simply as it can be said.

use std::collections::BTreeMap;

use super::believed::Flags;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) flags: Flags,
    pub(super) modseq: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Mailbox {
    pub(super) messages: BTreeMap<u32, Message>,
    pub(super) uid_next: u32,
    pub(super) modseq: u64,
    /// UID and modseq of all that went.
    pub(super) vanished: Vec<(u32, u64)>,
}

/// What STORE does to flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    Remove,
    Replace,
}

impl Change {
    pub(super) fn item(self) -> &'static str {
        match self {
            Self::Add => "+FLAGS",
            Self::Remove => "-FLAGS",
            Self::Replace => "FLAGS",
        }
    }

    pub(super) fn of(self, before: &Flags, named: &Flags) -> Flags {
        match self {
            Self::Add => before | named,
            Self::Remove => before - named,
            Self::Replace => named.clone(),
        }
    }
}

impl Mailbox {
    pub(super) fn new() -> Self {
        Self { messages: BTreeMap::new(), uid_next: 1, modseq: 1, vanished: Vec::new() }
    }

    pub(super) fn uids(&self) -> Vec<u32> {
        self.messages.keys().copied().collect()
    }

    /// All of one change have the same modseq.
    pub(super) fn add(&mut self, flags: impl IntoIterator<Item = Flags>) {
        let modseq = self.modseq + 1;
        for flags in flags {
            self.messages.insert(self.uid_next, Message { flags, modseq });
            self.uid_next += 1;
            self.modseq = modseq;
        }
    }

    /// Gives those that were left alone.
    pub(super) fn store(
        &mut self,
        uids: &[u32],
        change: Change,
        named: &Flags,
        unchanged_since: Option<u64>,
    ) -> Vec<u32> {
        let modseq = self.modseq + 1;
        let mut modified = Vec::new();
        for uid in uids {
            let Some(message) = self.messages.get_mut(uid) else { continue };
            if unchanged_since.is_some_and(|since| message.modseq > since) {
                modified.push(*uid);
                continue;
            }
            let flags = change.of(&message.flags, named);
            if flags != message.flags {
                *message = Message { flags, modseq };
                self.modseq = modseq;
            }
        }
        modified
    }

    pub(super) fn expunge(&mut self, mut goes: impl FnMut(u32, &Message) -> bool) {
        let gone: Vec<u32> =
            self.messages.iter().filter(|(uid, message)| goes(**uid, message)).map(|(uid, _)| *uid).collect();
        if !gone.is_empty() {
            self.modseq += 1;
        }
        for uid in gone {
            self.messages.remove(&uid);
            self.vanished.push((uid, self.modseq));
        }
    }
}
