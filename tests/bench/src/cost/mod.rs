//! What an operation costs: CPU time, memory, flushes of the disk's cache.

mod cgroup;
mod group;
mod machine;
mod memory;
mod tree;

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};

pub(crate) use self::group::Group;
use self::machine::Used;
pub(crate) use self::machine::own_cpu;
use self::memory::Peak;
use crate::system::System;

/// What a system and the machine spent from a [`Meter`]'s start to its stop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// How long that was.
    pub(crate) seconds: f64,
    /// CPU seconds of the system's processes, by its parts.
    pub(crate) cpu: BTreeMap<String, f64>,
    /// Whether trees of processes were counted in place of control groups: those that ended meanwhile are lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) by_trees: bool,
    /// CPU seconds of this program: of the load.
    pub(crate) own_cpu: f64,
    /// CPU seconds of the whole machine less this program's: also the kernel's own threads and strangers. Time of strangers who
    /// gave way (`nice`) is not in it.
    pub(crate) machine_cpu: f64,
    /// CPU seconds of strangers who gave way, and of other machines on the same hardware.
    pub(crate) strangers_cpu: f64,
    /// The most memory that the processes had at a time, octets; pages that they share count for each.
    pub(crate) peak_rss: u64,
    /// The same with pages that are shared counted once. Looked at less often.
    pub(crate) peak_pss: u64,
    /// Times that the disks were asked to flush their caches.
    pub(crate) flushes: u64,
    /// Octets written to the disks.
    pub(crate) written: u64,
}

impl Cost {
    /// CPU seconds of all parts.
    pub(crate) fn system_cpu(&self) -> f64 {
        self.cpu.values().sum()
    }
}

/// Runs while a load does.
pub(crate) struct Meter<'a> {
    group: &'a Group,
    began: Instant,
    cpu: BTreeMap<String, f64>,
    used: Used,
    peak: Peak,
}

impl<'a> Meter<'a> {
    /// Starts to count.
    pub(crate) fn start(system: &'a dyn System) -> Self {
        let group = system.group();
        let peak = Peak::watch(group.clone());
        Self { group, cpu: group.cpu(), used: Used::until_now(), peak, began: Instant::now() }
    }

    /// Stops, and tells.
    pub(crate) fn stop(self) -> Cost {
        let seconds = self.began.elapsed().as_secs_f64();
        let (cpu, used) = (self.group.cpu(), Used::until_now());
        let peak = self.peak.stop();
        let since = |(part, spent): (String, f64)| {
            let before = self.cpu.get(&part).copied().unwrap_or_default();
            (part, spent - before)
        };
        let own_cpu = used.own - self.used.own;
        Cost {
            seconds,
            cpu: cpu.into_iter().map(since).collect(),
            by_trees: !self.group.is_exact(),
            own_cpu,
            machine_cpu: used.busy - self.used.busy - own_cpu,
            strangers_cpu: used.strangers - self.used.strangers,
            peak_rss: peak.rss,
            peak_pss: peak.pss,
            flushes: used.flushes - self.used.flushes,
            written: used.written - self.used.written,
        }
    }
}
