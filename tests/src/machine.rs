//! What results were found on.

use std::fmt;
use std::fs;
use std::thread;

use serde::{Deserialize, Serialize};

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The CPU's model.
    pub cpu: String,
    /// Cores.
    pub cores: usize,
    /// Octets of memory.
    pub memory: u64,
    /// The kernel's name and release.
    pub kernel: String,
}

impl Machine {
    /// The one that this runs on.
    pub fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: value(&read("/proc/cpuinfo"), "model name").unwrap_or("unknown").to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory: memory(&read("/proc/meminfo")).unwrap_or_default(),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        }
    }
}

/// In a line, with the memory that was built in: the kernel keeps some of the last GiB for itself.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory, kernel } = self;
        write!(f, "{cores} cores ({cpu}), {} GiB of memory, {kernel}", memory.div_ceil(1 << 30))
    }
}

/// The value in the first line `name: value`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

fn memory(meminfo: &str) -> Option<u64> {
    Some(value(meminfo, "MemTotal")?.strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_octets_and_told_in_gib() {
        assert_eq!(memory("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2 << 20));
        let machine =
            Machine { cpu: "Z80".to_owned(), cores: 2, memory: (24 << 30) - 7, kernel: "Linux 6".to_owned() };
        assert_eq!(machine.to_string(), "2 cores (Z80), 24 GiB of memory, Linux 6");
    }

    #[test]
    fn this_machine_has_a_cpu_and_a_kernel() {
        let machine = Machine::this();
        assert!(machine.cores > 0 && machine.memory > 0, "{machine:?}");
        assert!(machine.kernel.len() > "Linux ".len(), "{machine:?}");
    }
}
