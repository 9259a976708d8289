//! Faults that tests inject under the segment files.

use std::{
    fs::File,
    io::{self, IoSlice},
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};

const UNLIMITED: u64 = u64::MAX;

/// Shared by all files of a journal; all off by default.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Bytes that may still be written before the disk is full.
    budget: AtomicU64,
    fail_syncs: AtomicBool,
    /// Held by a test to keep syncs from completing.
    gate: Mutex<()>,
    syncs: AtomicU64,
    /// What `statvfs` is replaced with, unless it is unlimited.
    free: AtomicU64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            inner: Arc::new(Inner {
                budget: AtomicU64::new(UNLIMITED),
                fail_syncs: AtomicBool::new(false),
                gate: Mutex::new(()),
                syncs: AtomicU64::new(0),
                free: AtomicU64::new(UNLIMITED),
            }),
        }
    }
}

impl Faults {
    pub(crate) fn limit_writes(&self, bytes: Option<u64>) {
        self.inner.budget.store(bytes.unwrap_or(UNLIMITED), Ordering::SeqCst);
    }

    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.inner.fail_syncs.store(fail, Ordering::SeqCst);
    }

    pub(crate) fn hold_syncs(&self) -> MutexGuard<'_, ()> {
        self.inner.gate.lock()
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.inner.syncs.load(Ordering::SeqCst)
    }

    pub(crate) fn set_free(&self, bytes: u64) {
        self.inner.free.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn free(&self) -> Option<u64> {
        Some(self.inner.free.load(Ordering::SeqCst)).filter(|&free| free != UNLIMITED)
    }

    /// Writes what the budget allows and then fails, as a full disk does.
    pub(crate) fn before_write(
        &self,
        file: &File,
        slices: &[IoSlice<'_>],
        mut offset: u64,
    ) -> io::Result<()> {
        let budget = self.inner.budget.load(Ordering::SeqCst);
        let wanted = slices.iter().map(|slice| slice.len() as u64).sum::<u64>();
        if wanted <= budget {
            if budget != UNLIMITED {
                self.inner.budget.fetch_sub(wanted, Ordering::SeqCst);
            }
            return Ok(());
        }
        let mut left = budget as usize;
        for slice in slices {
            let part = &slice[..left.min(slice.len())];
            file.write_all_at(part, offset)?;
            offset += part.len() as u64;
            left -= part.len();
        }
        self.inner.budget.store(0, Ordering::SeqCst);
        Err(io::ErrorKind::StorageFull.into())
    }

    pub(crate) fn before_sync(&self) -> io::Result<()> {
        drop(self.inner.gate.lock());
        self.inner.syncs.fetch_add(1, Ordering::SeqCst);
        if self.inner.fail_syncs.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected sync failure"));
        }
        Ok(())
    }
}
