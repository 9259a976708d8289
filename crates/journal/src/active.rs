//! The segment that is being written.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, IoSlice},
    sync::Arc,
};

use failpoint::{Point, hit};

use crate::{
    config::Config,
    error::Error,
    file::{self, SegmentFile, sync_names},
    format::{Encode, Place, SEAL_BYTES, SEGMENT_HEADER, SegmentHeader, Type},
    position::SegmentId,
    segments::{Segment, Segments},
};

#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) id: SegmentId,
    pub(crate) file: Arc<SegmentFile>,
    pub(crate) salt: u32,
    /// Where the next record goes.
    pub(crate) end: u32,
    /// How far it is on stable storage.
    pub(crate) synced: u32,
    pub(crate) reach: SegmentId,
    /// Bytes reserved in the file system.
    pub(crate) allocated: u64,
}

impl Active {
    /// Makes a new segment: its header is durable, and so is its name, before it takes a record. So a file whose
    /// header is damaged never held one, unless there is more in it.
    pub(crate) fn create(
        segments: &Segments,
        config: &Config,
        id: SegmentId,
        reserve: u64,
    ) -> Result<Self, Error> {
        let path = segments.path(id);
        let salt = random_salt();
        hit(Point::JournalCreateBefore);
        let file = SegmentFile::create(&path, config).map_err(Error::io("create", &path))?;
        let header = SegmentHeader { segment: id, salt }.encode();
        let allocated = begin(&file, &header, config, reserve).or_else(|error| {
            // It must not come back, in a power loss, beside the segment that is made instead.
            let removed = file::remove(&path, config).and_then(|()| sync_names(config));
            removed.map_err(|error| Error::SyncFailed(Arc::new(error)))?;
            Err(Error::io("create", &path)(error))
        })?;
        let file = Arc::new(file);
        let end = SEGMENT_HEADER;
        let known = Segment { sealed: false, ..Segment::sealed(id, salt, end) };
        segments.insert_open(id, known, Arc::clone(&file));
        Ok(Self { id, file, salt, end, synced: end, reach: id, allocated })
    }

    /// Writes records at the end. After a failure the file is cut back for good, so that no part of what was refused
    /// can be taken for a record later, also after a power loss; if that fails too, nothing is known any more.
    pub(crate) fn write(&mut self, slices: &mut [IoSlice<'_>], length: u32) -> Result<(), Error> {
        let end = u64::from(self.end);
        let Err(error) = self.file.write_at(slices, end) else {
            self.end += length;
            return Ok(());
        };
        self.allocated = 0;
        let cut = self.file.truncate(end).and_then(|()| self.file.sync_all());
        cut.map_err(|error| Error::SyncFailed(Arc::new(error)))?;
        Err(Error::io("write", self.file.path())(error))
    }

    /// Makes everything written durable.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        if self.synced < self.end {
            hit(Point::JournalSyncBefore);
            self.file.sync().map_err(|error| Error::SyncFailed(Arc::new(error)))?;
            hit(Point::JournalSyncAfter);
            self.synced = self.end;
        }
        Ok(())
    }

    /// Ends the segment: writes the seal behind everything and gives back what was reserved. Everything in it
    /// is durable then.
    pub(crate) fn seal(&mut self, segments: &Segments, sequence: u64) -> Result<(), Error> {
        hit(Point::JournalSealBefore);
        let seal = Encode {
            kind: 0,
            kind_of: Type::Seal,
            copied_from: None,
            extents: &[],
            meta: &self.reach.0.to_le_bytes(),
            body_length: 0,
            body_crc: 0,
        };
        let mut bytes = Vec::with_capacity(SEAL_BYTES);
        seal.encode(
            Place { salt: self.salt, offset: self.end, synced_to: self.synced, sequence },
            &mut bytes,
        );
        self.write(&mut [IoSlice::new(&bytes)], SEAL_BYTES as u32)?;
        self.sync()?;
        hit(Point::JournalSealSynced);
        self.cut(segments)?;
        hit(Point::JournalSealAfter);
        Ok(())
    }

    /// Gives back what is reserved behind the seal.
    pub(crate) fn cut(&mut self, segments: &Segments) -> Result<(), Error> {
        let cut = self.file.truncate(u64::from(self.end)).and_then(|()| self.file.sync_all());
        cut.map_err(|error| Error::SyncFailed(Arc::new(error)))?;
        segments.update(self.id, |known| {
            known.end = self.end;
            known.reach = self.reach;
            known.sealed = true;
        });
        Ok(())
    }
}

/// Makes a new file's header and its name durable. Gives how many bytes are reserved for it.
fn begin(file: &SegmentFile, header: &[u8], config: &Config, reserve: u64) -> io::Result<u64> {
    file.write_at(&mut [IoSlice::new(header)], 0)?;
    let allocated = if reserve > 0 && file.preallocate(reserve) { reserve } else { 0 };
    file.sync_all()?;
    hit(Point::JournalCreateNamed);
    sync_names(config)?;
    hit(Point::JournalCreateAfter);
    Ok(allocated)
}

/// Unknown to whoever sends mail, so that a body cannot be made to look like records.
fn random_salt() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}
