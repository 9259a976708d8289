//! The most memory that processes have at a time.

use std::fs;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Group;

/// How often it is looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// Each how many looks what is shared is told apart: that takes long, and holds the processes up.
const PSS_PERIOD: usize = 8;

/// Looks all the time.
pub(super) struct Peak {
    stop: Sender<()>,
    watcher: JoinHandle<(u64, u64)>,
}

impl Peak {
    /// Begins.
    pub(super) fn watch(group: Group) -> Self {
        let (stop, stopped) = mpsc::channel();
        let watcher = thread::spawn(move || {
            let (mut rss, mut pss) = (0, 0);
            for look in 0_usize.. {
                let processes = group.processes();
                rss = rss.max(processes.iter().filter_map(|&pid| resident(pid)).sum());
                if look.is_multiple_of(PSS_PERIOD) {
                    pss = pss.max(processes.iter().filter_map(|&pid| proportional(pid)).sum());
                }
                if stopped.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            (rss, pss)
        });
        Self { stop, watcher }
    }

    /// Ends. The octets, with shared pages counted for each process, and counted once.
    pub(super) fn stop(self) -> (u64, u64) {
        drop(self.stop);
        self.watcher.join().unwrap_or_default()
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
