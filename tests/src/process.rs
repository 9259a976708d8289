//! What a process uses of the machine.

use std::fs;
use std::io;

/// What the kernel says of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Octets of memory that it holds now.
    pub memory: u64,
    /// The most that it ever held.
    pub most_memory: u64,
    /// Files, sockets and such that it has open.
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
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    Ok(Usage { memory: octets("VmRSS:"), most_memory: octets("VmHWM:"), descriptors })
}
