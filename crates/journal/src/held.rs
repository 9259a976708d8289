//! The journal's files as of one moment, for whoever copies them.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use parking_lot::MutexGuard;

use crate::{error::Error, journal::Shared, position::SegmentId};

/// The segments as they were when they were asked for. As long as it lives none of them is removed; appends go on.
#[derive(Debug)]
pub struct Held<'a> {
    segments: Vec<HeldSegment>,
    holders: &'a AtomicUsize,
    _no_reclaim: MutexGuard<'a, ()>,
}

/// A segment file that may be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSegment {
    /// Its number.
    pub segment: SegmentId,
    /// Its file.
    pub path: PathBuf,
    /// Octets of the file that are durable: what stands behind them is not to be copied.
    pub bytes: u64,
    /// The file never changes any more. Only the newest may be otherwise.
    pub sealed: bool,
}

impl Held<'_> {
    /// In order.
    pub fn segments(&self) -> &[HeldSegment] {
        &self.segments
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.holders.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) fn is_held<T>(shared: &Shared<T>) -> bool {
    shared.holders.load(Ordering::Relaxed) > 0
}

/// Waits until all that was appended is durable and applied, and holds the segments.
pub(crate) fn hold<T>(shared: &Shared<T>) -> Result<Held<'_>, Error> {
    shared.holders.fetch_add(1, Ordering::Relaxed);
    let no_reclaim = shared.reclaiming.lock();
    let mut held = Held { segments: Vec::new(), holders: &shared.holders, _no_reclaim: no_reclaim };
    shared.barrier(false)?;
    let all = shared.segments.all().into_iter();
    held.segments = all
        .map(|(segment, known)| HeldSegment {
            segment,
            path: shared.segments.path(segment),
            bytes: known.end.into(),
            sealed: known.sealed,
        })
        .collect();
    Ok(held)
}
