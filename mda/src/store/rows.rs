//! The sled tree, and in front of it what was committed last.
//!
//! sled writes each batch to the disk on its own, waits for it, and wakes all its threads for it, many times the work
//! that a small batch is. So batches gather in memory, where every reader sees them, and go to sled together: when
//! there are many octets of them, or a moment has passed. What a crash takes of them the journal gives again, as it
//! does with what sled itself had not written.

mod scan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::RangeBounds;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use failpoint::{Point, hit};
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
use sled::IVec;

use super::failure::Failure;
use super::table::sled_error;
use scan::Scan;

/// Octets of rows that are written at once. While sled takes them nobody can read from it, so it must not take long.
const PRESSING: usize = 256 << 10;
/// Octets that gather at most while sled is busy; beyond it those who commit wait.
const MOST: usize = 4 * PRESSING;
/// How long rows gather if they do not press: bounds what a start after a crash has to replay.
const GATHER: Duration = Duration::from_secs(1);
/// Octets that a row takes in memory beside its own.
const OVERHEAD: usize = 64;

/// How long sled may be busy with one write. It takes milliseconds: what takes longer than this will never end.
const PATIENCE: Duration = Duration::from_mins(1);

/// Held by whoever has sled write, or wait for what it writes. sled has one lock for all trees of a process: who flushes
/// holds it for reading while sled's own thread goes on, and that thread cannot if somebody waits to write a batch. Who
/// reads a page that is not on the disk yet waits just so, which is why no batch is left to be flushed later.
static TURN: Mutex<()> = Mutex::new(());

/// Has sled open a tree in nobody else's turn: it writes and flushes for that, too.
pub(super) fn in_turn<T>(work: impl FnOnce() -> T) -> T {
    let _turn = TURN.lock();
    work()
}

/// Rows that were written, and those that were deleted (None).
type Layer = BTreeMap<IVec, Option<IVec>>;

/// All rows. Clones are the same ones; with the last of them all that has gathered is written.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    tree: sled::Tree,
    layers: RwLock<Layers>,
    /// Held while a layer is written: one after the other.
    writing: Mutex<()>,
    asked: Mutex<Asked>,
    /// Wakes the writer, and those who wait for it.
    changed: Condvar,
    /// Who is to know if the writer fails.
    failure: OnceLock<Failure>,
    /// Since when sled has been busy with a write.
    busy: Mutex<Option<Instant>>,
    /// sled is to refuse what it is given.
    #[cfg(test)]
    refusing: std::sync::atomic::AtomicBool,
    /// While this is held, sled does not end what it is given.
    #[cfg(test)]
    stalling: Mutex<()>,
}

/// The time in which a store may have sled write.
struct Turn<'a> {
    busy: &'a Mutex<Option<Instant>>,
    _turn: MutexGuard<'static, ()>,
}

#[derive(Debug, Default)]
struct Layers {
    /// The latest.
    gathered: Arc<Layer>,
    octets: usize,
    /// What sled is being given.
    leaving: Arc<Layer>,
    /// sled refused it.
    failed: Option<sled::Error>,
}

/// What the writer is to do.
#[derive(Debug, Default)]
struct Asked {
    /// There is something to write.
    some: bool,
    /// It is much.
    pressing: bool,
    end: bool,
    /// sled has refused a write: there will be no other.
    failed: bool,
}

/// What the writer does next.
enum Next {
    Write,
    /// Write, and end.
    WriteLast,
    /// End: somebody else's write has failed.
    End,
}

impl Rows {
    pub(super) fn new(tree: sled::Tree) -> Self {
        let shared = Arc::new(Shared {
            tree,
            layers: RwLock::default(),
            writing: Mutex::default(),
            asked: Mutex::default(),
            changed: Condvar::new(),
            failure: OnceLock::new(),
            busy: Mutex::default(),
            #[cfg(test)]
            refusing: std::sync::atomic::AtomicBool::new(false),
            #[cfg(test)]
            stalling: Mutex::default(),
        });
        let writing = Arc::clone(&shared);
        let writer = thread::Builder::new().name("rows".to_owned()).spawn(move || writing.run());
        if let Err(error) = &writer {
            tracing::warn!(%error, "no thread for writing rows: each commit writes its own");
        }
        Self { handle: Arc::new(Handle { shared, writer: Mutex::new(writer.ok()) }) }
    }

    /// Notes it as this failure if rows cannot be written, though nobody commits any more who would be told.
    pub(super) fn fail_with(&self, failure: Failure) {
        // The first one stays.
        let _ = self.handle.shared.failure.set(failure);
    }

    /// Waits until sled has been busy with one write for so long that it will not end; for ever, if all goes well.
    pub(super) async fn stuck(&self) {
        self.handle.shared.busy_for(PATIENCE).await;
    }

    pub(super) fn get(&self, key: &[u8]) -> sled::Result<Option<IVec>> {
        let shared = &self.handle.shared;
        // Nobody holds the layers while sled is asked: while it takes a batch it makes those wait who read.
        let written = shared.layers.read().get(key).cloned();
        match written {
            Some(row) => Ok(row),
            None => shared.tree.get(key),
        }
    }

    pub(super) fn contains_key(&self, key: &[u8]) -> sled::Result<bool> {
        let shared = &self.handle.shared;
        let written = shared.layers.read().get(key).map(Option::is_some);
        match written {
            Some(there) => Ok(there),
            None => shared.tree.contains_key(key),
        }
    }

    /// The rows within bounds, in key order. What is committed meanwhile may be among them or not.
    pub(super) fn range(&self, range: impl RangeBounds<Vec<u8>>) -> Scan {
        let bounds = (range.start_bound().cloned(), range.end_bound().cloned());
        let shared = &self.handle.shared;
        // In this order: what leaves a layer meanwhile is in sled.
        let (gathered, leaving) = {
            let layers = shared.layers.read();
            (Arc::clone(&layers.gathered), Arc::clone(&layers.leaving))
        };
        Scan::new([gathered, leaving], &shared.tree, bounds)
    }

    pub(super) fn iter(&self) -> Scan {
        self.range(..)
    }

    /// Commits these writes, all at once for whoever reads one row. Waits while sled is too far behind.
    pub(super) fn apply(&self, writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> sled::Result<()> {
        let shared = &self.handle.shared;
        let octets = {
            let mut layers = shared.layers.write();
            if let Some(failed) = &layers.failed {
                return Err(failed.clone());
            }
            let mut more = 0;
            // Whoever scans has the layer as it was.
            let gathered = Arc::make_mut(&mut layers.gathered);
            for (key, row) in writes {
                let octets = OVERHEAD + key.len() + row.as_ref().map_or(0, Vec::len);
                let (key, row) = (IVec::from(&*key), row.map(|row| IVec::from(&*row)));
                // A row that is there already is counted again: it goes with the same write.
                more += octets;
                gathered.insert(key, row);
            }
            layers.octets += more;
            layers.octets
        };
        if self.handle.writer.lock().is_none() {
            return shared.write();
        }
        shared.ask(octets);
        Ok(())
    }

    /// Makes durable all that was committed.
    pub(super) fn flush(&self) -> sled::Result<()> {
        self.handle.shared.write()?;
        self.handle.shared.flush()
    }

    /// Makes durable all that was committed, and ends the writer: what is committed after this is written at once.
    pub(super) fn close(&self) -> sled::Result<()> {
        self.handle.end();
        self.flush()
    }
}

impl Handle {
    /// Waits until the writer has written what gathered, and has ended.
    fn end(&self) {
        let Some(writer) = self.writer.lock().take() else { return };
        self.shared.asked.lock().end = true;
        self.shared.changed.notify_all();
        if writer.join().is_err() {
            tracing::error!("the thread that writes rows broke off");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Waited for: what is in the folder may be moved away or removed next.
        self.end();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // sled flushes at its end, too, but in nobody's turn. What fails here the journal gives again.
        if self.layers.get_mut().failed.is_some() || self.flush().is_err() {
            // A write that breaks off, on a full disk say, leaves a place in sled's log that nobody fills any more. Each
            // flush would wait for that for ever, and all other rows of the process with it: this tree never ends.
            std::mem::forget(self.tree.clone());
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.busy.lock() = None;
    }
}

impl Layers {
    /// What was last written under this key, if that is in memory.
    fn get(&self, key: &[u8]) -> Option<&Option<IVec>> {
        self.gathered.get(key).or_else(|| self.leaving.get(key))
    }
}

impl Shared {
    /// Tells the writer that so many octets have gathered.
    fn ask(&self, octets: usize) {
        let mut asked = self.asked.lock();
        if asked.failed {
            // Who commits next is told.
            return;
        }
        let pressing = octets >= PRESSING;
        if !asked.some || pressing && !asked.pressing {
            asked.some = true;
            asked.pressing |= pressing;
            self.changed.notify_all();
        }
        // At the end somebody flushes what is left.
        while octets >= MOST && asked.pressing && !asked.end {
            self.changed.wait(&mut asked);
        }
    }

    fn run(&self) {
        loop {
            let next = self.wait();
            if matches!(next, Next::End) {
                return;
            }
            if let Err(error) = self.write() {
                // Whoever commits next is told, too.
                tracing::error!(%error, "rows cannot be written");
                if let Some(failure) = self.failure.get() {
                    failure.note(&sled_error(error));
                }
                return;
            }
            if matches!(next, Next::WriteLast) {
                return;
            }
        }
    }

    /// Waits until there is something that should be written now.
    fn wait(&self) -> Next {
        let mut asked = self.asked.lock();
        while !(asked.some || asked.end || asked.failed) {
            self.changed.wait(&mut asked);
        }
        while !(asked.pressing || asked.end || asked.failed) {
            if self.changed.wait_for(&mut asked, GATHER).timed_out() {
                break;
            }
        }
        match *asked {
            Asked { failed: true, .. } => Next::End,
            Asked { end: true, .. } => Next::WriteLast,
            _ => Next::Write,
        }
    }

    /// Gives sled what has gathered.
    fn write(&self) -> sled::Result<()> {
        let _one_at_a_time = self.writing.lock();
        let leaving = {
            let mut layers = self.layers.write();
            if let Some(failed) = &layers.failed {
                return Err(failed.clone());
            }
            layers.octets = 0;
            layers.leaving = std::mem::take(&mut layers.gathered);
            Arc::clone(&layers.leaving)
        };
        let given = catch_unwind(AssertUnwindSafe(|| self.give(&leaving)));
        let given = given.unwrap_or_else(|_| Err(sled::Error::ReportableBug("sled panicked".to_owned())));
        {
            let mut layers = self.layers.write();
            match &given {
                Ok(()) => layers.leaving = Arc::default(),
                // What is in memory stays as it was committed, for those who read.
                Err(error) => layers.failed = Some(error.clone()),
            }
        }
        self.wake(given.is_err());
        given
    }

    fn give(&self, layer: &Layer) -> sled::Result<()> {
        if layer.is_empty() {
            return Ok(());
        }
        #[cfg(test)]
        if self.refusing.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(sled::Error::ReportableBug("refused by a test".to_owned()));
        }
        let mut batch = sled::Batch::default();
        for (key, row) in layer {
            match row {
                Some(row) => batch.insert(key, row),
                None => batch.remove(key),
            }
        }
        let _turn = self.turn();
        #[cfg(test)]
        drop(self.stalling.lock());
        hit(Point::MdaRowsBefore);
        self.tree.apply_batch(batch)?;
        hit(Point::MdaRowsGiven);
        self.tree.flush()?;
        hit(Point::MdaRowsAfter);
        Ok(())
    }

    /// Makes durable what sled was given.
    fn flush(&self) -> sled::Result<()> {
        let _turn = self.turn();
        self.tree.flush().map(drop)
    }

    fn turn(&self) -> Turn<'_> {
        let turn = TURN.lock();
        *self.busy.lock() = Some(Instant::now());
        Turn { busy: &self.busy, _turn: turn }
    }

    /// Waits until a write has taken so long.
    async fn busy_for(&self, time: Duration) {
        while self.busy.lock().is_none_or(|since| since.elapsed() < time) {
            tokio::time::sleep(time / 8).await;
        }
    }

    /// Lets those go on who wait for a write.
    fn wake(&self, failed: bool) {
        let mut asked = self.asked.lock();
        let octets = self.layers.read().octets;
        asked.failed |= failed;
        (asked.some, asked.pressing) = (octets > 0, octets >= PRESSING && !asked.failed);
        self.changed.notify_all();
    }
}
