//! Runs of messages, the unit that indexes share.

use std::sync::Arc;

use super::{Entry, Part};
use crate::store::{ModSeq, SystemFlag, Uid};

/// Messages of a chunk at most: a change copies up to so many, and the list of chunks.
pub(super) const LENGTH: usize = 256;

/// Some messages in a row, ascending by UID; never empty once it is part of an index.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    entries: Vec<Entry>,
    highest_modseq: ModSeq,
    unseen: u32,
}

impl Chunk {
    pub(super) fn of(mut entries: Vec<Entry>) -> Self {
        entries.shrink_to_fit();
        let highest_modseq = entries.iter().map(|entry| entry.modseq).max().unwrap_or_default();
        let unseen = entries.iter().filter(|entry| !entry.has(SystemFlag::Seen)).count() as u32;
        Self { entries, highest_modseq, unseen }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    pub(super) fn first_uid(&self) -> Uid {
        self.entries.first().map_or(0, |entry| entry.uid)
    }

    /// Not less than any message's.
    pub(super) fn highest_modseq(&self) -> ModSeq {
        self.highest_modseq
    }

    /// How many are without `\Seen`.
    pub(super) fn unseen(&self) -> u32 {
        self.unseen
    }

    /// Where the message stands, or would stand.
    pub(super) fn position(&self, uid: Uid) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&uid, |entry| entry.uid)
    }

    pub(super) fn last_uid(&self) -> Uid {
        self.entries.last().map_or(0, |entry| entry.uid)
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() == self.entries.capacity() {
            // Doubling, but not beyond what may come.
            let room = self.entries.len().clamp(1, LENGTH - self.entries.len().min(LENGTH - 1));
            self.entries.reserve_exact(room);
        }
        self.highest_modseq = self.highest_modseq.max(entry.modseq);
        self.unseen += u32::from(!entry.has(SystemFlag::Seen));
        self.entries.push(entry);
    }
}

/// Adds a message behind all others.
fn push(parts: &mut Vec<Part>, entry: Entry) {
    match parts.last_mut() {
        Some(last) if last.chunk.entries.len() < LENGTH => Arc::make_mut(&mut last.chunk).push(entry),
        last => {
            let before = last.map_or(0, |last| last.before + last.chunk.len());
            parts.push(Part { before, chunk: Arc::new(Chunk::of(vec![entry])) });
        }
    }
}

/// Puts messages in and takes messages out (None), given ascending by UID. A chunk without any is left as it is.
pub(super) fn apply(parts: &mut Vec<Part>, mut changes: &[(Uid, Option<Entry>)]) {
    let Some((first, _)) = changes.first() else { return };
    let start = parts.partition_point(|part| part.chunk.first_uid() <= *first).saturating_sub(1);
    let mut old = parts.split_off(start).into_iter().peekable();
    while let Some(Part { chunk, .. }) = old.next() {
        // Behind the last chunk's last message, changes are pushed.
        let last = old.peek().map_or(chunk.last_uid(), |next| next.chunk.first_uid() - 1);
        let (here, rest) = changes.split_at(changes.partition_point(|(uid, _)| *uid <= last));
        changes = rest;
        if here.is_empty() {
            add(parts, chunk);
            continue;
        }
        let merged = merge(&chunk.entries, here);
        if merged.len() <= LENGTH {
            add(parts, Arc::new(Chunk::of(merged)));
        } else {
            merged.chunks(LENGTH).for_each(|part| add(parts, Arc::new(Chunk::of(part.to_vec()))));
        }
    }
    // What goes was never there, or came and went within this commit.
    changes.iter().filter_map(|(_, entry)| *entry).for_each(|entry| push(parts, entry));
}

/// Adds a chunk behind all others, unless it is empty.
pub(super) fn add(parts: &mut Vec<Part>, chunk: Arc<Chunk>) {
    if chunk.len() > 0 {
        let before = parts.last().map_or(0, |last| last.before + last.chunk.len());
        parts.push(Part { before, chunk });
    }
}

fn merge(entries: &[Entry], mut changes: &[(Uid, Option<Entry>)]) -> Vec<Entry> {
    let mut merged = Vec::with_capacity(entries.len());
    for entry in entries {
        while let Some(((uid, change), rest)) = changes.split_first()
            && *uid < entry.uid
        {
            merged.extend(*change);
            changes = rest;
        }
        match changes.split_first() {
            Some(((uid, change), rest)) if *uid == entry.uid => {
                merged.extend(*change);
                changes = rest;
            }
            _ => merged.push(*entry),
        }
    }
    merged.extend(changes.iter().filter_map(|(_, change)| *change));
    merged
}

/// A place among the messages of an index.
pub(super) struct Cursor<'a> {
    parts: &'a [Part],
    /// Within the first of `parts`.
    place: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(parts: &'a [Part]) -> Self {
        Self { parts, place: 0 }
    }

    /// The chunk that begins here, if one does.
    pub(super) fn whole_chunk(&self) -> Option<&'a Arc<Chunk>> {
        self.parts.first().filter(|_| self.place == 0).map(|part| &part.chunk)
    }

    pub(super) fn entry(&self) -> Option<&'a Entry> {
        self.parts.first().and_then(|part| part.chunk.entries.get(self.place))
    }

    pub(super) fn pass_chunk(&mut self) {
        self.parts = self.parts.get(1..).unwrap_or_default();
        self.place = 0;
    }

    pub(super) fn pass(&mut self) {
        self.place += 1;
        if self.entry().is_none() {
            self.pass_chunk();
        }
    }
}
