//! Walking a segment's records, metas only.

use bytes::Bytes;

use crate::{
    blank::leading_zeros,
    body::{BodyRef, Extent},
    error::Error,
    file::SegmentFile,
    format::{ALIGN, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, StoredMeta, Type, checksum},
    position::{Position, SegmentId},
    record::Entry,
};

/// The window that is read for a header whose neighbours are far away (bodies between).
const SPARSE_WINDOW: usize = 4 << 10;
/// The window for records close together, and for the search after damage.
const DENSE_WINDOW: usize = 256 << 10;

/// Walks the records of one segment up to an end, without trusting anything that its checksum does not cover.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    file: &'a SegmentFile,
    segment: SegmentId,
    salt: u32,
    offset: u64,
    end: u64,
    last_sequence: u64,
    window: Vec<u8>,
    window_start: u64,
}

/// What stands at a place of a segment.
#[derive(Debug)]
pub(crate) enum Step {
    Record(Scanned),
    /// The seal; nothing follows it.
    Seal {
        reach: SegmentId,
        sequence: u64,
        end: u64,
    },
    /// No readable record.
    Damaged(&'static str),
    /// The end that was given.
    End,
}

/// A record whose header and meta are intact.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) offset: u32,
    pub(crate) header: RecordHeader,
    /// `None` for a chunk.
    pub(crate) entry: Option<Entry>,
}

impl Scanned {
    /// Where the record's own body lies, if it has one.
    pub(crate) fn inline_body(&self, segment: SegmentId) -> Option<Extent> {
        let header = &self.header;
        let offset = self.offset + RECORD_HEADER as u32 + header.meta_length;
        (header.body_length > 0).then_some(Extent {
            segment,
            offset,
            length: header.body_length,
            crc: header.body_crc,
        })
    }
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(file: &'a SegmentFile, segment: SegmentId, salt: u32, end: u64) -> Self {
        Self {
            file,
            segment,
            salt,
            offset: u64::from(SEGMENT_HEADER),
            end,
            last_sequence: 0,
            window: Vec::new(),
            window_start: 0,
        }
    }

    /// The same, from a place where a record starts.
    pub(crate) fn starting_at(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Where the next step looks.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads what stands here and goes on behind it; stays on damage.
    pub(crate) fn step(&mut self) -> Result<Step, Error> {
        if self.offset >= self.end {
            return Ok(Step::End);
        }
        let step = self.look()?;
        match &step {
            Step::Record(record) => {
                self.last_sequence = record.header.sequence;
                self.offset += record.header.stored_length();
            }
            Step::Seal { end, .. } => {
                self.offset = *end;
                self.end = *end;
            }
            Step::Damaged(_) | Step::End => {}
        }
        Ok(step)
    }

    /// Goes on to the next readable record after damage; false if there is none.
    pub(crate) fn resync(&mut self) -> Result<bool, Error> {
        while self.offset + ((ALIGN + RECORD_HEADER) as u64) <= self.end {
            self.offset += ALIGN as u64;
            let window = self.bytes(self.offset, RECORD_HEADER, DENSE_WINDOW)?;
            let blank = leading_zeros(window);
            if blank >= RECORD_HEADER {
                // The step of the loop's next turn goes to the last blank word, and so over no record's begin.
                self.offset += ((blank / ALIGN - 1) * ALIGN) as u64;
                continue;
            }
            if matches!(self.look()?, Step::Record(_) | Step::Seal { .. }) {
                return Ok(true);
            }
        }
        self.offset = self.end;
        Ok(false)
    }

    fn look(&mut self) -> Result<Step, Error> {
        let (salt, offset) = (self.salt, self.offset);
        let Ok(place) = u32::try_from(offset) else { return Ok(Step::Damaged("segment over 4 GiB")) };
        let near = offset <= self.window_start + self.window.len() as u64 + SPARSE_WINDOW as u64;
        let window = if near && !self.window.is_empty() { DENSE_WINDOW / 4 } else { SPARSE_WINDOW };
        let Some(raw) = self.bytes(offset, RECORD_HEADER, window)?.first_chunk::<RECORD_HEADER>().copied()
        else {
            return Ok(Step::Damaged("cut off in a record's header"));
        };
        let Some(header) = RecordHeader::decode(&raw, salt, place) else {
            return Ok(Step::Damaged("no record header"));
        };
        if header.sequence <= self.last_sequence {
            return Ok(Step::Damaged("sequence does not grow"));
        }
        if offset + header.stored_length() > self.end {
            return Ok(Step::Damaged("cut off in a record"));
        }
        let length = header.meta_length as usize;
        let meta = self.bytes(offset + RECORD_HEADER as u64, length, length)?;
        if meta.len() < length || checksum(&raw, &meta[..length], salt, place) != header.crc {
            return Ok(Step::Damaged("checksum of header and meta"));
        }
        let meta = Bytes::copy_from_slice(&meta[..length]);
        Ok(self.interpret(place, header, meta))
    }

    fn interpret(&self, offset: u32, header: RecordHeader, meta: Bytes) -> Step {
        let mut scanned = Scanned { offset, header, entry: None };
        match header.kind_of {
            Type::Chunk => {}
            Type::Seal => {
                let Some(reach) = meta.first_chunk::<8>() else {
                    return Step::Damaged("seal without its meta");
                };
                let end = u64::from(offset) + header.stored_length();
                let reach = SegmentId(u64::from_le_bytes(*reach));
                return Step::Seal { reach, sequence: header.sequence, end };
            }
            Type::Entry => {
                let Some(stored) = StoredMeta::decode(&header, meta) else {
                    return Step::Damaged("meta shorter than it says");
                };
                let body = match scanned.inline_body(self.segment) {
                    Some(extent) => BodyRef::new([extent]),
                    None => BodyRef::new(stored.extents),
                };
                scanned.entry = Some(Entry {
                    position: Position { segment: self.segment, offset },
                    sequence: header.sequence,
                    kind: header.kind,
                    meta: stored.meta,
                    body,
                    copied_from: stored.copied_from,
                });
            }
        }
        Step::Record(scanned)
    }

    /// At least `length` bytes at `offset`, fewer only at the end of the file; reads `window` bytes when it reads.
    fn bytes(&mut self, offset: u64, length: usize, window: usize) -> Result<&[u8], Error> {
        let held = offset >= self.window_start
            && offset + length as u64 <= self.window_start + self.window.len() as u64;
        if !held {
            self.window.resize(length.max(window), 0);
            let read = self.file.read_at(&mut self.window, offset);
            let count = read.map_err(Error::io("read", self.file.path()))?;
            self.window.truncate(count);
            self.window_start = offset;
        }
        Ok(&self.window[(offset - self.window_start) as usize..])
    }
}
