//! The journal beside the disk that it is on: what is left of the bound of every mail system that syncs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use journal::{Config, Journal, Record};
use tokio::runtime;
use tokio::task::JoinSet;

use super::{Extent, raw};
use crate::cost::Cost;
use crate::report::{Figures, Measured, Point};

/// How it is called.
pub(crate) const NAME: &str = "disk";
/// What is done and counted.
pub(crate) const ABOUT: &str = "messages appended to a journal by 16 tasks, as the services' sessions do it, beside plain writes of 16 at a time with one fdatasync; no mail system";

/// Who appends at the same time; as many are in one plain write.
const WRITERS: usize = 16;
/// How long they do.
const TIME: Duration = Duration::from_secs(2);
/// What a spool keeps beside a message.
const META: &[u8] = &[0; 160];

/// Measures both.
pub(crate) fn measure(dir: &Path, extent: Extent, round: u32) -> anyhow::Result<Vec<Measured>> {
    let sizes: &[usize] = if extent == Extent::Quick { &[4 << 10] } else { &[4 << 10, 64 << 10] };
    let mut all = Vec::new();
    for &size in sizes {
        for (system, rate) in [
            ("write and fdatasync", raw::rate(dir, size, WRITERS)?),
            ("journal", appended(dir, size).context("cannot append to a journal")?),
        ] {
            let figures = Figures::new(0, Cost::default()).rate_of("messages", rate);
            let point = Point::default().with("size", size as u64).with("writers", WRITERS as u64);
            all.push(Measured { case: NAME.to_owned(), point, system: system.to_owned(), round, figures });
        }
    }
    Ok(all)
}

/// Messages a second that a journal in `dir` takes.
fn appended(dir: &Path, size: usize) -> anyhow::Result<f64> {
    let dir = tempfile::tempdir_in(dir)?;
    let (journal, _) = Journal::open(Config::new(dir.path()), ())?;
    let message: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(size).collect();
    let record = Record { kind: 1, meta: META.into(), body: message.into() };
    let runtime = runtime::Builder::new_multi_thread().build()?;
    let began = Instant::now();
    let count = runtime.block_on(async {
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(append_until(journal.clone(), record.clone(), began + TIME));
        }
        let counts = writers.join_all().await;
        counts.into_iter().sum::<Result<u64, journal::Error>>()
    })?;
    let seconds = began.elapsed().as_secs_f64();
    journal.close()?;
    Ok(count as f64 / seconds)
}

/// Appends the record again and again, each time when the last one is durable. Says how often.
async fn append_until(journal: Journal, record: Record, end: Instant) -> Result<u64, journal::Error> {
    let mut count = 0;
    while Instant::now() < end {
        journal.append(record.clone()).await?;
        count += 1;
    }
    Ok(count)
}
