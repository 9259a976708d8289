//! The bytes on disk.
//!
//! A segment is a header of [`SEGMENT_HEADER`] bytes and then records without gaps, each aligned to [`ALIGN`]:
//!
//! ```text
//! segment   magic 8 | version 4 | segment id 8 | salt 4 | crc 4 | zeros to 64
//! record    crc 4 | kind 1 | flags 1 | check 2 | meta length 4 | body length 4 | body crc 4 |
//!           synced-to 4 | sequence 8 | meta | body | zeros to a multiple of 8
//! meta      [copied-from position 12] [count 4, extents 20 each] the owner's meta
//! ```
//!
//! Integers are little-endian (positions and extents big-endian, as in rows). `crc` is a CRC32C over all that
//! follows it up to the end of meta. `check` is a short one over the lengths, so that a search for the next record
//! after damage rejects most candidates without reading their meta. Both start from the segment's random salt and
//! the record's offset: bytes that only look like a record, because somebody sent them in a body, do not pass.
//!
//! `synced-to` is how far the segment was on stable storage when the record was written. It tells a torn tail
//! (nothing after it claims that it was synced) from damage to what was promised.

use bytes::Bytes;

use crate::{
    body::Extent,
    position::{Position, SegmentId},
    record::MAX_META_BYTES,
};

/// The format that is written, and the newest that is read.
pub(crate) const VERSION: u32 = 1;
/// Bytes before the first record.
pub(crate) const SEGMENT_HEADER: u32 = 64;
/// Bytes of a record before its meta.
pub(crate) const RECORD_HEADER: usize = 32;
/// Records start at multiples of this.
pub(crate) const ALIGN: usize = 8;
/// The longest body in one piece: every read verifies whole pieces, so a piece bounds what a short read costs.
pub(crate) const MAX_EXTENT_BYTES: usize = 1 << 20;
/// The most pieces of one body.
pub(crate) const MAX_EXTENTS: usize = 1 << 16;
/// Bytes of a seal record.
pub(crate) const SEAL_BYTES: usize = RECORD_HEADER + 8;

const MAGIC: [u8; 8] = *b"WAYPOSTJ";
const MAX_STORED_META: usize = Position::ENCODED_LEN + 4 + MAX_EXTENTS * Extent::ENCODED_LEN + MAX_META_BYTES;

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) segment: SegmentId,
    pub(crate) salt: u32,
}

/// Why a segment's header was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadSegmentHeader {
    Newer(u32),
    Damaged,
}

impl SegmentHeader {
    pub(crate) fn encode(self) -> [u8; SEGMENT_HEADER as usize] {
        let mut out = [0; SEGMENT_HEADER as usize];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..20].copy_from_slice(&self.segment.0.to_le_bytes());
        out[20..24].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc32c::crc32c(&out[..24]);
        out[24..28].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The version is looked at before the checksum: a newer format may checksum differently.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadSegmentHeader> {
        if bytes.len() < SEGMENT_HEADER as usize || bytes[..8] != MAGIC {
            return Err(BadSegmentHeader::Damaged);
        }
        let version = u32_at(bytes, 8);
        if version > VERSION {
            return Err(BadSegmentHeader::Newer(version));
        }
        if u32_at(bytes, 24) != crc32c::crc32c(&bytes[..24]) {
            return Err(BadSegmentHeader::Damaged);
        }
        Ok(Self { segment: SegmentId(u64_at(bytes, 12)), salt: u32_at(bytes, 20) })
    }
}

/// What sort of record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// The owner's record, its body inline or in extents.
    Entry,
    /// A piece of a body, to be listed by a later entry.
    Chunk,
    /// The last record of a segment; its meta is the oldest segment that entries of this one reach back to.
    Seal,
}

const TYPE_MASK: u8 = 0x0f;
const COPIED: u8 = 0x10;
const EXTENTS: u8 = 0x20;

/// The fixed part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) crc: u32,
    pub(crate) kind: u8,
    pub(crate) kind_of: Type,
    pub(crate) copied: bool,
    pub(crate) extents: bool,
    pub(crate) meta_length: u32,
    pub(crate) body_length: u32,
    pub(crate) body_crc: u32,
    pub(crate) synced_to: u32,
    pub(crate) sequence: u64,
}

impl RecordHeader {
    /// Decodes a header whose short check and bounds hold. The full checksum needs the meta: [`checksum`].
    pub(crate) fn decode(bytes: &[u8; RECORD_HEADER], salt: u32, offset: u32) -> Option<Self> {
        if u16::from_le_bytes([bytes[6], bytes[7]]) != short_check(bytes, salt, offset) {
            return None;
        }
        let kind_of = match bytes[5] & TYPE_MASK {
            0 => Type::Entry,
            1 => Type::Chunk,
            2 => Type::Seal,
            _ => return None,
        };
        let header = Self {
            crc: u32_at(bytes, 0),
            kind: bytes[4],
            kind_of,
            copied: bytes[5] & COPIED != 0,
            extents: bytes[5] & EXTENTS != 0,
            meta_length: u32_at(bytes, 8),
            body_length: u32_at(bytes, 12),
            body_crc: u32_at(bytes, 16),
            synced_to: u32_at(bytes, 20),
            sequence: u64_at(bytes, 24),
        };
        let bounded = header.meta_length as usize <= MAX_STORED_META
            && header.body_length as usize <= MAX_EXTENT_BYTES
            && bytes[5] & !(TYPE_MASK | COPIED | EXTENTS) == 0;
        bounded.then_some(header)
    }

    /// Bytes that the record takes in the file, padding included.
    pub(crate) fn stored_length(&self) -> u64 {
        stored_length(self.meta_length as usize, self.body_length as usize)
    }
}

/// Bytes that a record with such parts takes in the file.
pub(crate) fn stored_length(meta: usize, body: usize) -> u64 {
    (RECORD_HEADER + meta + body).next_multiple_of(ALIGN) as u64
}

/// The checksum of a record's header and meta.
pub(crate) fn checksum(header: &[u8; RECORD_HEADER], meta: &[u8], salt: u32, offset: u32) -> u32 {
    let crc = crc32c::crc32c_append(seed(salt, offset), &header[4..]);
    crc32c::crc32c_append(crc, meta)
}

fn short_check(header: &[u8; RECORD_HEADER], salt: u32, offset: u32) -> u16 {
    let crc = crc32c::crc32c_append(!seed(salt, offset), &header[8..]);
    (crc ^ (crc >> 16)) as u16
}

fn seed(salt: u32, offset: u32) -> u32 {
    salt ^ offset
}

/// A record about to be written, all but its place.
#[derive(Debug)]
pub(crate) struct Encode<'a> {
    pub(crate) kind: u8,
    pub(crate) kind_of: Type,
    pub(crate) copied_from: Option<Position>,
    /// Where the body lies if it is not inline.
    pub(crate) extents: &'a [Extent],
    pub(crate) meta: &'a [u8],
    pub(crate) body_length: usize,
    pub(crate) body_crc: u32,
}

/// Where a record is written and what the log knows then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) salt: u32,
    pub(crate) offset: u32,
    pub(crate) synced_to: u32,
    pub(crate) sequence: u64,
}

impl Encode<'_> {
    pub(crate) fn stored_length(&self) -> u64 {
        stored_length(self.stored_meta(), self.body_length)
    }

    fn stored_meta(&self) -> usize {
        let copied = self.copied_from.map_or(0, |_| Position::ENCODED_LEN);
        let extents = if self.extents.is_empty() { 0 } else { 4 + self.extents.len() * Extent::ENCODED_LEN };
        copied + extents + self.meta.len()
    }

    /// Appends header and meta to `out`; the body and its padding follow them in the file.
    pub(crate) fn encode(&self, place: Place, out: &mut Vec<u8>) {
        let start = out.len();
        let mut flags = self.kind_of as u8;
        flags |= if self.copied_from.is_some() { COPIED } else { 0 };
        flags |= if self.extents.is_empty() { 0 } else { EXTENTS };
        out.extend_from_slice(&[0, 0, 0, 0, self.kind, flags, 0, 0]);
        out.extend_from_slice(&(self.stored_meta() as u32).to_le_bytes());
        out.extend_from_slice(&(self.body_length as u32).to_le_bytes());
        out.extend_from_slice(&self.body_crc.to_le_bytes());
        out.extend_from_slice(&place.synced_to.to_le_bytes());
        out.extend_from_slice(&place.sequence.to_le_bytes());
        if let Some(position) = self.copied_from {
            out.extend_from_slice(&position.to_bytes());
        }
        if !self.extents.is_empty() {
            out.extend_from_slice(&(self.extents.len() as u32).to_le_bytes());
            for extent in self.extents {
                extent.encode(out);
            }
        }
        out.extend_from_slice(self.meta);
        let Some((header, meta)) = out[start..].split_first_chunk_mut::<RECORD_HEADER>() else { return };
        let check = short_check(header, place.salt, place.offset);
        header[6..8].copy_from_slice(&check.to_le_bytes());
        let crc = checksum(header, meta, place.salt, place.offset);
        header[..4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// The meta of an entry, taken apart.
#[derive(Debug)]
pub(crate) struct StoredMeta {
    pub(crate) copied_from: Option<Position>,
    pub(crate) extents: Vec<Extent>,
    pub(crate) meta: Bytes,
}

impl StoredMeta {
    /// `None` if the parts that the header announces are not there.
    pub(crate) fn decode(header: &RecordHeader, mut stored: Bytes) -> Option<Self> {
        let mut copied_from = None;
        if header.copied {
            let position = *stored.first_chunk::<{ Position::ENCODED_LEN }>()?;
            copied_from = Some(Position::from_bytes(position));
            drop(stored.split_to(Position::ENCODED_LEN));
        }
        let mut extents = Vec::new();
        if header.extents {
            let count = u32::from_le_bytes(*stored.first_chunk::<4>()?) as usize;
            drop(stored.split_to(4));
            let length = count.checked_mul(Extent::ENCODED_LEN).filter(|&length| length <= stored.len())?;
            let listed = stored.split_to(length);
            extents = listed.chunks(Extent::ENCODED_LEN).map(Extent::decode).collect::<Option<_>>()?;
        }
        Some(Self { copied_from, extents, meta: stored })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
