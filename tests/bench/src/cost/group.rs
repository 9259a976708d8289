//! The processes of a system, by its parts. Where control groups (v2) can be made each part has one, which counts also what
//! processes used that have ended; elsewhere a part is a tree of processes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::machine::ticks;

/// Puts itself into the control group whose list of processes is `$0`, and becomes the command that follows.
const ENTER: &str = r#"echo $$ > "$0" && exec "$@""#;

/// How long processes that are ending may take; some of Dovecot's outlive their master by many seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The processes.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    // Before the control group that theirs are in, so that they are gone when it is to go.
    parts: BTreeMap<String, Part>,
    cgroup: Option<Arc<Cgroup>>,
}

#[derive(Clone, Debug)]
struct Part {
    cgroup: Option<Arc<Cgroup>>,
    roots: Vec<u32>,
}

impl Group {
    /// Of a system that is about to be started.
    pub(crate) fn new(name: &str) -> Self {
        let cgroup = mount().and_then(|mount| {
            Cgroup::make(mount.join(format!("waypost-bench-{}-{name}", std::process::id())))
        });
        Self { parts: BTreeMap::new(), cgroup }
    }

    /// The same command, so that what it starts belongs to the part.
    pub(crate) fn command(&mut self, part: &str, command: &Command) -> Command {
        let Some(cgroup) = &self.part(part).cgroup else { return Command::new(command.get_program()) };
        let mut entering = Command::new("/bin/sh");
        entering.arg("-c").arg(ENTER).arg(cgroup.file("cgroup.procs")).arg(command.get_program());
        entering
    }

    /// From now on a process, and all that it starts, belongs to the part.
    pub(crate) fn adopt(&mut self, part: &str, pid: u32) -> anyhow::Result<()> {
        let part = self.part(part);
        part.roots.push(pid);
        if let Some(cgroup) = &part.cgroup {
            let list = cgroup.file("cgroup.procs");
            fs::write(&list, pid.to_string())
                .with_context(|| format!("cannot write process {pid} into {}", list.display()))?;
        }
        Ok(())
    }

    fn part(&mut self, name: &str) -> &mut Part {
        self.parts.entry(name.to_owned()).or_insert_with(|| {
            let cgroup = self.cgroup.as_ref().and_then(|parent| Cgroup::make(parent.file(name)));
            Part { cgroup, roots: Vec::new() }
        })
    }

    /// CPU seconds so far, by part.
    pub(crate) fn cpu(&self) -> BTreeMap<String, f64> {
        self.parts.iter().map(|(name, part)| (name.clone(), part.cpu())).collect()
    }

    /// The processes that run.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.parts.values().flat_map(Part::processes).collect()
    }
}

impl Part {
    fn cpu(&self) -> f64 {
        match &self.cgroup {
            Some(cgroup) => {
                let stat = fs::read_to_string(cgroup.file("cpu.stat")).unwrap_or_default();
                usage(&stat).unwrap_or_default()
            }
            None => self.processes().into_iter().filter_map(tree_seconds).sum(),
        }
    }

    fn processes(&self) -> Vec<u32> {
        match &self.cgroup {
            Some(cgroup) => {
                let listed = fs::read_to_string(cgroup.file("cgroup.procs")).unwrap_or_default();
                listed.lines().filter_map(|pid| pid.parse().ok()).collect()
            }
            None => self.roots.iter().flat_map(|&root| tree(root)).collect(),
        }
    }
}

/// A control group. Dropping it takes it away, once no process is in it any more.
#[derive(Debug)]
struct Cgroup(PathBuf);

impl Cgroup {
    /// `None` without the right to make one.
    fn make(dir: PathBuf) -> Option<Arc<Self>> {
        fs::create_dir(&dir).ok().map(|()| Arc::new(Self(dir)))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let end = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.0).is_err() && Instant::now() < end {
            // Only how often to try; nothing depends on its length.
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Where version 2 is mounted.
fn mount() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
    Some(Path::new(line.split(' ').nth(1)?).to_owned())
}

/// The CPU seconds that `cpu.stat` tells.
fn usage(stat: &str) -> Option<f64> {
    let microseconds = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    Some(microseconds.trim().parse::<f64>().ok()? / 1e6)
}

/// A process and all that come from it.
fn tree(root: u32) -> Vec<u32> {
    let (mut found, mut next) = (Vec::new(), vec![root]);
    while let Some(pid) = next.pop() {
        found.push(pid);
        for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            next.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    found
}

/// CPU seconds of a process and of its children that have ended.
fn tree_seconds(pid: u32) -> Option<f64> {
    ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_counts_the_processes_that_are_started_in_it() {
        let mut group = Group::new("test");
        let mut command = group.command("part", &Command::new("sleep"));
        let mut child = command.arg("100").spawn().unwrap();
        group.adopt("part", child.id()).unwrap();
        assert_eq!(group.processes(), [child.id()]);
        assert!(group.cpu()["part"] >= 0.0);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_tree_of_a_process_holds_its_children() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let tree = tree(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(tree.contains(&child.id()), "{tree:?}");
    }

    #[test]
    fn the_time_of_a_control_group_is_in_microseconds() {
        assert_eq!(usage("usage_usec 2500000\nuser_usec 1\n"), Some(2.5));
        assert_eq!(usage(""), None);
    }
}
