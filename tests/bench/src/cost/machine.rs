//! What the whole machine has used since it was started.

use std::fs;

/// Disks that are none: what they hold goes to another one, or nowhere.
const NO_DISKS: [&str; 5] = ["loop", "ram", "zram", "dm-", "md"];
/// Octets of a sector, whatever the disk calls one (Documentation/admin-guide/iostats.rst).
const SECTOR: u64 = 512;

/// Totals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    /// CPU seconds of this program.
    pub(super) own: f64,
    /// CPU seconds of all, without those that gave way.
    pub(super) busy: f64,
    /// CPU seconds of processes that give way, and that the machine did not get.
    pub(super) strangers: f64,
    /// Flushes of all disks.
    pub(super) flushes: u64,
    /// Octets written to all disks.
    pub(super) written: u64,
}

impl Used {
    /// As it is now.
    pub(super) fn until_now() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let own = own_cpu();
        let (busy, strangers) = cpus(&read("/proc/stat"));
        let (flushes, written) = disks(&read("/proc/diskstats"));
        Self { own, busy, strangers, flushes, written }
    }
}

/// CPU seconds of this program, of all of its threads; finer than the clock ticks that the kernel counts others' by.
pub(crate) fn own_cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// CPU seconds in a process' `stat` (proc(5)): the first 2 of its counters are its own, all 4 with those of its children that
/// have ended.
pub(super) fn ticks(stat: &str, counters: usize) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let counted = fields.split_whitespace().skip(11).take(counters);
    Some(counted.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / ticks_per_second())
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

/// From `/proc/stat`: seconds that the CPUs were busy, and those that went to who gives way or to other machines.
fn cpus(stat: &str) -> (f64, f64) {
    let line = stat.lines().next().unwrap_or_default();
    let counters: Vec<f64> =
        line.split_whitespace().skip(1).map(|ticks| ticks.parse().unwrap_or_default()).collect();
    let seconds = |names: &[usize]| {
        names.iter().filter_map(|&name| counters.get(name)).sum::<f64>() / ticks_per_second()
    };
    // user nice system idle iowait irq softirq steal
    (seconds(&[0, 2, 5, 6]), seconds(&[1, 7]))
}

/// From `/proc/diskstats`: flushes and octets written, of whole disks.
fn disks(stats: &str) -> (u64, u64) {
    let (mut flushes, mut written) = (0, 0);
    for line in stats.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let Some(&name) = fields.get(2) else { continue };
        if NO_DISKS.iter().any(|prefix| name.starts_with(prefix)) || is_partition(name) {
            continue;
        }
        let field = |number: usize| fields.get(number).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        written += field(9) * SECTOR;
        flushes += field(18);
    }
    (flushes, written)
}

fn is_partition(name: &str) -> bool {
    fs::exists(format!("/sys/class/block/{name}/partition")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_be_called_anything() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 200 100 50 50 20";
        let second = ticks_per_second();
        assert_eq!(ticks(stat, 2), Some(300.0 / second));
        assert_eq!(ticks(stat, 4), Some(400.0 / second));
    }

    #[test]
    fn who_gives_way_is_counted_apart() {
        let second = ticks_per_second();
        let (busy, strangers) = cpus("cpu  100 20 300 4000 50 6 7 8 0 0\ncpu0 1 2 3");
        assert_eq!(((busy * second).round(), (strangers * second).round()), (413.0, 28.0));
    }

    #[test]
    fn only_disks_are_counted() {
        let stats = " 254 0 vda-of-nobody 1 0 8 0 5 0 16 0 0 0 0 0 0 0 0 3 1\n   7 0 loop0 1 0 8 0 5 0 99 0 0 0 0 0 0 0 0 99 1\n";
        assert_eq!(disks(stats), (3, 16 * SECTOR));
    }
}
