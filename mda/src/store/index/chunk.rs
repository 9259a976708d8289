//! Runs of messages, the unit that indexes share.

use std::sync::Arc;

use super::{Entry, Part};
use crate::store::{ModSeq, SystemFlag, Uid};

/// Messages of a chunk at most: a change copies up to so many, and the list of chunks.
pub(super) const LENGTH: usize = 512;

/// Some messages in a row, ascending by UID; never empty once it is part of an index.
#[derive(Debug, Clone, Default)]
pub(super) struct Chunk {
    entries: Vec<Entry>,
    highest_modseq: ModSeq,
    unseen: u32,
}

impl Chunk {
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

    fn last_uid(&self) -> Uid {
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

impl FromIterator<Entry> for Chunk {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let entries = entries.into_iter();
        let mut chunk = Self { entries: Vec::with_capacity(entries.size_hint().0), ..Self::default() };
        entries.for_each(|entry| chunk.push(entry));
        chunk
    }
}

/// Adds a message behind all others.
pub(super) fn push(parts: &mut Vec<Part>, entry: Entry) {
    match parts.last_mut() {
        Some(last) if last.chunk.entries.len() < LENGTH => Arc::make_mut(&mut last.chunk).push(entry),
        last => {
            let before = last.map_or(0, |last| last.before + last.chunk.len());
            parts.push(Part { before, chunk: Arc::new(std::iter::once(entry).collect()) });
        }
    }
}

/// Puts messages in and takes messages out (None), given ascending by UID. A chunk without any is left as it is.
pub(super) fn apply(parts: &mut Vec<Part>, mut changes: &[(Uid, Option<Entry>)]) {
    while let Some((uid, _)) = changes.first() {
        if parts.last().is_none_or(|last| last.chunk.last_uid() < *uid) {
            // What goes was never there, or came and went within this commit.
            changes.iter().filter_map(|(_, entry)| *entry).for_each(|entry| push(parts, entry));
            return;
        }
        let at = parts.partition_point(|part| part.chunk.first_uid() <= *uid).saturating_sub(1);
        // Behind the last chunk's last message, changes are pushed.
        let last = parts.get(at + 1).map_or(parts[at].chunk.last_uid(), |next| next.chunk.first_uid() - 1);
        let (here, rest) = changes.split_at(changes.partition_point(|(uid, _)| *uid <= last));
        changes = rest;
        replace(parts, at, merge(&parts[at].chunk.entries, here));
    }
}

/// Puts these messages in the place of a chunk's, and counts anew from there.
fn replace(parts: &mut Vec<Part>, at: usize, entries: Vec<Entry>) {
    let mut before = parts[at].before;
    if entries.len() <= LENGTH && !entries.is_empty() {
        parts[at].chunk = Arc::new(entries.into_iter().collect());
    } else {
        let chunks = entries.chunks(LENGTH).map(|entries| entries.iter().copied().collect());
        let chunks: Vec<Part> = chunks.map(|chunk| Part { before: 0, chunk: Arc::new(chunk) }).collect();
        parts.splice(at..=at, chunks);
    }
    for part in &mut parts[at..] {
        part.before = before;
        before += part.chunk.len();
    }
}

fn merge(entries: &[Entry], mut changes: &[(Uid, Option<Entry>)]) -> Vec<Entry> {
    let mut merged = Vec::with_capacity(entries.len() + changes.len());
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
