//! What a process uses of the machine.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the kernel says of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Octets of memory that it holds now.
    pub memory: u64,
    /// The most that it ever held.
    pub most_memory: u64,
    /// Files, sockets and such that it has open, but for segments that are in use, each once: a journal keeps some hundreds
    /// of them open, and more and more until then as it grows.
    pub descriptors: usize,
}

/// What a process uses now.
///
/// # Errors
/// If it is gone.
pub fn usage(pid: u32) -> io::Result<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let octets = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.unwrap_or(0) << 10
    };
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    let descriptors = count(open);
    Ok(Usage { memory: octets("VmRSS:"), most_memory: octets("VmHWM:"), descriptors })
}

/// Counts open files, but for segments that are there, each once. The kernel tells of one that was removed that it is
/// `(deleted)`.
fn count(open: impl Iterator<Item = PathBuf>) -> usize {
    let mut segments = HashSet::new();
    let is_segment = |file: &Path| file.extension().is_some_and(|extension| extension == "seg");
    open.filter(|file| !is_segment(file) || !segments.insert(file.clone())).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_open_files_segments_that_are_there_do_not_count_once() {
        let counted = |open: &[&str]| count(open.iter().map(PathBuf::from));
        assert_eq!(counted(&["/mda/journal/07.seg", "/mda/journal/08.seg", "/mta/spool/07.seg"]), 0);
        assert_eq!(counted(&["/mda/journal/07.seg", "/mda/journal/07.seg"]), 1);
        assert_eq!(counted(&["/mda/journal/07.seg (deleted)", "/mda/state/db", "socket:[25]"]), 3);
    }
}
