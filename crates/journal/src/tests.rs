//! The journal as its owners use it, over real files, and with faults put under them.

mod appending;
mod applying;
mod bodies;
mod corruption;
mod crashes;
mod holding;
mod opening;
mod power;
mod reclaiming;
mod resources;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    Appended, BodyRef, Config, Entry, Error, Follower, FollowerError, Journal, Liveness, Position, Record,
    Recovery, SegmentId, faults::Faults,
};

/// A directory of its own, and a configuration with small segments.
struct Bench {
    dir: tempfile::TempDir,
    config: Config,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::new(dir.path());
        config.segment_bytes = 64 << 10;
        config.min_free_bytes = 0;
        Self { dir, config }
    }

    fn with_segment_bytes(bytes: u64) -> Self {
        let mut bench = Self::new();
        bench.config.segment_bytes = bytes;
        bench
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn open(&self) -> (Journal<u64>, Follow, Recovery) {
        let follow = Follow::default();
        let (journal, recovery) = Journal::open(self.config.clone(), follow.clone()).unwrap();
        (journal, follow, recovery)
    }

    fn open_error(&self) -> Error {
        Journal::open(self.config.clone(), Follow::default()).unwrap_err()
    }

    fn segment_path(&self, segment: SegmentId) -> PathBuf {
        self.path().join(format!("{segment}.seg"))
    }

    /// Where there is a file system in memory, the many syncs of a sweep over crashes cost nothing.
    fn in_memory(config: &Config) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let config = Config { dir: dir.path().to_owned(), faults: Faults::default(), ..config.clone() };
        Self { dir, config }
    }

    /// What a power loss, or kill -9, at this moment leaves: a copy of the files, without the lock.
    fn crash(&self) -> Self {
        let crashed = Self::in_memory(&self.config);
        for file in fs::read_dir(self.path()).unwrap() {
            let file = file.unwrap();
            if file.file_name() != "LOCK" {
                fs::copy(file.path(), crashed.path().join(file.file_name())).unwrap();
            }
        }
        crashed
    }
}

/// A follower that keeps the entries it saw, by position; its output counts them.
#[derive(Clone, Default)]
struct Follow {
    state: Arc<Mutex<FollowState>>,
    /// Held by a test to keep entries from being applied.
    gate: Arc<Mutex<()>>,
    is_always_quick: bool,
}

/// The kind of entries that take long to apply.
const LONG: u8 = 77;
/// The kind of entries at which it panics when it is asked whether they do.
const UNASKED: u8 = 78;

#[derive(Default)]
struct FollowState {
    seen: Vec<Entry>,
    /// The names of the threads that applied them.
    threads: Vec<Option<String>>,
    settled: usize,
    checkpoints: usize,
    start_after: Option<Position>,
    /// Fails, or panics, at the entry with this kind.
    poison: Option<(u8, bool)>,
    liveness: Option<Liveness>,
}

impl Follower for Follow {
    type Output = u64;

    fn begin(&mut self, liveness: &Liveness) -> Result<Option<Position>, FollowerError> {
        let mut state = self.state.lock();
        state.liveness = Some(liveness.clone());
        Ok(state.start_after)
    }

    fn apply(&mut self, entry: &Entry) -> Result<u64, FollowerError> {
        drop(self.gate.lock());
        let mut state = self.state.lock();
        if let Some((_, panics)) = state.poison.filter(|&(kind, _)| kind == entry.kind) {
            assert!(!panics, "poisoned");
            return Err("poisoned".into());
        }
        let liveness = state.liveness.clone().unwrap();
        liveness.note_live(entry.position, &entry.body);
        if let Some(from) = entry.copied_from
            && let Some(old) = state.seen.iter().find(|old| old.position == from)
        {
            liveness.note_dead(from, &old.body);
        }
        state.seen.push(entry.clone());
        state.threads.push(std::thread::current().name().map(str::to_owned));
        Ok(state.seen.len() as u64)
    }

    fn is_quick(&self, entry: &Entry) -> bool {
        assert_ne!(entry.kind, UNASKED);
        entry.kind != LONG
    }

    fn is_always_quick(&self) -> bool {
        self.is_always_quick
    }

    fn settle(&mut self) -> Result<(), FollowerError> {
        let mut state = self.state.lock();
        state.settled = state.seen.len();
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), FollowerError> {
        self.state.lock().checkpoints += 1;
        Ok(())
    }
}

impl Follow {
    fn seen(&self) -> Vec<Entry> {
        self.state.lock().seen.clone()
    }

    fn metas(&self) -> Vec<Bytes> {
        self.state.lock().seen.iter().map(|entry| entry.meta.clone()).collect()
    }

    /// The owner's view: for each meta the newest record that carries it.
    fn current(&self) -> BTreeMap<Bytes, Entry> {
        self.state.lock().seen.iter().map(|entry| (entry.meta.clone(), entry.clone())).collect()
    }
}

fn record(meta: impl Into<Bytes>, body: impl Into<Bytes>) -> Record {
    Record { kind: 7, meta: meta.into(), body: body.into() }
}

fn append(journal: &Journal<u64>, meta: impl Into<Bytes>, body: impl Into<Bytes>) -> Appended<u64> {
    journal.append(record(meta, body)).wait().unwrap()
}

fn numbered(number: usize) -> Bytes {
    Bytes::from(format!("message {number}"))
}

/// Bytes that differ from place to place and from seed to seed.
fn noise(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes.into()
}

fn read_all(journal: &Journal<u64>, body: &BodyRef) -> Bytes {
    journal.read(body, 0..body.len()).unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
