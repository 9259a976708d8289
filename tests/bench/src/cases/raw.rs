//! The disk by itself: the bound of every mail system that syncs before it answers.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// How long it is written.
const TIME: Duration = Duration::from_secs(2);
/// Where the file begins anew, so that it never fills the disk.
const LARGEST: u64 = 256 << 20;

/// Messages a second that the disk with the folder `dir` takes, if `group` of `size` octets each are written at a time and
/// synced with one fdatasync.
pub(crate) fn rate(dir: &Path, size: usize, group: usize) -> anyhow::Result<f64> {
    let failed = || format!("cannot write in {}", dir.display());
    let octets: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(size * group).collect();
    let mut file = tempfile::tempfile_in(dir).with_context(failed)?;
    // What the journal has too: a file whose length need not be written at each sync.
    reserve(&file).with_context(failed)?;
    let (began, mut messages, mut written) = (Instant::now(), 0, 0);
    while began.elapsed() < TIME {
        if written + octets.len() as u64 > LARGEST {
            file = tempfile::tempfile_in(dir).with_context(failed)?;
            reserve(&file).with_context(failed)?;
            written = 0;
        }
        file.write_all(&octets).with_context(failed)?;
        file.sync_data().with_context(failed)?;
        written += octets.len() as u64;
        messages += group;
    }
    Ok(messages as f64 / began.elapsed().as_secs_f64())
}

fn reserve(file: &File) -> std::io::Result<()> {
    Ok(rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, LARGEST)?)
}
