//! Opening, making anew, closing.

use std::fs::{self, File};
use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use journal::{Journal, OnCorruption, Recovery, Stretch};
use parking_lot::Mutex;

use super::housekeeping::{self, Housekeeper};
use super::pace::Pace;
use super::{Inner, LocalStore};
use crate::store::damage::DamageMark;
use crate::store::failure::Failure;
use crate::store::folder_lock::FolderLock;
use crate::store::follower::{Applier, ReplayListener, Replayed};
use crate::store::gate::Gates;
use crate::store::index::Indexes;
use crate::store::news::News;
use crate::store::recent::Recent;
use crate::store::rows::in_turn;
use crate::store::state::State;
use crate::store::table::{Table, sled_error};
use crate::store::{Result, StoreConfig, StoreError};

/// The format of the folder that this program writes.
const FORMAT: u32 = 1;

/// How often and how far apart the lock is tried: half a second in all.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// What the rows look like that this program makes of a journal. Rows that another version made are made anew.
///
/// 2: counters have the octets of messages with `\Deleted`; there is no index of changes (`q`).
/// 3: what a segment is needed for counts the states' own lengths; what is left of removed mailboxes has a row (`xl`).
/// 4: what changes of messages is in leaves (`f`).
/// 5: what a segment is needed for counts the messages' keywords.
/// 6: where an account has annotations has rows of its own (`i`).
const ROWS: u32 = 6;

/// Longer than any store is open.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// What opening a store found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// Journal records that were applied: those that a crash had taken from the rows, or all.
    pub replayed: u64,
    /// The rows were made anew from the journal.
    pub rebuilt: bool,
    /// Damaged stretches of the journal, as text: what was in them is lost, and the operator has to know.
    pub damaged: Vec<String>,
}

impl LocalStore {
    /// Opens the store of a folder, or makes it. Blocks while the journal is replayed.
    ///
    /// Rows that are found damaged, now or when the store was last open, are set aside as `state.damaged` and made
    /// anew from the journal: that takes time in proportion to the number of messages and loses none.
    pub fn open(config: StoreConfig) -> Result<(Self, Opened)> {
        fs::create_dir_all(&config.dir).map_err(io_error("cannot make the store's folder"))?;
        let lock = FolderLock::acquire(&config.dir)?;
        Self::open_locked(config, lock)
    }

    fn open_locked(config: StoreConfig, lock: FolderLock) -> Result<(Self, Opened)> {
        check_format(&config.dir)?;
        let damage = DamageMark::new(&config.dir);
        let mut rebuilt = damage.is_set();
        if rebuilt {
            set_aside(&config.dir)?;
        }
        rebuilt |= renew_rows(&config.dir)?;
        let dir = config.dir.clone();
        let lock = Arc::new(lock);
        let opened = match open_once(config.clone(), &damage, &lock, None) {
            Err(error @ StoreError::CorruptState { .. }) => {
                tracing::error!(%error, "rows are damaged: making them anew from the journal, losing no message");
                rebuilt = true;
                set_aside(&dir)?;
                open_once(config, &damage, &lock, None)
            }
            opened => opened,
        };
        let (store, recovery) = opened?;
        damage.clear().map_err(io_error("cannot remove the mark of damaged rows"))?;
        Ok((store, report(&recovery, rebuilt)))
    }

    /// Opens a store to look at it: rows that are damaged are neither set aside nor made anew, and no space is reclaimed.
    /// What a crash has taken from the rows is replayed all the same.
    pub fn open_as_it_is(config: StoreConfig) -> Result<(Self, Opened)> {
        let lock = FolderLock::acquire(&config.dir)?;
        check_format(&config.dir)?;
        let damage = DamageMark::new(&config.dir);
        renew_rows(&config.dir)?;
        let config = StoreConfig { reclaim_every: NEVER, ..config };
        let (store, recovery) = open_once(config, &damage, &Arc::new(lock), None)?;
        Ok((store, report(&recovery, false)))
    }

    /// Makes all rows anew from the journal, for a store that nobody has open; one that is open is left untouched.
    ///
    /// `tell` hears how many records of the journal have been applied.
    pub fn rebuild(config: StoreConfig, tell: impl FnMut(u64) + Send + 'static) -> Result<Opened> {
        let lock = FolderLock::acquire(&config.dir)?;
        check_format(&config.dir)?;
        set_aside(&config.dir)?;
        renew_rows(&config.dir)?;
        let damage = DamageMark::new(&config.dir);
        let (store, recovery) = open_once(config, &damage, &Arc::new(lock), Some(Box::new(tell)))?;
        damage.clear().map_err(io_error("cannot remove the mark of damaged rows"))?;
        let opened = report(&recovery, true);
        store.close_blocking()?;
        Ok(opened)
    }

    /// Finishes what was begun and gives the folder free. What is asked of other clones later fails with
    /// [`StoreError::Closed`].
    pub async fn close(self) -> Result<()> {
        let closed = tokio::task::spawn_blocking(move || self.close_blocking()).await;
        closed.unwrap_or_else(|error| Err(StoreError::Closed(error.to_string())))
    }

    /// As [`LocalStore::close`], for threads that may block.
    pub fn close_blocking(self) -> Result<()> {
        self.inner.pace.end();
        self.inner.housekeeper.stop();
        self.inner.journal.clone().close()?;
        self.inner.table.close()
    }
}

fn open_once(
    config: StoreConfig,
    damage: &DamageMark,
    lock: &Arc<FolderLock>,
    tell: Option<ReplayListener>,
) -> Result<(LocalStore, Recovery)> {
    let table = open_rows(&config)?;
    let indexes = Indexes::new(config.index_bytes);
    let state = Arc::new(Mutex::new(State::load(table.clone(), Arc::clone(&indexes))?));
    let news = Arc::new(News::default());
    let failure = Failure::none_yet();
    table.fail_with(failure.clone());
    let replayed = Arc::new(Mutex::new(tell.map(Replayed::told_to)));
    let applier = Applier {
        state: Arc::clone(&state),
        table: table.clone(),
        indexes: Arc::clone(&indexes),
        news: Arc::clone(&news),
        damage: damage.clone(),
        failure: failure.clone(),
        replayed: Arc::clone(&replayed),
    };
    let journal_config = journal::Config {
        segment_bytes: config.segment_bytes,
        min_free_bytes: config.min_free_bytes,
        // One damaged stretch must not keep everybody from their mail.
        on_corruption: OnCorruption::Quarantine,
        #[cfg(test)]
        faults: config.journal_faults.clone(),
        ..journal::Config::new(config.dir.join("journal"))
    };
    let (journal, recovery) = Journal::open(journal_config, applier).map_err(replay_error)?;
    replayed.lock().take();
    state.lock().end_replay()?;
    state.lock().forget_missing(|segment| journal.segment_exists(segment))?;
    let marks = state.lock().marks();
    let pace = Pace::new(config.reclaim_rate);
    let (housekeeper, work) = Housekeeper::new();
    let recent = Recent::new(config.outline_bytes);
    let store = LocalStore {
        inner: Arc::new(Inner {
            config,
            journal,
            table,
            state,
            indexes,
            news,
            damage: damage.clone(),
            lost: stretches(&recovery),
            failure,
            gates: Gates::default(),
            marks: Mutex::new(marks),
            in_flight: Mutex::default(),
            accounts: tokio::sync::Mutex::default(),
            housekeeper,
            recent,
            pace,
            outlining: Mutex::default(),
            _lock: Arc::clone(lock),
        }),
    };
    store.drop_gatherings()?;
    for mailbox in store.removed_mailboxes()? {
        store.inner.housekeeper.purge(mailbox);
    }
    housekeeping::start(&store, work)?;
    Ok((store, recovery))
}

/// Opens sled. When a store was just closed in this process, sled's own threads may hold sled's lock for a moment more.
fn open_rows(config: &StoreConfig) -> Result<Table> {
    let mut patience = LOCK_ATTEMPTS;
    loop {
        match try_open_rows(config) {
            Err(StoreError::Io { reason, .. }) if reason.contains("acquire lock") && patience > 0 => {
                patience -= 1;
                thread::sleep(LOCK_PAUSE);
            }
            opened => return opened,
        }
    }
}

/// sled reports some damage as an error and panics on other.
fn try_open_rows(config: &StoreConfig) -> Result<Table> {
    let sled = sled::Config::new()
        .path(config.dir.join("state"))
        .cache_capacity(config.cache_bytes)
        // The journal makes durable; this only bounds what a start after a crash has to replay.
        .flush_every_ms(Some(2_000));
    let open = || in_turn(|| sled.open().and_then(|db| db.open_tree("rows")));
    let opened = panic::catch_unwind(AssertUnwindSafe(open));
    match opened {
        Ok(Ok(tree)) => Ok(Table::new(tree)),
        Ok(Err(sled::Error::Io(error)))
            if matches!(
                error.kind(),
                std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData
            ) =>
        {
            Err(StoreError::CorruptState { what: error.to_string() })
        }
        Ok(Err(error)) => Err(sled_error(error)),
        Err(_) => Err(StoreError::CorruptState { what: "sled cannot read its files".to_owned() }),
    }
}

/// A replay that met damaged rows says so in the store's own words.
fn replay_error(error: journal::Error) -> StoreError {
    if let journal::Error::Follower(source) = &error
        && let Some(own) = source.downcast_ref::<StoreError>()
    {
        return own.clone();
    }
    error.into()
}

fn report(recovery: &Recovery, rebuilt: bool) -> Opened {
    let damaged = stretches(recovery);
    for stretch in &damaged {
        tracing::error!(%stretch, "a part of the mail store's journal is damaged: what was in it is lost");
    }
    if rebuilt {
        tracing::warn!(records = recovery.replayed, "rows were made anew from the journal");
    }
    Opened { replayed: recovery.replayed, rebuilt, damaged }
}

/// The damaged stretches of the journal, as text.
fn stretches(recovery: &Recovery) -> Vec<String> {
    let text =
        |stretch: &Stretch| format!("{} octets at {}: {}", stretch.bytes, stretch.start, stretch.reason);
    recovery.quarantined.iter().map(text).collect()
}

/// Refuses a folder of a newer program, and marks a new one as ours.
fn check_format(dir: &Path) -> Result<()> {
    match read_version(dir, "FORMAT")? {
        Some(FORMAT) => Ok(()),
        Some(found) => Err(StoreError::NewerFormat { found, known: FORMAT }),
        None => write_version(dir, "FORMAT", FORMAT),
    }
}

/// Sets rows aside that an older program made, to be made anew; `true` if there were any. Refuses those of a newer one.
fn renew_rows(dir: &Path) -> Result<bool> {
    let found = read_version(dir, "ROWS")?;
    match found {
        Some(ROWS) => return Ok(false),
        Some(found) if found > ROWS => return Err(StoreError::NewerFormat { found, known: ROWS }),
        _ => {}
    }
    let outdated = dir.join("state").exists();
    if outdated {
        tracing::info!("rows were made by an older version: making them anew from the journal");
        set_aside(dir)?;
    }
    write_version(dir, "ROWS", ROWS)?;
    Ok(outdated)
}

fn read_version(dir: &Path, name: &str) -> Result<Option<u32>> {
    let failed = |error: std::io::Error| StoreError::Io {
        what: format!("cannot read the store's {name} file"),
        reason: error.to_string(),
    };
    match fs::read_to_string(dir.join(name)) {
        Ok(text) => match text.trim().parse() {
            Ok(version) => Ok(Some(version)),
            Err(error) => Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Whole or not at all: a crash in between must not leave an empty file.
fn write_version(dir: &Path, name: &str, version: u32) -> Result<()> {
    let write = || {
        let new = dir.join(format!("{name}.new"));
        let mut file = File::create(&new)?;
        writeln!(file, "{version}")?;
        file.sync_all()?;
        fs::rename(&new, dir.join(name))?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|error: std::io::Error| StoreError::Io {
        what: format!("cannot write the store's {name} file"),
        reason: error.to_string(),
    })
}

/// Moves the rows away; those that were set aside before give way.
fn set_aside(dir: &Path) -> Result<()> {
    let (rows, aside) = (dir.join("state"), dir.join("state.damaged"));
    let moved = || {
        if !rows.exists() {
            return Ok(());
        }
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        fs::rename(&rows, &aside)?;
        File::open(dir)?.sync_all()
    };
    moved().map_err(io_error("cannot set the damaged rows aside"))
}

fn io_error(what: &'static str) -> impl Fn(std::io::Error) -> StoreError {
    move |error| StoreError::Io { what: what.to_owned(), reason: error.to_string() }
}
