//! What opening does: checks the segments, cuts off what a crash has torn, replays the rest.

use std::{fs, path::Path, sync::Arc};

use crate::{
    active::Active,
    applier::guarded,
    config::{Config, OnCorruption},
    error::Error,
    file::{self, SegmentFile, sync_names},
    follower::Follower,
    format::{BadSegmentHeader, SEAL_BYTES, SEGMENT_HEADER, SegmentHeader, VERSION},
    liveness::Liveness,
    position::{Position, SegmentId},
    recovery::{Recovery, Stretch},
    scanner::{Scanner, Step},
    segments::{Segment, Segments},
    tail::{Tail, examine, last_data},
};

/// Entries between two [`Follower::settle`] at replay.
const REPLAY_BATCH: u64 = 1024;

/// The state of a journal that was opened.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) report: Recovery,
    pub(crate) next_segment: SegmentId,
    pub(crate) next_sequence: u64,
}

/// Opens every segment of `config.dir`, and brings `follower` up to date.
pub(crate) fn recover<F: Follower>(
    config: &Config,
    segments: &Segments,
    liveness: &Liveness,
    follower: &mut F,
) -> Result<Recovered, Error> {
    let mut report = Recovery::default();
    let Registered { highest, sequence } = register(config, segments, &mut report)?;
    let newest = segments.newest();
    let next_sequence = match newest {
        Some(newest) => close_newest(config, segments, newest, sequence, &mut report)?,
        None => 1,
    };
    report.segments = segments.all().len();
    let next_segment = SegmentId(highest.map_or(1, |highest| highest.0 + 1));
    // Whatever stood in a quarantined segment, it was before the next one.
    let end = if highest == newest { segments.end() } else { Position { segment: next_segment, offset: 0 } };
    replay(config, segments, liveness, follower, end, &mut report)?;
    Ok(Recovered { report, next_segment, next_sequence })
}

#[derive(Debug)]
struct Registered {
    /// The highest segment number in use.
    highest: Option<SegmentId>,
    /// The last sequence before the newest segment.
    sequence: u64,
}

/// Registers every segment with a readable header.
///
/// All headers are read before anything is changed, so that a directory of a newer program stays untouched.
fn register(config: &Config, segments: &Segments, report: &mut Recovery) -> Result<Registered, Error> {
    let (mut readable, mut unfinished, mut highest) = (Vec::new(), Vec::new(), None);
    for id in list(&config.dir)? {
        let path = segments.path(id);
        let file = SegmentFile::open(&path, config).map_err(Error::io("open", &path))?;
        let length = file.length().map_err(Error::io("stat", &path))?;
        let end = u32::try_from(length).map_err(|_| corrupt(id, length, "segment over 4 GiB"))?;
        match read_header(&file, id)? {
            Header::Readable { salt } => readable.push((id, file, Segment::sealed(id, salt, end))),
            Header::Unfinished => {
                unfinished.push(path);
                continue;
            }
            Header::Damaged(reason) if config.on_corruption == OnCorruption::Quarantine => {
                let start = Position { segment: id, offset: 0 };
                tracing::error!(%id, reason, "damaged segment quarantined");
                report.quarantined.push(Stretch { start, bytes: length, reason });
            }
            Header::Damaged(reason) => return Err(corrupt(id, 0, reason)),
        }
        highest = Some(id);
    }
    for path in unfinished {
        file::remove(&path, config).map_err(Error::io("remove", &path))?;
        sync_names(config).map_err(Error::io("sync", &config.dir))?;
    }
    let newest = readable.last().map(|(id, ..)| *id);
    let mut last_sequence = 0;
    for (id, file, mut known) in readable {
        if Some(id) != newest {
            match read_seal(&file, id, known.salt, u64::from(known.end))? {
                Some((reach, sequence)) => {
                    known.reach = reach;
                    last_sequence = sequence;
                }
                None => damaged_segment(config, segments, &mut known, id, report)?,
            }
        }
        segments.insert(id, known);
    }
    Ok(Registered { highest, sequence: last_sequence })
}

/// An older segment that does not end in its seal has lost something: it is complete before a newer one is made.
fn damaged_segment(
    config: &Config,
    segments: &Segments,
    known: &mut Segment,
    id: SegmentId,
    report: &mut Recovery,
) -> Result<(), Error> {
    let reason = "no seal at the end";
    if config.on_corruption == OnCorruption::Refuse {
        return Err(corrupt(id, u64::from(known.end), reason));
    }
    known.quarantined = true;
    known.reach = unread_reach(segments, id)?;
    report.quarantined.push(Stretch { start: Position { segment: id, offset: known.end }, bytes: 0, reason });
    Ok(())
}

/// The oldest segment that records of `id` may refer to which cannot be read: the first that holds a piece of a body.
fn unread_reach(segments: &Segments, id: SegmentId) -> Result<SegmentId, Error> {
    for (older, known) in segments.all() {
        let file = segments.file(older)?;
        if older < id && may_hold_pieces(&file, older, &known)? {
            return Ok(older);
        }
    }
    Ok(id)
}

fn may_hold_pieces(file: &SegmentFile, id: SegmentId, known: &Segment) -> Result<bool, Error> {
    let mut scanner = Scanner::new(file, id, known.salt, u64::from(known.end));
    loop {
        match scanner.step()? {
            Step::Record(record) if record.entry.is_some() => {}
            Step::Record(_) | Step::Damaged(_) => return Ok(true),
            Step::Seal { .. } | Step::End => return Ok(false),
        }
    }
}

fn list(dir: &Path) -> Result<Vec<SegmentId>, Error> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let name = entry.map_err(Error::io("list", dir))?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        let number = stem.filter(|stem| stem.len() == 16).and_then(|stem| u64::from_str_radix(stem, 16).ok());
        ids.extend(number.map(SegmentId));
    }
    ids.sort_unstable();
    Ok(ids)
}

#[derive(Debug)]
enum Header {
    Readable {
        salt: u32,
    },
    /// None, and nothing behind it either: the crash came while the file was made. It never held a record.
    Unfinished,
    Damaged(&'static str),
}

fn read_header(file: &SegmentFile, id: SegmentId) -> Result<Header, Error> {
    let mut bytes = [0; SEGMENT_HEADER as usize];
    let read = file.read_at(&mut bytes, 0).map_err(Error::io("read", file.path()))?;
    match SegmentHeader::decode(&bytes[..read]) {
        Ok(header) if header.segment == id => Ok(Header::Readable { salt: header.salt }),
        Ok(_) => Ok(Header::Damaged("header of another segment")),
        Err(BadSegmentHeader::Newer(found)) => {
            Err(Error::NewerFormat { path: file.path().to_owned(), found, known: VERSION })
        }
        Err(BadSegmentHeader::Damaged) => Ok(match last_data(file, u64::from(SEGMENT_HEADER))? {
            None => Header::Unfinished,
            Some(_) => Header::Damaged("segment header"),
        }),
    }
}

/// What the seal at the end of a segment says: the oldest segment it reaches back to, and its sequence.
fn read_seal(
    file: &SegmentFile,
    id: SegmentId,
    salt: u32,
    length: u64,
) -> Result<Option<(SegmentId, u64)>, Error> {
    let Some(offset) = length.checked_sub(SEAL_BYTES as u64) else { return Ok(None) };
    match Scanner::new(file, id, salt, length).starting_at(offset).step()? {
        Step::Seal { reach, sequence, .. } => Ok(Some((reach, sequence))),
        _ => Ok(None),
    }
}

/// Makes the newest segment whole: what is in it is durable, ends in a seal and has nothing behind. Returns the
/// next free sequence, which is above `sequence_before` also if nothing is in it. Every step may be cut short by a crash and done again.
fn close_newest(
    config: &Config,
    segments: &Segments,
    id: SegmentId,
    sequence_before: u64,
    report: &mut Recovery,
) -> Result<u64, Error> {
    let file = segments.file(id)?;
    let known = segments.segment(id)?;
    let length = u64::from(known.end);
    if let Some((reach, sequence)) = read_seal(&file, id, known.salt, length)? {
        segments.update(id, |known| known.reach = reach);
        return Ok(sequence + 1);
    }
    let tail = examine(&file, id, known.salt, length)?;
    note_damage(config, segments, id, &tail, report)?;
    report.torn = tail.torn;
    if let Some(torn) = tail.torn {
        tracing::warn!(start = %torn.start, bytes = torn.bytes, reason = torn.reason, "torn tail cut off");
    }
    let mut reach = tail.reach;
    if !tail.damage.is_empty() && !tail.sealed {
        reach = reach.min(unread_reach(segments, id)?);
    }
    // A process that was killed leaves records that the kernel has and the disk has not.
    file.sync_all().map_err(|error| Error::SyncFailed(Arc::new(error)))?;
    let mut active =
        Active { id, file, salt: known.salt, end: tail.end, synced: tail.end, reach, allocated: length };
    let last_sequence = tail.last_sequence.max(sequence_before);
    if tail.sealed {
        active.cut(segments)?;
    } else {
        active.seal(segments, last_sequence + 1)?;
    }
    Ok(last_sequence + 2)
}

fn note_damage(
    config: &Config,
    segments: &Segments,
    id: SegmentId,
    tail: &Tail,
    report: &mut Recovery,
) -> Result<(), Error> {
    let Some(first) = tail.damage.first() else { return Ok(()) };
    if config.on_corruption == OnCorruption::Refuse {
        return Err(corrupt(id, u64::from(first.start.offset), first.reason));
    }
    segments.update(id, |known| known.quarantined = true);
    // The replay may begin behind it; it is listed here in any case, and there not again.
    report.quarantined.extend(&tail.damage);
    Ok(())
}

/// Hands the follower everything after the position it names, which is before the log's `end`.
fn replay<F: Follower>(
    config: &Config,
    segments: &Segments,
    liveness: &Liveness,
    follower: &mut F,
    end: Position,
    report: &mut Recovery,
) -> Result<(), Error> {
    let failed = |error: crate::FollowerError| Error::Follower(error.into());
    let from = guarded(|| follower.begin(liveness)).map_err(failed)?;
    if let Some(applied) = from
        && applied >= end
    {
        return Err(Error::FollowerAhead { applied, end });
    }
    for (id, known) in segments.all() {
        if from.is_some_and(|from| id < from.segment) {
            continue;
        }
        let file = segments.file(id)?;
        let mut scanner = Scanner::new(&file, id, known.salt, u64::from(known.end));
        loop {
            match scanner.step()? {
                Step::Record(record) => {
                    let Some(entry) = record.entry.filter(|entry| Some(entry.position) > from) else {
                        continue;
                    };
                    guarded(|| follower.apply(&entry)).map_err(failed)?;
                    report.replayed += 1;
                    if report.replayed.is_multiple_of(REPLAY_BATCH) {
                        guarded(|| follower.settle()).map_err(failed)?;
                    }
                }
                Step::Damaged(reason) => {
                    if config.on_corruption == OnCorruption::Refuse {
                        return Err(corrupt(id, scanner.offset(), reason));
                    }
                    skip_damage(segments, &mut scanner, id, reason, report)?;
                }
                Step::Seal { .. } | Step::End => break,
            }
        }
    }
    guarded(|| follower.settle()).map_err(failed)
}

fn skip_damage(
    segments: &Segments,
    scanner: &mut Scanner<'_>,
    id: SegmentId,
    reason: &'static str,
    report: &mut Recovery,
) -> Result<(), Error> {
    let offset = scanner.offset();
    scanner.resync()?;
    segments.update(id, |known| known.quarantined = true);
    let start = Position { segment: id, offset: offset as u32 };
    let stretch = Stretch { start, bytes: scanner.offset() - offset, reason };
    tracing::error!(%start, bytes = stretch.bytes, reason, "damaged stretch quarantined");
    if !report.quarantined.iter().any(|known| known.start == start) {
        report.quarantined.push(stretch);
    }
    Ok(())
}

fn corrupt(segment: SegmentId, offset: u64, reason: &'static str) -> Error {
    Error::Corrupt { segment, offset, reason }
}
