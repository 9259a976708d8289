//! Giving back the space of messages that have left.

use std::collections::HashSet;

use journal::{Entry, SegmentId, Verdict};
use prost::Message as _;

use super::SpoolError;
use super::index::Passage;
use super::journal_spool::JournalSpool;
use super::message::Message;
use super::record::{self, Progress, decode_accepted, decode_id};

impl JournalSpool {
    /// Gives back the space of messages that have left: empties the oldest segments while more than half of what the
    /// spool takes on disk is dead. Blocks.
    ///
    /// The oldest first, so that each pass copies no more than it frees.
    pub(crate) fn reclaim(&self) -> Result<(), SpoolError> {
        loop {
            let mut sealed = self.journal.reclaim_candidates(1.0);
            sealed.sort_by_key(|candidate| candidate.segment);
            let Some(oldest) = sealed.first() else { return Ok(()) };
            let bytes: u64 = sealed.iter().map(|candidate| candidate.bytes).sum();
            let live: u64 = sealed.iter().map(|candidate| candidate.live).sum();
            if oldest.live > 0 && bytes < live.saturating_mul(2) {
                return Ok(());
            }
            match self.empty(oldest.segment) {
                Ok(()) => {}
                Err(journal::Error::Busy { .. }) => return Ok(()),
                Err(error) => return Err(self.stop.note(error)),
            }
        }
    }

    /// Copies what still matters out of a segment, and removes it.
    pub(super) fn empty(&self, segment: SegmentId) -> Result<(), journal::Error> {
        let mut pass = Pass::new(self, segment);
        let done = self.journal.reclaim(segment, |entry| pass.verdict(entry))?;
        self.index.segment_gone(segment, &pass.met);
        tracing::debug!(%segment, freed = done.freed, kept = done.kept, "reclaimed a spool segment");
        Ok(())
    }
}

/// The emptying of one segment.
pub(super) struct Pass<'a> {
    spool: &'a JournalSpool,
    segment: SegmentId,
    /// Messages of which a record stood in the segment.
    met: Vec<Passage>,
    /// Messages that wait, and whose present state was written anew in this pass: older records of it are done with.
    told: HashSet<Passage>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(spool: &'a JournalSpool, segment: SegmentId) -> Self {
        Self { spool, segment, met: Vec::new(), told: HashSet::new() }
    }

    pub(super) fn verdict(&mut self, entry: &Entry) -> Verdict {
        match entry.kind {
            record::ACCEPTED => self.verdict_on_message(entry),
            record::PROGRESS => self.verdict_on_progress(entry),
            record::SUSPENSIONS => self.verdict_on_suspensions(entry),
            // Set aside for people to look at.
            _ => Verdict::Keep,
        }
    }

    fn verdict_on_message(&mut self, entry: &Entry) -> Verdict {
        let Some((id, envelope, accepted)) = decode_accepted(&entry.meta) else { return Verdict::Keep };
        let passage = (id, accepted.hand_overs);
        // Records of later segments whose body reaches into this one come by, too.
        if entry.position.segment == self.segment {
            self.met.push(passage);
        }
        let settles = accepted.settles.filter(|settled| self.matters(settled));
        match self.spool.index.get(id) {
            Some(message) if message.place.lock().position == entry.position => {
                self.told.insert(passage);
                let recipients = all_statuses(&message);
                let mut current =
                    record::Accepted { envelope: Some(envelope), recipients, settles, ..accepted };
                Verdict::Rewrite(current.meta())
            }
            // This report has left, but the failure that it reports may be told by no other record.
            None if settles.is_some() => {
                self.spool.index.copying_dead(passage);
                Verdict::Keep
            }
            _ => Verdict::Drop,
        }
    }

    fn verdict_on_progress(&mut self, entry: &Entry) -> Verdict {
        let Ok(progress) = Progress::decode(entry.meta.clone()) else { return Verdict::Keep };
        let Some(id) = decode_id(&progress.message_id) else { return Verdict::Keep };
        let passage = (id, progress.hand_overs);
        match self.spool.index.get(id).filter(|message| message.hand_overs == progress.hand_overs) {
            Some(_) if !self.told.insert(passage) => Verdict::Drop,
            Some(message) => {
                let mut current = Progress { recipients: all_statuses(&message), ..progress };
                Verdict::Rewrite(current.meta())
            }
            None if self.spool.index.stands_outside(id, self.segment) => Verdict::Keep,
            None => Verdict::Drop,
        }
    }

    fn verdict_on_suspensions(&self, entry: &Entry) -> Verdict {
        let holds = self.spool.index.suspensions().position == Some(entry.position);
        if holds { Verdict::Keep } else { Verdict::Drop }
    }

    fn matters(&self, progress: &Progress) -> bool {
        decode_id(&progress.message_id).is_some_and(|id| self.spool.index.stands_outside(id, self.segment))
    }
}

fn all_statuses(message: &Message) -> Vec<record::Recipient> {
    message.statuses().iter().zip(0..).map(|(status, index)| record::Recipient::new(index, status)).collect()
}
