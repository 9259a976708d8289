//! What everything is measured on.

use std::fs;
use std::path::Path;
use std::thread;

use pipeline_tests::program;

use crate::report::Machine;
use crate::system::Kind;

/// This machine, and the disk of a folder.
pub(crate) fn describe(dir: &Path, systems: &[Kind]) -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let has_peers = systems.iter().any(|&kind| kind != Kind::Waypost);
    Machine {
        date: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        commit: env!("BENCH_COMMIT").to_owned(),
        optimised: !cfg!(debug_assertions),
        cpu: after(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
        cores: thread::available_parallelism().map_or(1, Into::into),
        memory: memory(&read("/proc/meminfo")).unwrap_or_default(),
        kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        disk: disk(&read("/proc/mounts"), dir).unwrap_or_else(|| "unknown".to_owned()),
        peers: if has_peers { peers() } else { Vec::new() },
        ..Machine::default()
    }
}

/// The value in a line `name: value`.
fn after(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory(meminfo: &str) -> Option<u64> {
    Some(after(meminfo, "MemTotal")?.strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// The file system that a folder is on, such as `ext4 on /dev/sda1 (rw,relatime)`.
fn disk(mounts: &str, dir: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        Some((fields.next()?, fields.next()?, fields.next()?, fields.next()?))
    });
    // Of two that are mounted at the same place, the later one is seen.
    let found = mounts.filter(|(_, at, _, _)| dir.starts_with(at)).max_by_key(|(_, at, _, _)| at.len());
    found.map(|(device, _, kind, options)| format!("{kind} on {device} ({options})"))
}

fn peers() -> Vec<String> {
    let version = |name: &str, arguments: &[&str]| {
        let output = program(name)?.command().args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let postfix = version("postconf", &["-dh", "mail_version"]).map(|version| format!("Postfix {version}"));
    let dovecot = version("dovecot", &["--version"]).map(|version| format!("Dovecot {version}"));
    postfix.into_iter().chain(dovecot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_that_of_the_nearest_mount() {
        let mounts = "/dev/a / ext4 rw 0 0\n/dev/b /srv xfs rw,noatime 0 0\ntmpfs /srv2 tmpfs rw 0 0\n";
        assert_eq!(disk(mounts, Path::new("/srv/mail")).as_deref(), Some("xfs on /dev/b (rw,noatime)"));
        assert_eq!(disk(mounts, Path::new("/srv3")).as_deref(), Some("ext4 on /dev/a (rw)"));
    }

    #[test]
    fn memory_is_told_in_octets() {
        assert_eq!(memory("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2 << 20));
    }

    #[test]
    fn this_machine_has_a_cpu_and_a_kernel() {
        let machine = describe(Path::new("/"), &[Kind::Waypost]);
        assert!(machine.cores > 0 && machine.memory > 0, "{machine:?}");
        assert!(machine.kernel.len() > "Linux ".len() && machine.peers.is_empty(), "{machine:?}");
    }
}
