//! References to bodies, as owners keep them in their rows.

use crate::{format::MAX_EXTENT_BYTES, position::SegmentId};

/// A piece of a body that lies contiguously in one segment, with the checksum it is verified by on every read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// The segment that holds the bytes.
    pub segment: SegmentId,
    /// Bytes from the start of the segment file to the first byte of the piece.
    pub offset: u32,
    /// Bytes in the piece; never zero.
    pub length: u32,
    /// CRC32C of the piece.
    pub crc: u32,
}

impl Extent {
    /// Length of the encoded form.
    pub(crate) const ENCODED_LEN: usize = 20;

    /// Bytes from the start of the segment file to the end of the piece.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.segment.0.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(&self.crc.to_be_bytes());
    }

    /// Decodes one extent; `None` unless `bytes` is exactly one, of a length that one may have.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::ENCODED_LEN] = bytes.try_into().ok()?;
        let (segment, rest) = bytes.split_first_chunk::<8>()?;
        let (offset, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (crc, _) = rest.split_first_chunk::<4>()?;
        let extent = Self {
            segment: SegmentId(u64::from_be_bytes(*segment)),
            offset: u32::from_be_bytes(*offset),
            length: u32::from_be_bytes(*length),
            crc: u32::from_be_bytes(*crc),
        };
        (1..=MAX_EXTENT_BYTES).contains(&(extent.length as usize)).then_some(extent)
    }
}

impl From<Extent> for BodyRef {
    /// The reference of a body in one piece.
    fn from(extent: Extent) -> Self {
        Self::new([extent])
    }
}

/// Where a record's body lies: one extent when it was written in one piece, several when it came through a
/// [`BodyWriter`](crate::BodyWriter), none when it is empty.
///
/// A reference is good until its record is reclaimed; reading it afterwards gives
/// [`Error::Gone`](crate::Error::Gone), and the owner looks its row up again to find the copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BodyRef {
    extents: Box<[Extent]>,
}

impl BodyRef {
    pub(crate) fn new(extents: impl Into<Box<[Extent]>>) -> Self {
        Self { extents: extents.into() }
    }

    /// The pieces, in the body's order.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// Bytes in the body.
    pub fn len(&self) -> u64 {
        self.extents.iter().map(|extent| u64::from(extent.length)).sum()
    }

    /// Whether the body has no bytes.
    pub fn is_empty(&self) -> bool {
        self.extents.is_empty()
    }

    /// A compact form for a row: 20 bytes for each extent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.extents.len() * Extent::ENCODED_LEN);
        for extent in &self.extents {
            extent.encode(&mut out);
        }
        out
    }

    /// The inverse of [`BodyRef::to_bytes`]; `None` if `bytes` is not such a form.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let chunks = bytes.chunks(Extent::ENCODED_LEN);
        chunks.map(Extent::decode).collect::<Option<Vec<_>>>().map(Self::new)
    }
}
