//! The indexes that are in memory.
//!
//! One is made when a mailbox is first looked at, follows all commits while it is kept, and is kept while someone
//! watches it, and after that as long as there is room.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Builder, Index, Interner};
use crate::store::leaf::Leaf;
use crate::store::record::Counters;
use crate::store::{Result, StoreError};

/// What an index takes beside its messages, roughly.
const OVERHEAD: u64 = 1_024;

/// Indexes that are looked at, to let go of them, when one is loaded.
const AT_ONCE: usize = 64;

/// What was committed of the mailboxes that are followed: their leaves that changed, by number.
pub(in crate::store) type Commits = HashMap<u64, BTreeMap<u32, Leaf>>;

/// What a commit made of a mailbox.
type Missed = (Counters, BTreeMap<u32, Leaf>);

/// The indexes of all mailboxes in use.
#[derive(Debug)]
pub(in crate::store) struct Indexes {
    /// Octets that all of them may take before those that nobody watches go.
    limit: u64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    slots: HashMap<u64, Slot>,
    /// Mailboxes whose index is made, those used longest ago first.
    by_use: BTreeMap<u64, u64>,
    uses: u64,
    octets: u64,
    loadings: u64,
}

#[derive(Debug)]
enum Slot {
    /// Someone is reading the rows.
    Loading {
        /// Which of all loadings it is: a mailbox may go, and its name be looked up again before that, while an earlier one
        /// still reads.
        number: u64,
        /// What is committed meanwhile, in order.
        missed: Vec<Missed>,
        /// Closes when that is over.
        ended: watch::Receiver<()>,
    },
    Loaded(Loaded),
}

#[derive(Debug)]
struct Loaded {
    sender: watch::Sender<Arc<Index>>,
    interner: Interner,
    octets: u64,
    /// Its key in `by_use`.
    used: u64,
}

/// What is known of a mailbox.
pub(in crate::store) enum Found {
    Here(watch::Receiver<Arc<Index>>),
    /// Someone is loading it; look again when this is closed.
    Soon(watch::Receiver<()>),
    Absent,
}

/// A mailbox' index is being loaded by whoever holds this; dropped early, it was not.
pub(in crate::store) struct Loading {
    indexes: Arc<Indexes>,
    mailbox: u64,
    number: u64,
    _ended: watch::Sender<()>,
}

impl Indexes {
    pub(in crate::store) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, held: Mutex::default() })
    }

    /// Commits to this mailbox are wanted.
    pub(in crate::store) fn follows(&self, mailbox: u64) -> bool {
        self.held.lock().slots.contains_key(&mailbox)
    }

    /// The index that is here now, if one is.
    pub(in crate::store) fn current(&self, mailbox: u64) -> Option<Arc<Index>> {
        match self.held.lock().slots.get(&mailbox) {
            Some(Slot::Loaded(loaded)) => Some(Arc::clone(&loaded.sender.borrow())),
            _ => None,
        }
    }

    pub(in crate::store) fn find(&self, mailbox: u64) -> Found {
        let mut held = self.held.lock();
        held.touch(mailbox);
        match held.slots.get(&mailbox) {
            Some(Slot::Loaded(loaded)) => Found::Here(loaded.sender.subscribe()),
            Some(Slot::Loading { ended, .. }) => Found::Soon(ended.clone()),
            None => Found::Absent,
        }
    }

    /// Follows a mailbox from now on; None if that was begun before. Whoever calls this holds the state, so that no
    /// commit is half done: what was committed before is in the rows, what is committed later is told.
    pub(in crate::store) fn begin(self: &Arc<Self>, mailbox: u64) -> Option<Loading> {
        let mut held = self.held.lock();
        if held.slots.contains_key(&mailbox) {
            return None;
        }
        let (ended, receiver) = watch::channel(());
        held.loadings += 1;
        let number = held.loadings;
        held.slots.insert(mailbox, Slot::Loading { number, missed: Vec::new(), ended: receiver });
        Some(Loading { indexes: Arc::clone(self), mailbox, number, _ended: ended })
    }

    /// Tells what is visible in the rows now.
    pub(in crate::store) fn publish(
        &self,
        commits: Commits,
        counters: &HashMap<u64, Counters>,
        removed: impl Iterator<Item = u64>,
    ) {
        let mut held = self.held.lock();
        for (mailbox, leaves) in commits {
            if let Some(counters) = counters.get(&mailbox) {
                held.commit(mailbox, counters, leaves);
            }
        }
        for mailbox in removed {
            held.remove(mailbox);
        }
    }

    /// Ends the watch of all who have looked at these mailboxes, which are there, and no longer what they looked for.
    pub(in crate::store) fn part(&self, mailboxes: impl Iterator<Item = u64>) {
        let mut held = self.held.lock();
        for mailbox in mailboxes {
            if matches!(held.slots.get(&mailbox), Some(Slot::Loaded(_))) {
                held.remove(mailbox);
            }
        }
    }
}

impl Held {
    fn commit(&mut self, mailbox: u64, counters: &Counters, leaves: BTreeMap<u32, Leaf>) {
        match self.slots.get_mut(&mailbox) {
            Some(Slot::Loading { missed, .. }) => missed.push((*counters, leaves)),
            Some(Slot::Loaded(loaded)) => {
                let before = loaded.octets;
                loaded.commit(counters, &leaves);
                self.octets = self.octets - before + loaded.octets;
            }
            None => {}
        }
    }

    /// What was committed while a mailbox was loaded; `None` if its slot is not this loading's any more.
    fn missed_by(&mut self, loading: &Loading) -> Option<&mut Vec<Missed>> {
        match self.slots.get_mut(&loading.mailbox) {
            Some(Slot::Loading { number, missed, .. }) if *number == loading.number => Some(missed),
            _ => None,
        }
    }

    fn remove(&mut self, mailbox: u64) {
        if let Some(Slot::Loaded(loaded)) = self.slots.remove(&mailbox) {
            self.by_use.remove(&loaded.used);
            self.octets -= loaded.octets;
        }
    }

    /// Marks an index as the one used last.
    fn touch(&mut self, mailbox: u64) {
        if let Some(Slot::Loaded(loaded)) = self.slots.get_mut(&mailbox) {
            self.by_use.remove(&loaded.used);
            self.uses += 1;
            loaded.used = self.uses;
            self.by_use.insert(loaded.used, mailbox);
        }
    }

    /// Lets go of indexes that nobody watches, as far as it takes, and of not too many at once.
    fn make_room(&mut self, limit: u64) {
        // Those that are watched stay, and count as used.
        for _ in 0..self.by_use.len().min(AT_ONCE) {
            if self.octets <= limit {
                return;
            }
            let Some((_, &mailbox)) = self.by_use.first_key_value() else { return };
            let is_watched = match self.slots.get(&mailbox) {
                Some(Slot::Loaded(loaded)) => loaded.sender.receiver_count() > 0,
                _ => false,
            };
            if is_watched {
                self.touch(mailbox);
            } else {
                self.remove(mailbox);
            }
        }
    }
}

impl Loaded {
    fn commit(&mut self, counters: &Counters, leaves: &BTreeMap<u32, Leaf>) {
        let interner = &mut self.interner;
        self.sender.send_modify(|index| {
            // In place if nobody has it, else only what changes is copied.
            Arc::make_mut(index).apply(interner, counters, leaves);
        });
        self.octets = self.sender.borrow().octets() + OVERHEAD;
    }
}

impl Loading {
    /// Gives what was read of the rows, with what was committed meanwhile, to all who wait for it.
    pub(in crate::store) fn finish(self, built: Builder) -> Result<watch::Receiver<Arc<Index>>> {
        let (index, interner) = built.followed();
        let mut held = self.indexes.held.lock();
        // Gone: the mailbox was removed.
        let Some(missed) = held.missed_by(&self) else {
            return Err(StoreError::NoSuchMailbox);
        };
        let missed = std::mem::take(missed);
        let octets = index.octets() + OVERHEAD;
        let (sender, receiver) = watch::channel(index);
        let mut loaded = Loaded { sender, interner, octets, used: 0 };
        for (counters, leaves) in missed {
            loaded.commit(&counters, &leaves);
        }
        held.octets += loaded.octets;
        held.slots.insert(self.mailbox, Slot::Loaded(loaded));
        held.touch(self.mailbox);
        held.make_room(self.indexes.limit);
        Ok(receiver)
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        let mut held = self.indexes.held.lock();
        if held.missed_by(self).is_some() {
            held.slots.remove(&self.mailbox);
        }
    }
}
