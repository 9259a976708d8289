//! Getting the space of dead records back.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use failpoint::{Point, hit};

use crate::{
    append::Append,
    body::BodyRef,
    error::Error,
    held::is_held,
    journal::Shared,
    position::SegmentId,
    queue::{Item, Limits, Outgoing, OutgoingBody, Pieces},
    read::read_extent,
    record::{Entry, check_meta},
    scanner::{Scanner, Step},
    segments::Segment,
};

/// Bytes of copies that may be on their way at once.
const COPYING_BYTES: u64 = 8 << 20;

/// Whoever waits for another reclaim looks this often whether the files are held meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What becomes of a record whose segment is reclaimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody needs it.
    Drop,
    /// It is copied forward as it is, body and all.
    Keep,
    /// It is copied forward with a new meta.
    Rewrite(Bytes),
}

/// A segment that is worth reclaiming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The segment.
    pub segment: SegmentId,
    /// Bytes its file takes.
    pub bytes: u64,
    /// Bytes noted live in it.
    pub live: u64,
}

/// What reclaiming a segment did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Bytes of the file that was removed.
    pub freed: u64,
    /// Records copied forward.
    pub kept: u64,
    /// Bytes of their bodies.
    pub copied: u64,
    /// Records dropped.
    pub dropped: u64,
}

/// Sealed segments with at most the fraction `threshold` live, the deadest first.
pub(crate) fn candidates<T>(shared: &Shared<T>, threshold: f64) -> Vec<Candidate> {
    let all = shared.segments.all();
    let obstacles = Obstacles::new(&all);
    let mut candidates: Vec<_> = all
        .iter()
        .filter(|(id, known)| obstacles.to_removing(*id, known).is_none())
        .map(|&(segment, known)| Candidate {
            segment,
            bytes: u64::from(known.end),
            live: shared.liveness.live_bytes(segment),
        })
        .filter(|candidate| candidate.live as f64 <= candidate.bytes as f64 * threshold)
        .collect();
    candidates.sort_by(|a, b| (a.live * b.bytes, a.segment).cmp(&(b.live * a.bytes, b.segment)));
    candidates
}

/// Empties a segment and removes it; see [`Journal::reclaim`](crate::Journal::reclaim).
pub(crate) fn reclaim<T: Send + 'static>(
    shared: &Shared<T>,
    id: SegmentId,
    mut decide: impl FnMut(&Entry) -> Verdict,
) -> Result<Reclaimed, Error> {
    let _one_at_a_time = loop {
        if is_held(shared) {
            return Err(Error::Busy { segment: id, reason: "the segments are being copied" });
        }
        // Whoever holds the files has it as long, which may be hours.
        if let Some(guard) = shared.reclaiming.try_lock_for(LOOK_AGAIN) {
            break guard;
        }
    };
    removable(shared, id)?;
    // The owner can decide only about what it knows of.
    shared.barrier(false)?;
    let known = removable(shared, id)?;
    hit(Point::JournalCopyBefore);
    let copied = copy_living(shared, id, known, &mut decide);
    hit(Point::JournalCopyAfter);
    if let Err(Error::Corrupt { .. }) = &copied {
        // Removing it would make the damage final. A later segment whose damage was met holds it back by itself; else
        // it is a body that is damaged, of a record that is to be kept.
        if removable(shared, id).is_ok() {
            shared.segments.update(id, |known| known.quarantined = true);
        }
    }
    let reclaimed = copied?;
    // Once the segment is gone no replay can bring its entries back.
    shared.barrier(true)?;
    shared.segments.remove(id)?;
    shared.liveness.forget(id);
    Ok(reclaimed)
}

/// Copies forward what lives in the segment, and waits until the copies are durable and applied.
fn copy_living<T: Send + 'static>(
    shared: &Shared<T>,
    id: SegmentId,
    known: Segment,
    decide: &mut impl FnMut(&Entry) -> Verdict,
) -> Result<Reclaimed, Error> {
    let mut copier = Copier::new(shared, known);
    visit(shared, id, known, |entry| copier.visit(entry, decide))?;
    for (later, known) in shared.segments.all() {
        if later > id && known.reach <= id {
            visit(shared, later, known, |entry| {
                let here = entry.body.extents().iter().any(|extent| extent.segment == id);
                if here { copier.visit(entry, decide) } else { Ok(()) }
            })?;
        }
    }
    copier.finish()
}

fn removable<T>(shared: &Shared<T>, id: SegmentId) -> Result<Segment, Error> {
    let known = shared.segments.segment(id)?;
    match Obstacles::new(&shared.segments.all()).to_removing(id, &known) {
        Some(reason) => Err(Error::Busy { segment: id, reason }),
        None => Ok(known),
    }
}

/// What keeps segments from being removed.
struct Obstacles {
    newest: Option<SegmentId>,
    /// The segments that hold damage.
    damaged: Vec<(SegmentId, Segment)>,
}

impl Obstacles {
    fn new(all: &[(SegmentId, Segment)]) -> Self {
        let newest = all.last().map(|(id, _)| *id);
        Self { newest, damaged: all.iter().filter(|(_, known)| known.quarantined).copied().collect() }
    }

    fn to_removing(&self, id: SegmentId, known: &Segment) -> Option<&'static str> {
        // Among what cannot be read there may be a record with a body in this one, whose owner still knows of it.
        let needed = |(later, damaged): &(SegmentId, Segment)| *later > id && damaged.reach <= id;
        match known {
            _ if self.newest == Some(id) => Some("it is the newest"),
            Segment { sealed: false, .. } => Some("it is being written"),
            Segment { quarantined: true, .. } => Some("it holds damaged records"),
            Segment { pins: 1.., .. } => Some("a body in it is being written"),
            _ if self.damaged.iter().any(needed) => Some("a damaged segment may refer to it"),
            _ => None,
        }
    }
}

/// Calls `visit` for each entry of a segment; damage is an error, and noted.
fn visit<T>(
    shared: &Shared<T>,
    id: SegmentId,
    known: Segment,
    mut visit: impl FnMut(Entry) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = shared.segments.file(id)?;
    let mut scanner = Scanner::new(&file, id, known.salt, u64::from(known.end));
    loop {
        match scanner.step()? {
            Step::Record(record) => record.entry.map_or(Ok(()), &mut visit)?,
            Step::Seal { .. } | Step::End => return Ok(()),
            Step::Damaged(reason) => {
                shared.segments.update(id, |known| known.quarantined = true);
                return Err(Error::Corrupt { segment: id, offset: scanner.offset(), reason });
            }
        }
    }
}

/// Appends copies, a bounded number of bytes at a time.
struct Copier<'a, T> {
    shared: &'a Shared<T>,
    reclaimed: Reclaimed,
    copying: VecDeque<(u64, Append<T>)>,
    copying_bytes: u64,
}

impl<'a, T: Send + 'static> Copier<'a, T> {
    fn new(shared: &'a Shared<T>, known: Segment) -> Self {
        let reclaimed = Reclaimed { freed: u64::from(known.end), ..Reclaimed::default() };
        Self { shared, reclaimed, copying: VecDeque::new(), copying_bytes: 0 }
    }

    fn visit(&mut self, entry: Entry, decide: &mut impl FnMut(&Entry) -> Verdict) -> Result<(), Error> {
        match decide(&entry) {
            Verdict::Drop => {
                self.reclaimed.dropped += 1;
                Ok(())
            }
            Verdict::Keep => self.copy(entry),
            Verdict::Rewrite(meta) => self.copy(Entry { meta, ..entry }),
        }
    }

    fn copy(&mut self, entry: Entry) -> Result<(), Error> {
        check_meta(&entry.meta)?;
        let length = entry.body.len();
        let (completion, append) = Append::waiting();
        let bytes = length + entry.meta.len() as u64;
        let body = self.copy_body(&entry.body)?;
        let (kind, meta, copied_from) = (entry.kind, entry.meta, Some(entry.position));
        let outgoing = Outgoing { kind, meta, body, copied_from, completion: Some(completion) };
        self.shared.queue.push(vec![Item::Entry(outgoing)], Limits::Reclaim)?;
        self.reclaimed.kept += 1;
        self.reclaimed.copied += length;
        self.copying_bytes += bytes;
        self.copying.push_back((bytes, append));
        while self.copying_bytes > COPYING_BYTES {
            let Some((done, append)) = self.copying.pop_front() else { break };
            append.wait()?;
            self.copying_bytes -= done;
        }
        Ok(())
    }

    /// Reads a body, verifying it, and sends all but the last step of its copy on its way.
    fn copy_body(&self, body: &BodyRef) -> Result<OutgoingBody, Error> {
        let segments = &self.shared.segments;
        if let [] | [_] = body.extents() {
            let bytes =
                body.extents().first().map_or(Ok(Bytes::new()), |extent| read_extent(segments, extent))?;
            return Ok(OutgoingBody::inline(bytes));
        }
        let pieces = Pieces::new(segments);
        let mut queued = 0;
        for extent in body.extents() {
            let bytes = read_extent(segments, extent)?;
            queued += bytes.len() as u64;
            let chunk = Item::chunk(bytes, &pieces, None);
            self.shared.queue.push(vec![chunk], Limits::Reclaim)?;
            if queued >= COPYING_BYTES {
                self.shared.barrier(false)?;
                queued = 0;
            }
        }
        Ok(OutgoingBody::Pieces(Arc::clone(&pieces)))
    }

    fn finish(self) -> Result<Reclaimed, Error> {
        for (_, append) in self.copying {
            append.wait()?;
        }
        Ok(self.reclaimed)
    }
}
