//! One segment file: whole reads and writes at an offset, and what syncs them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IoSlice},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::fs::FallocateFlags;

#[cfg(any(test, feature = "faults"))]
use crate::faults::Access;

/// The most slices one `pwritev` takes (Linux: `IOV_MAX`).
const MAX_SLICES: usize = 1024;

#[derive(Debug)]
pub(crate) struct SegmentFile {
    file: File,
    path: PathBuf,
    #[cfg(any(test, feature = "faults"))]
    faults: crate::faults::Faults,
}

impl SegmentFile {
    pub(crate) fn create(path: &Path, config: &crate::Config) -> io::Result<Self> {
        #[cfg(any(test, feature = "faults"))]
        config.faults.before(Access::Name)?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        #[cfg(any(test, feature = "faults"))]
        config.faults.note(|recording| recording.created(path));
        Ok(Self::new(file, path, config))
    }

    pub(crate) fn open(path: &Path, config: &crate::Config) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self::new(file, path, config))
    }

    #[cfg_attr(
        not(any(test, feature = "faults")),
        expect(unused_variables, reason = "only tests configure faults")
    )]
    fn new(file: File, path: &Path, config: &crate::Config) -> Self {
        Self {
            file,
            path: path.to_owned(),
            #[cfg(any(test, feature = "faults"))]
            faults: config.faults.clone(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Fills `buffer` as far as the file reaches.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(any(test, feature = "faults"))]
        self.faults.before(Access::Read)?;
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Up to `length` bytes at `offset`, fewer only at the end of the file.
    pub(crate) fn read(&self, length: usize, offset: u64) -> io::Result<Vec<u8>> {
        #[cfg(any(test, feature = "faults"))]
        self.faults.before(Access::Read)?;
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = offset + bytes.len() as u64;
            match rustix::io::pread(&self.file, rustix::buffer::spare_capacity(&mut bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // There may have been more room than was asked for.
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Writes all of `slices`, one after the other. After an error any part of them may be there.
    pub(crate) fn write_at(&self, mut slices: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        while !slices.is_empty() {
            #[cfg(any(test, feature = "faults"))]
            self.faults.before_write(&self.file, &self.path, slices, offset)?;
            let count = slices.len().min(MAX_SLICES);
            match rustix::io::pwritev(&self.file, &slices[..count], offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    #[cfg(any(test, feature = "faults"))]
                    self.faults.note(|recording| recording.written_of(&self.path, offset, slices, written));
                    offset += written as u64;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Makes the data, and the length if it is needed to read the data, durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(any(test, feature = "faults"))]
        let covered = self.faults.before_sync()?;
        self.file.sync_data()?;
        #[cfg(any(test, feature = "faults"))]
        self.faults.note(|recording| recording.synced(&self.path, covered, false));
        Ok(())
    }

    /// Makes data and all metadata durable.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        #[cfg(any(test, feature = "faults"))]
        let covered = self.faults.before_sync()?;
        self.file.sync_all()?;
        #[cfg(any(test, feature = "faults"))]
        self.faults.note(|recording| recording.synced(&self.path, covered, true));
        Ok(())
    }

    pub(crate) fn truncate(&self, length: u64) -> io::Result<()> {
        #[cfg(any(test, feature = "faults"))]
        self.faults.before(Access::Cut)?;
        self.file.set_len(length)?;
        #[cfg(any(test, feature = "faults"))]
        self.faults.note(|recording| recording.cut(&self.path, length));
        Ok(())
    }

    /// Reserves space up to `length`, so that a sync has no new length to write. Returns whether it could; it
    /// is only faster, so the file system may refuse.
    pub(crate) fn preallocate(&self, length: u64) -> bool {
        let reserved = rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, length).is_ok();
        #[cfg(any(test, feature = "faults"))]
        if reserved {
            self.faults.note(|recording| recording.reserved(&self.path, length));
        }
        reserved
    }
}

/// Removes a segment's file. That it is gone is not durable yet.
#[cfg_attr(
    not(any(test, feature = "faults")),
    expect(unused_variables, reason = "only tests configure faults")
)]
pub(crate) fn remove(path: &Path, config: &crate::Config) -> io::Result<()> {
    #[cfg(any(test, feature = "faults"))]
    config.faults.before(Access::Name)?;
    fs::remove_file(path)?;
    #[cfg(any(test, feature = "faults"))]
    config.faults.note(|recording| recording.removed(path));
    Ok(())
}

/// Makes durable which segments there are.
pub(crate) fn sync_names(config: &crate::Config) -> io::Result<()> {
    #[cfg(any(test, feature = "faults"))]
    let covered = config.faults.steps();
    #[cfg(any(test, feature = "faults"))]
    config.faults.before(Access::SyncNames)?;
    sync_directory(&config.dir)?;
    #[cfg(any(test, feature = "faults"))]
    config.faults.note(|recording| recording.names_synced(covered));
    Ok(())
}

/// Makes the directory's entries durable: new names, and names that are gone.
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether the error means that there is no space.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
