//! Faults that tests inject under the segment files, and a recording of what was done to them.

mod recording;

use std::{
    fs::File,
    io::{self, IoSlice},
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};

pub use recording::{Image, Loss, Recording};

const UNLIMITED: u64 = u64::MAX;

/// Shared by all files of a journal; all off by default.
#[derive(Clone, Debug)]
pub struct Faults {
    inner: Arc<Inner>,
}

/// What is done to a file or its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A part of a file is read.
    Read,
    /// Bytes are written to a file.
    Write,
    /// A file is cut.
    Cut,
    /// What was written to a file is made durable.
    Sync,
    /// A file is made or removed.
    Name,
    /// Which files there are is made durable.
    SyncNames,
}

#[derive(Debug)]
struct Inner {
    /// Bytes that may still be written before the disk is full.
    budget: AtomicU64,
    fail_syncs: AtomicBool,
    /// Which access fails, after how many that do not.
    failing: Mutex<Option<(Access, u64)>>,
    /// Held by a test to keep syncs from completing.
    gate: Mutex<()>,
    syncs: AtomicU64,
    /// What `statvfs` is replaced with, unless it is unlimited.
    free: AtomicU64,
    recording: OnceLock<Recording>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            inner: Arc::new(Inner {
                budget: AtomicU64::new(UNLIMITED),
                fail_syncs: AtomicBool::new(false),
                failing: Mutex::default(),
                gate: Mutex::default(),
                syncs: AtomicU64::new(0),
                free: AtomicU64::new(UNLIMITED),
                recording: OnceLock::new(),
            }),
        }
    }
}

impl Faults {
    /// No faults, and all that is done is noted in a recording.
    pub fn noted_in(recording: Recording) -> Self {
        let faults = Self::default();
        let _ = faults.inner.recording.set(recording);
        faults
    }

    /// After so many accesses of this kind one more fails.
    pub fn fail_after(&self, access: Access, count: u64) {
        *self.inner.failing.lock() = Some((access, count));
    }

    /// Whether the access that was to fail has failed.
    pub fn has_failed(&self) -> bool {
        self.inner.failing.lock().is_none()
    }

    /// Bytes that may still be written before the disk is full.
    pub fn limit_writes(&self, bytes: Option<u64>) {
        self.inner.budget.store(bytes.unwrap_or(UNLIMITED), Ordering::SeqCst);
    }

    /// Whether all syncs fail.
    pub fn fail_syncs(&self, fail: bool) {
        self.inner.fail_syncs.store(fail, Ordering::SeqCst);
    }

    /// Keeps syncs from completing for as long as it is held.
    pub fn hold_syncs(&self) -> MutexGuard<'_, ()> {
        self.inner.gate.lock()
    }

    /// Syncs of files so far.
    pub fn syncs(&self) -> u64 {
        self.inner.syncs.load(Ordering::SeqCst)
    }

    /// Replaces what the file system says of its free space.
    pub fn set_free(&self, bytes: u64) {
        self.inner.free.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn free(&self) -> Option<u64> {
        Some(self.inner.free.load(Ordering::SeqCst)).filter(|&free| free != UNLIMITED)
    }

    /// To be called before each access.
    pub(crate) fn before(&self, access: Access) -> io::Result<()> {
        let mut failing = self.inner.failing.lock();
        match &mut *failing {
            Some((kind, 0)) if *kind == access => {
                *failing = None;
                Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()))
            }
            Some((kind, left)) if *kind == access => {
                *left -= 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Writes what the budget allows and then fails, as a full disk does; or half of it, as a broken one may.
    pub(crate) fn before_write(
        &self,
        file: &File,
        path: &Path,
        slices: &[IoSlice<'_>],
        offset: u64,
    ) -> io::Result<()> {
        let wanted = slices.iter().map(|slice| slice.len() as u64).sum::<u64>();
        if let Err(error) = self.before(Access::Write) {
            self.write_part(file, path, slices, offset, wanted / 2)?;
            return Err(error);
        }
        let budget = self.inner.budget.load(Ordering::SeqCst);
        if wanted <= budget {
            if budget != UNLIMITED {
                self.inner.budget.fetch_sub(wanted, Ordering::SeqCst);
            }
            return Ok(());
        }
        self.write_part(file, path, slices, offset, budget)?;
        self.inner.budget.store(0, Ordering::SeqCst);
        Err(io::ErrorKind::StorageFull.into())
    }

    /// Writes the first so many bytes.
    fn write_part(
        &self,
        file: &File,
        path: &Path,
        slices: &[IoSlice<'_>],
        offset: u64,
        length: u64,
    ) -> io::Result<()> {
        let mut bytes = slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<u8>>();
        bytes.truncate(length as usize);
        file.write_all_at(&bytes, offset)?;
        self.note(|recording| recording.written(path, offset, &bytes));
        Ok(())
    }

    /// Gives how many steps the sync that follows covers.
    pub(crate) fn before_sync(&self) -> io::Result<usize> {
        drop(self.inner.gate.lock());
        self.inner.syncs.fetch_add(1, Ordering::SeqCst);
        self.before(Access::Sync)?;
        if self.inner.fail_syncs.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected sync failure"));
        }
        Ok(self.steps())
    }

    /// Steps that were noted so far.
    pub(crate) fn steps(&self) -> usize {
        self.inner.recording.get().map_or(0, Recording::len)
    }

    /// Notes what was done, if there is a recording.
    pub(crate) fn note(&self, note: impl FnOnce(&Recording)) {
        if let Some(recording) = self.inner.recording.get() {
            note(recording);
        }
    }
}
