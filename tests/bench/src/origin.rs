//! Of what and on what everything is measured.

use std::fs;
use std::path::Path;

use pipeline_tests::{Machine, program};

use crate::report::Origin;
use crate::system::Kind;

/// What is built and runs here and now, with the disk of a folder.
pub(crate) fn of_now(dir: &Path, systems: &[Kind]) -> Origin {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let has_peers = systems.iter().any(|&kind| kind != Kind::Waypost);
    Origin {
        date: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        commit: env!("COMMIT").to_owned(),
        optimised: !cfg!(debug_assertions),
        machine: Machine::this(),
        disk: disk(&mounts, dir).unwrap_or_else(|| "unknown".to_owned()),
        peers: if has_peers { peers() } else { Vec::new() },
        ..Origin::default()
    }
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
}
