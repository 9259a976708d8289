//! Control groups (v2): they count also what processes used that have ended.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Puts itself into the control group whose list of processes is `$0`, and becomes the command that follows.
const ENTER: &str = r#"echo $$ > "$0" && exec "$@""#;

/// How long processes that are ending may take; some of Dovecot's outlive their master by many seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// A control group. Dropping it takes it away, once no process is in it any more; those that do not end are killed.
#[derive(Debug)]
pub(super) struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes one below the root. Fails where version 2 is not mounted, or without the right to make one.
    pub(super) fn at_root(name: &str) -> anyhow::Result<Arc<Self>> {
        Self::make(mount()?.join(name))
    }

    /// Makes one within this one.
    pub(super) fn part(&self, name: &str) -> anyhow::Result<Arc<Self>> {
        Self::make(self.file(name))
    }

    fn make(dir: PathBuf) -> anyhow::Result<Arc<Self>> {
        fs::create_dir(&dir).with_context(|| format!("cannot make the control group {}", dir.display()))?;
        Ok(Arc::new(Self(dir)))
    }

    /// A command that runs a program, without arguments yet, in it.
    pub(super) fn command(&self, program: &OsStr) -> Command {
        let mut entering = Command::new("/bin/sh");
        entering.arg("-c").arg(ENTER).arg(self.list()).arg(program);
        entering
    }

    /// Moves a process into it; what that starts is in it too.
    pub(super) fn adopt(&self, pid: u32) -> anyhow::Result<()> {
        let list = self.list();
        fs::write(&list, pid.to_string())
            .with_context(|| format!("cannot write process {pid} into {}", list.display()))
    }

    /// The processes in it.
    pub(super) fn processes(&self) -> Vec<u32> {
        let listed = fs::read_to_string(self.list()).unwrap_or_default();
        listed.lines().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// CPU seconds of all that ever were in it.
    pub(super) fn cpu(&self) -> f64 {
        usage(&fs::read_to_string(self.file("cpu.stat")).unwrap_or_default()).unwrap_or_default()
    }

    fn list(&self) -> PathBuf {
        self.file("cgroup.procs")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Takes it away as soon as no process is in it any more, and says whether it could.
    fn is_gone_within(&self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while fs::remove_dir(&self.0).is_err() {
            if Instant::now() > end {
                return false;
            }
            // Only how often to try; nothing depends on its length.
            thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if !self.is_gone_within(PATIENCE) {
            // Nothing that was started may be left behind.
            let _ = fs::write(self.file("cgroup.kill"), "1");
            self.is_gone_within(PATIENCE);
        }
    }
}

/// Where version 2 is mounted.
fn mount() -> anyhow::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").context("cannot read /proc/mounts")?;
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
    let path = line.and_then(|line| line.split(' ').nth(1)).context("control groups (v2) are not mounted")?;
    Ok(Path::new(path).to_owned())
}

/// The CPU seconds that `cpu.stat` tells.
fn usage(stat: &str) -> Option<f64> {
    let microseconds = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    Some(microseconds.trim().parse::<f64>().ok()? / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_control_group_is_in_microseconds() {
        assert_eq!(usage("usage_usec 2500000\nuser_usec 1\n"), Some(2.5));
        assert_eq!(usage(""), None);
    }
}
