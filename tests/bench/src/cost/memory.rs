//! The most memory that processes have at a time.

use std::fs;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Group;

/// How often it is looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// Each how many looks what is shared is told apart: that takes long, and holds the processes up.
const PSS_PERIOD: usize = 8;
/// The first look of those: a load that lasts less than 2 s is not disturbed at all.
const FIRST_PSS: usize = 3;

/// Looks all the time.
pub(super) struct Peak {
    group: Group,
    stop: Sender<()>,
    watcher: JoinHandle<Memory>,
}

/// Octets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// With shared pages counted for each process.
    pub(super) rss: u64,
    /// With shared pages counted once.
    pub(super) pss: u64,
}

impl Memory {
    fn of(group: &Group) -> Self {
        let processes = group.processes();
        Self { rss: sum(&processes, resident), pss: sum(&processes, proportional) }
    }

    fn max(self, other: Self) -> Self {
        Self { rss: self.rss.max(other.rss), pss: self.pss.max(other.pss) }
    }
}

fn sum(processes: &[u32], of: impl Fn(u32) -> Option<u64>) -> u64 {
    processes.iter().filter_map(|&pid| of(pid)).sum()
}

impl Peak {
    /// Begins, with a whole look that is over when it returns.
    pub(super) fn watch(group: Group) -> Self {
        let (stop, stopped) = mpsc::channel();
        let mut peak = Memory::of(&group);
        let watched = group.clone();
        let watcher = thread::spawn(move || {
            for look in 0_usize.. {
                if stopped.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
                peak = peak.max(if look % PSS_PERIOD == FIRST_PSS {
                    Memory::of(&watched)
                } else {
                    Memory { rss: sum(&watched.processes(), resident), pss: 0 }
                });
            }
            peak
        });
        Self { group, stop, watcher }
    }

    /// Ends, with another whole look.
    pub(super) fn stop(self) -> Memory {
        drop(self.stop);
        let peak = self.watcher.join().unwrap_or_else(|panic| resume_unwind(panic));
        peak.max(Memory::of(&self.group))
    }
}

fn resident(pid: u32) -> Option<u64> {
    let pages: u64 =
        fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn proportional(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_shares_some() {
        let this = std::process::id();
        let (rss, pss) = (resident(this).unwrap(), proportional(this).unwrap());
        assert!(pss > 1 << 20 && pss <= rss + (8 << 20), "{pss} of {rss}");
    }
}
