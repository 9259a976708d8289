//! Joins the journal to the rows.

use std::fmt;
use std::sync::Arc;

use failpoint::{Point, hit};
use journal::{Entry, Follower, FollowerError, Liveness, Position};
use parking_lot::Mutex;

use super::StoreError;
use super::damage::DamageMark;
use super::failure::Failure;
use super::index::Indexes;
use super::news::News;
use super::state::{Changed, State, decode};
use super::table::Table;

/// Applies the journal's entries to the rows, a batch of entries in one atomic step, and tells the watchers once it is
/// visible.
#[derive(Debug)]
pub(super) struct Applier {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) table: Table,
    pub(super) indexes: Arc<Indexes>,
    pub(super) news: Arc<News>,
    pub(super) damage: DamageMark,
    pub(super) failure: Failure,
    /// Taken away when the replay is over.
    pub(super) replayed: Arc<Mutex<Option<Replayed>>>,
}

/// Hears how many records were applied.
pub(super) type ReplayListener = Box<dyn FnMut(u64) + Send>;

/// How far a replay has come, and who hears it.
pub(super) struct Replayed {
    records: u64,
    tell: ReplayListener,
}

impl Replayed {
    pub(super) fn told_to(tell: ReplayListener) -> Self {
        Self { records: 0, tell }
    }

    fn add(&mut self) {
        self.records += 1;
        (self.tell)(self.records);
    }
}

impl fmt::Debug for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replayed").field("records", &self.records).finish_non_exhaustive()
    }
}

impl Applier {
    /// Tells what can be seen now.
    fn publish(&self, mut changed: Changed) {
        let leaves = std::mem::take(&mut changed.leaves);
        self.indexes.publish(leaves, &changed.mailboxes, changed.removed_mailboxes.iter().copied());
        self.indexes.part(changed.former_inboxes.iter().copied());
        self.news.publish(&changed);
    }

    /// The state stops here: whoever operates the service reads why, and the next start makes the rows anew.
    fn report(&self, error: StoreError) -> FollowerError {
        tracing::error!(%error, "the mail store stops: its state cannot follow the journal");
        self.damage.note(&error);
        self.failure.note(&error);
        Box::new(error)
    }
}

impl Follower for Applier {
    type Output = ();

    fn begin(&mut self, liveness: &Liveness) -> Result<Option<Position>, FollowerError> {
        Ok(self.state.lock().attach(liveness))
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), FollowerError> {
        if let Some(replayed) = self.replayed.lock().as_mut() {
            replayed.add();
        }
        let applied = self.state.lock().apply(entry);
        applied.map_err(|error| self.report(error))
    }

    fn is_quick(&self, entry: &Entry) -> bool {
        decode(entry).is_ok_and(|change| change.is_quick())
    }

    fn settle(&mut self) -> Result<(), FollowerError> {
        let settled = self.state.lock().settle();
        settled.map(|changed| self.publish(changed)).map_err(|error| self.report(error))
    }

    fn checkpoint(&mut self) -> Result<(), FollowerError> {
        hit(Point::MdaCheckpointBefore);
        self.table.flush().map_err(|error| self.report(error))?;
        hit(Point::MdaCheckpointAfter);
        Ok(())
    }
}
