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

/// Bytes between two pieces that are read with them: cheaper than a read of its own.
const GAP: u64 = 8 << 10;
/// The most bytes that are read at once for several pieces.
const RUN: u64 = 1 << 20;

/// Reads several bodies; see [`Journal::read_many`](crate::Journal::read_many).
pub(crate) fn read_many(segments: &Segments, wanted: &[(BodyRef, Range<u64>)]) -> Vec<Result<Bytes, Error>> {
    let mut results: Vec<_> = wanted.iter().map(|_| None).collect();
    let mut pieces: Vec<(usize, Extent)> = Vec::with_capacity(wanted.len());
    for (place, (body, range)) in wanted.iter().enumerate() {
        match body.extents() {
            [extent] if range.start <= range.end && range.end <= body.len() => pieces.push((place, *extent)),
            _ => results[place] = Some(read(segments, body, range.clone())),
        }
    }
    pieces.sort_unstable_by_key(|(_, extent)| (extent.segment, extent.offset));
    let mut rest = pieces.as_slice();
    while !rest.is_empty() {
        let (run, behind) = rest.split_at(run_length(rest));
        rest = behind;
        for (&(place, _), read) in run.iter().zip(read_run(segments, run)) {
            let (start, end) = (wanted[place].1.start as usize, wanted[place].1.end as usize);
            results[place] = Some(read.map(|bytes| bytes.slice(start..end)));
        }
    }
    // Each has a result by now.
    results.into_iter().map(|result| result.unwrap_or(Err(Error::Closed))).collect()
}

/// How many of the first of these, in the order of the disk, are read at once.
fn run_length(pieces: &[(usize, Extent)]) -> usize {
    let Some((_, first)) = pieces.first() else { return 0 };
    let near = |next: &Extent, end: u64| {
        next.segment == first.segment
            && u64::from(next.offset) <= end + GAP
            && next.end() - u64::from(first.offset) <= RUN
    };
    let mut end = first.end();
    let more = pieces[1..].iter().take_while(|(_, next)| {
        let near = near(next, end);
        end = end.max(next.end());
        near
    });
    1 + more.count()
}

/// Reads and verifies pieces that lie near each other, in the order of the disk. What is wrong with one is no other's
/// matter.
fn read_run(segments: &Segments, run: &[(usize, Extent)]) -> Vec<Result<Bytes, Error>> {
    let Some((_, first)) = run.first() else { return Vec::new() };
    let end = run.iter().map(|(_, extent)| extent.end()).max().unwrap_or_default();
    let start = u64::from(first.offset);
    let read = segments
        .file(first.segment)
        .and_then(|file| file.read((end - start) as usize, start).map_err(Error::io("read", file.path())));
    let bytes = match read {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) => return run.iter().map(|_| Err(error.clone())).collect(),
    };
    let piece = |(_, extent): &(usize, Extent)| {
        let from = (u64::from(extent.offset) - start) as usize;
        let to = (from + extent.length as usize).min(bytes.len());
        verified(extent, bytes.slice(from.min(to)..to))
    };
    run.iter().map(piece).collect()
}

/// Reads and verifies one piece.
pub(crate) fn read_extent(segments: &Segments, extent: &Extent) -> Result<Bytes, Error> {
    let file = segments.file(extent.segment)?;
    let read = file.read(extent.length as usize, u64::from(extent.offset));
    verified(extent, read.map_err(Error::io("read", file.path()))?.into())
}

fn verified(extent: &Extent, bytes: Bytes) -> Result<Bytes, Error> {
    if bytes.len() < extent.length as usize || crc32c::crc32c(&bytes) != extent.crc {
        let offset = u64::from(extent.offset);
        return Err(Error::Corrupt { segment: extent.segment, offset, reason: "checksum of a body" });
    }
    Ok(bytes)
}
