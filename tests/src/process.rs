//! What a process uses of the machine.

use std::fs;
use std::io;
use std::path::Path;

/// What the kernel says of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Octets of memory that it holds now.
    pub memory: u64,
    /// The most that it ever held.
    pub most_memory: u64,
    /// Files, sockets and such that it has open, but for segments that are in use: a journal keeps some hundreds of them
    /// open, and more and more until then as it grows.
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
    let descriptors = open.filter(|file| !is_segment_in_use(file)).count();
    Ok(Usage { memory: octets("VmRSS:"), most_memory: octets("VmHWM:"), descriptors })
}

/// Whether an open file is a segment that is there. The kernel tells of one that was removed that it is `(deleted)`.
fn is_segment_in_use(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "seg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_open_files_only_segments_that_are_there_do_not_count() {
        assert!(is_segment_in_use(Path::new("/data/mda/log/0000000000000007.seg")));
        for other in ["/data/mda/log/0000000000000007.seg (deleted)", "/data/mda/rows/db", "socket:[25]"] {
            assert!(!is_segment_in_use(Path::new(other)), "{other}");
        }
    }
}
