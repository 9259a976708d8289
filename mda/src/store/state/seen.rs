//! What others than its owner have seen of a mailbox.

use journal::Position;

use super::State;
use crate::store::record::{Change, SeenState};
use crate::store::{Result, keys};

impl State {
    pub(super) fn apply_seen(&mut self, at: Position, change: &Change) -> Result<()> {
        change.seen.iter().try_for_each(|seen| self.seen(at, seen))
    }

    /// Rows stay as long as the mailbox, even if their user is gone: no record that takes a modseq may be forgotten
    /// before a later one has taken another.
    fn seen(&mut self, at: Position, seen: &SeenState) -> Result<()> {
        let Some(mut counters) = self.counters(seen.mailbox)? else { return Ok(()) };
        let key = keys::seen(seen.mailbox, seen.account, seen.block);
        let old = self.pending.get::<SeenState>(&key)?;
        if old.as_ref().is_none_or(|old| (old.value.modseq, old.at) < (seen.modseq, at)) {
            self.put_state(key, at, old.as_ref(), seen);
        }
        counters.highest_modseq = counters.highest_modseq.max(seen.modseq);
        self.put_counters(seen.mailbox, at, &counters);
        Ok(())
    }
}
