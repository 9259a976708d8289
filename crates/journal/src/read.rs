//! Positioned reads of bodies.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::{
    body::{BodyRef, Extent},
    error::Error,
    segments::Segments,
};

/// Reads `range` of a body; see [`Journal::read`](crate::Journal::read).
pub(crate) fn read(segments: &Segments, body: &BodyRef, range: Range<u64>) -> Result<Bytes, Error> {
    let length = body.len();
    if range.start > range.end || range.end > length {
        return Err(Error::OutOfRange { start: range.start, end: range.end, length });
    }
    if let [extent] = body.extents() {
        return Ok(read_extent(segments, extent)?.slice(range.start as usize..range.end as usize));
    }
    let mut out = BytesMut::with_capacity((range.end - range.start) as usize);
    let mut start = 0;
    for extent in body.extents() {
        let end = start + u64::from(extent.length);
        if start < range.end && range.start < end {
            let bytes = read_extent(segments, extent)?;
            let from = range.start.saturating_sub(start) as usize;
            let to = (range.end.min(end) - start) as usize;
            out.extend_from_slice(&bytes[from..to]);
        }
        start = end;
    }
    Ok(out.freeze())
}

/// Reads and verifies one piece.
pub(crate) fn read_extent(segments: &Segments, extent: &Extent) -> Result<Bytes, Error> {
    let file = segments.file(extent.segment)?;
    let mut bytes = vec![0; extent.length as usize];
    let count = file.read_at(&mut bytes, u64::from(extent.offset)).map_err(Error::io("read", file.path()))?;
    if count < bytes.len() || crc32c::crc32c(&bytes) != extent.crc {
        let offset = u64::from(extent.offset);
        return Err(Error::Corrupt { segment: extent.segment, offset, reason: "checksum of a body" });
    }
    Ok(bytes.into())
}
