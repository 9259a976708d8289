//! Refusing appends before the disk is full.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{config::Config, error::Error, queue::Limits};

/// How long a look at the file system's free space is trusted.
const TRUSTED_FOR: Duration = Duration::from_millis(100);

/// What may still be written.
#[derive(Debug)]
pub(crate) struct Space {
    dir: PathBuf,
    min_free: u64,
    looked: Option<Instant>,
    /// Bytes free at the last look, less what was admitted since.
    left: u64,
    #[cfg(any(test, feature = "faults"))]
    faults: crate::faults::Faults,
}

impl Space {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            dir: config.dir.clone(),
            min_free: config.min_free_bytes,
            looked: None,
            left: 0,
            #[cfg(any(test, feature = "faults"))]
            faults: config.faults.clone(),
        }
    }

    /// Admits `bytes` more under `limits`, or says that the disk is full. `queued` bytes were admitted and are not yet written;
    /// `preallocated` bytes are the log's already, though nothing stands in them.
    pub(crate) fn admit(
        &mut self,
        limits: Limits,
        bytes: u64,
        queued: u64,
        preallocated: u64,
    ) -> Result<(), Error> {
        self.look(limits, bytes, queued, preallocated)?;
        self.left -= bytes;
        Ok(())
    }

    /// Whether [`admit`](Self::admit) would admit so much. Nothing is taken.
    pub(crate) fn look(
        &mut self,
        limits: Limits,
        bytes: u64,
        queued: u64,
        preallocated: u64,
    ) -> Result<(), Error> {
        let floor = self.floor(limits);
        let recent = self.looked.is_some_and(|looked| looked.elapsed() < TRUSTED_FOR);
        if !recent || !self.has_room_for(bytes, floor) {
            self.left = self.free().saturating_add(preallocated).saturating_sub(queued);
            self.looked = Some(Instant::now());
        }
        if !self.has_room_for(bytes, floor) {
            return Err(Error::DiskFull { free: self.free(), min_free: floor });
        }
        Ok(())
    }

    /// Bytes that may be reserved ahead without going under the minimum.
    pub(crate) fn headroom(&self) -> u64 {
        self.free().saturating_sub(self.min_free)
    }

    /// The error for a write that found the disk full.
    pub(crate) fn full(&self) -> Error {
        Error::DiskFull { free: self.free(), min_free: self.min_free }
    }

    /// Bytes that have to stay free.
    fn floor(&self, limits: Limits) -> u64 {
        match limits {
            Limits::All => self.min_free,
            Limits::Bookkeeping => self.min_free / 2,
            Limits::Reclaim => 0,
        }
    }

    fn has_room_for(&self, bytes: u64, floor: u64) -> bool {
        self.left.saturating_sub(bytes) >= floor && self.left >= bytes
    }

    /// What unprivileged processes may use. A file system that does not say is taken to have room: a full disk
    /// shows in the write, too.
    fn free(&self) -> u64 {
        #[cfg(any(test, feature = "faults"))]
        if let Some(free) = self.faults.free() {
            return free;
        }
        rustix::fs::statvfs(&self.dir).map_or(u64::MAX, |status| status.f_bavail * status.f_frsize)
    }
}
