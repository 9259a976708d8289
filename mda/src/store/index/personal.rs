//! A mailbox as somebody other than its owner sees it: with a `\Seen` of their own.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Chunk, Entry, Index, Part};
use crate::store::SystemFlag;
use crate::store::seen::SeenMarks;

/// An index made of the shared one and what a user has seen. Chunks are made anew only where one of both has changed.
#[derive(Debug)]
pub struct Personal {
    shared: Arc<Index>,
    seen: SeenMarks,
    index: Arc<Index>,
}

impl Personal {
    /// Of the mailbox as it is now.
    pub fn new(shared: Arc<Index>, seen: SeenMarks) -> Self {
        let index = overlaid(&shared, &seen, |_| None);
        Self { shared, seen, index }
    }

    /// What the user sees.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// What the owner sees.
    pub fn shared(&self) -> &Arc<Index> {
        &self.shared
    }

    /// Goes on to a later state of both.
    pub fn follow(&mut self, shared: Arc<Index>, seen: SeenMarks) {
        let made: HashMap<*const Chunk, &Arc<Chunk>> = self
            .shared
            .parts
            .iter()
            .zip(&self.index.parts)
            .map(|(shared, made)| (Arc::as_ptr(&shared.chunk), &made.chunk))
            .collect();
        let before = &self.seen;
        let index = overlaid(&shared, &seen, |chunk| {
            let uids = chunk.first_uid()..=chunk.last_uid();
            let made = made.get(&Arc::as_ptr(chunk)).copied();
            made.filter(|_| seen.are_those_of(before, &uids)).cloned()
        });
        *self = Self { shared, seen, index };
    }
}

fn overlaid(
    shared: &Index,
    seen: &SeenMarks,
    made: impl Fn(&Arc<Chunk>) -> Option<Arc<Chunk>>,
) -> Arc<Index> {
    let parts: Vec<Part> = shared
        .parts
        .iter()
        .map(|Part { before, chunk }| Part {
            before: *before,
            chunk: made(chunk).unwrap_or_else(|| {
                Arc::new(Chunk::of(chunk.entries().iter().map(|entry| entry.seen_by(seen)).collect()))
            }),
        })
        .collect();
    let unseen = parts.iter().map(|part| part.chunk.unseen()).sum();
    let status = super::MailboxStatus { unseen, ..shared.status };
    Arc::new(Index { status, parts, keywords: shared.keywords.clone() })
}

impl Entry {
    /// With `\Seen`, and the modseq, as they are for the user whose marks these are.
    fn seen_by(&self, marks: &SeenMarks) -> Self {
        let mark = marks.of(self.uid);
        let seen = if mark.is_some_and(|mark| mark.seen) { SystemFlag::Seen as u8 } else { 0 };
        Self {
            system: self.system & !(SystemFlag::Seen as u8) | seen,
            modseq: mark.map_or(self.modseq, |mark| mark.modseq.max(self.modseq)),
            ..*self
        }
    }
}
