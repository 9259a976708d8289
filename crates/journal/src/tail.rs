//! Telling a torn tail from damage.
//!
//! A crash can tear only what was not synced yet. Every record says how far its segment was synced when it was
//! written, so the furthest such claim divides the last segment: before it everything was promised, and what
//! cannot be read is corruption; behind it lies at most what the last, interrupted sync covered, in which blocks
//! may be missing anywhere. There the log ends before the first record whose header, meta or body is not whole.

use crate::{
    blank,
    error::Error,
    file::SegmentFile,
    format::SEGMENT_HEADER,
    position::{Position, SegmentId},
    recovery::Stretch,
    scanner::{Scanned, Scanner, Step},
};

/// What the end of an unsealed segment looks like.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Where the log ends.
    pub(crate) end: u32,
    /// Whether the seal stands there: the crash came between writing it and cutting the file.
    pub(crate) sealed: bool,
    pub(crate) reach: SegmentId,
    pub(crate) last_sequence: u64,
    /// What is cut off.
    pub(crate) torn: Option<Stretch>,
    /// Damage before the point up to which the segment was synced.
    pub(crate) damage: Vec<Stretch>,
}

/// Finds the end of a segment that has no seal at the end of its file.
pub(crate) fn examine(file: &SegmentFile, id: SegmentId, salt: u32, length: u64) -> Result<Tail, Error> {
    let survey = survey(file, id, salt, length)?;
    let synced = u64::from(survey.synced_to);
    let (damage, behind): (Vec<_>, Vec<_>) =
        survey.damage.into_iter().partition(|stretch| u64::from(stretch.start.offset) < synced);
    let limit = behind.first().map_or(survey.end, |stretch| u64::from(stretch.start.offset));
    let mut tail =
        Tail { end: SEGMENT_HEADER, sealed: false, reach: id, last_sequence: 0, torn: None, damage };
    let torn_body = accept(file, id, salt, synced, limit, &mut tail)?;
    let reason = torn_body.or_else(|| behind.first().map(|stretch| stretch.reason));
    if let Some(last) = last_data(file, u64::from(tail.end))? {
        let start = Position { segment: id, offset: tail.end };
        let bytes = last + 1 - u64::from(tail.end);
        tail.torn = Some(Stretch { start, bytes, reason: reason.unwrap_or("behind the seal") });
    }
    Ok(tail)
}

#[derive(Debug)]
struct Survey {
    /// The furthest that any record says was synced.
    synced_to: u32,
    /// Where the walk ended.
    end: u64,
    damage: Vec<Stretch>,
}

/// Walks the whole segment, over damage too.
fn survey(file: &SegmentFile, id: SegmentId, salt: u32, length: u64) -> Result<Survey, Error> {
    let mut scanner = Scanner::new(file, id, salt, length);
    let mut survey = Survey { synced_to: SEGMENT_HEADER, end: length, damage: Vec::new() };
    loop {
        match scanner.step()? {
            Step::Record(record) => survey.synced_to = survey.synced_to.max(record.header.synced_to),
            // The seal is written after everything before it was synced.
            Step::Seal { end, .. } => {
                survey.end = end;
                return Ok(survey);
            }
            Step::Damaged(reason) => {
                let offset = scanner.offset();
                scanner.resync()?;
                let start = Position { segment: id, offset: offset as u32 };
                survey.damage.push(Stretch { start, bytes: scanner.offset() - offset, reason });
            }
            Step::End => return Ok(survey),
        }
    }
}

/// Walks what is before `limit`, verifying the bodies behind `synced`, and notes in `tail` how far everything is
/// whole. Says what is wrong with the body it stopped at, if it did.
fn accept(
    file: &SegmentFile,
    id: SegmentId,
    salt: u32,
    synced: u64,
    limit: u64,
    tail: &mut Tail,
) -> Result<Option<&'static str>, Error> {
    let mut scanner = Scanner::new(file, id, salt, limit);
    loop {
        match scanner.step()? {
            Step::Record(record) => {
                if u64::from(record.offset) >= synced && !body_is_whole(file, id, &record)? {
                    return Ok(Some("checksum of a body"));
                }
                let entry = record.entry.as_ref();
                let extents = entry.map_or(&[][..], |entry| entry.body.extents());
                tail.reach = extents.iter().map(|extent| extent.segment).fold(tail.reach, Ord::min);
                tail.last_sequence = record.header.sequence;
                tail.end = scanner.offset() as u32;
            }
            Step::Seal { reach, sequence, end } => {
                tail.reach = reach;
                tail.last_sequence = sequence;
                tail.end = end as u32;
                tail.sealed = true;
                return Ok(None);
            }
            Step::Damaged(_) => {
                if !scanner.resync()? {
                    return Ok(None);
                }
            }
            Step::End => return Ok(None),
        }
    }
}

fn body_is_whole(file: &SegmentFile, id: SegmentId, record: &Scanned) -> Result<bool, Error> {
    let Some(extent) = record.inline_body(id) else { return Ok(true) };
    let mut bytes = vec![0; extent.length as usize];
    let read = file.read_at(&mut bytes, u64::from(extent.offset)).map_err(Error::io("read", file.path()))?;
    Ok(read == bytes.len() && crc32c::crc32c(&bytes) == extent.crc)
}

/// Where the last byte that is not zero stands, at `from` or behind: reserved space reads as zeros.
pub(crate) fn last_data(file: &SegmentFile, from: u64) -> Result<Option<u64>, Error> {
    let mut window = vec![0; 1 << 20];
    let (mut offset, mut last) = (from, None);
    loop {
        let count = file.read_at(&mut window, offset).map_err(Error::io("read", file.path()))?;
        if count == 0 {
            return Ok(last);
        }
        if let Some(at) = blank::last_data(&window[..count]) {
            last = Some(offset + at as u64);
        }
        offset += count as u64;
    }
}
