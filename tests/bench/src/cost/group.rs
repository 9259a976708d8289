//! The processes of a system, by its parts. Where control groups (v2) can be made each part has one, which counts also what
//! processes used that have ended; elsewhere a part is a tree of processes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// Of a system that is about to be started. Says so where it cannot make control groups.
    pub(crate) fn new(name: &str) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        // One of before may still be there, for processes that are slow to end.
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let cgroup = mount().and_then(|mount| {
            Cgroup::make(mount.join(format!("waypost-bench-{}-{number}-{name}", std::process::id())))
        });
        let cgroup = cgroup
            .inspect_err(|error| {
                eprintln!("{name} is counted by trees of processes, which lose some: {error:#}");
            })
            .ok();
        Self { parts: BTreeMap::new(), cgroup }
    }

    /// Whether its processes are counted by control groups, and not by trees of processes.
    pub(crate) fn is_exact(&self) -> bool {
        self.cgroup.is_some()
    }

    /// A command that runs the same program, without arguments yet, so that what it starts belongs to the part.
    pub(crate) fn command(&mut self, part: &str, program: &Command) -> anyhow::Result<Command> {
        let program = program.get_program();
        let Some(cgroup) = &self.part(part)?.cgroup else { return Ok(Command::new(program)) };
        let mut entering = Command::new("/bin/sh");
        entering.arg("-c").arg(ENTER).arg(cgroup.file("cgroup.procs")).arg(program);
        Ok(entering)
    }

    /// From now on a process, and all that it starts, belongs to the part.
    pub(crate) fn adopt(&mut self, part: &str, pid: u32) -> anyhow::Result<()> {
        let part = self.part(part)?;
        part.roots.push(pid);
        if let Some(cgroup) = &part.cgroup {
            let list = cgroup.file("cgroup.procs");
            fs::write(&list, pid.to_string())
                .with_context(|| format!("cannot write process {pid} into {}", list.display()))?;
        }
        Ok(())
    }

    fn part(&mut self, name: &str) -> anyhow::Result<&mut Part> {
        if !self.parts.contains_key(name) {
            let cgroup = self.cgroup.as_ref().map(|parent| Cgroup::make(parent.file(name))).transpose()?;
            self.parts.insert(name.to_owned(), Part { cgroup, roots: Vec::new() });
        }
        self.parts.get_mut(name).context("a part that was just made")
    }

    /// CPU seconds so far, by part.
    pub(crate) fn cpu(&self) -> BTreeMap<String, f64> {
        self.parts.iter().map(|(name, part)| (name.clone(), part.cpu(&self.roots()))).collect()
    }

    /// The processes that run.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.parts.values().flat_map(|part| part.processes(&self.roots())).collect()
    }

    /// Where trees of processes begin: each process belongs to the nearest one above it.
    fn roots(&self) -> Vec<u32> {
        self.parts.values().flat_map(|part| &part.roots).copied().collect()
    }
}

impl Part {
    fn cpu(&self, roots: &[u32]) -> f64 {
        match &self.cgroup {
            Some(cgroup) => {
                let stat = fs::read_to_string(cgroup.file("cpu.stat")).unwrap_or_default();
                usage(&stat).unwrap_or_default()
            }
            None => self.processes(roots).into_iter().filter_map(tree_seconds).sum(),
        }
    }

    fn processes(&self, roots: &[u32]) -> Vec<u32> {
        match &self.cgroup {
            Some(cgroup) => {
                let listed = fs::read_to_string(cgroup.file("cgroup.procs")).unwrap_or_default();
                listed.lines().filter_map(|pid| pid.parse().ok()).collect()
            }
            None => self.roots.iter().flat_map(|&root| tree(root, roots)).collect(),
        }
    }
}

/// A control group. Dropping it takes it away, once no process is in it any more; those that do not end are killed.
#[derive(Debug)]
struct Cgroup(PathBuf);

impl Cgroup {
    /// Fails without the right to make one.
    fn make(dir: PathBuf) -> anyhow::Result<Arc<Self>> {
        fs::create_dir(&dir).with_context(|| format!("cannot make the control group {}", dir.display()))?;
        Ok(Arc::new(Self(dir)))
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

/// A process and all that come from it, but for those at which another tree begins.
fn tree(root: u32, roots: &[u32]) -> Vec<u32> {
    let (mut found, mut next) = (Vec::new(), vec![root]);
    while let Some(pid) = next.pop() {
        found.push(pid);
        for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|child| child.parse::<u32>().ok());
            next.extend(children.filter(|child| !roots.contains(child)));
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
        let mut command = group.command("part", &Command::new("sleep")).unwrap();
        let mut child = command.arg("100").spawn().unwrap();
        let adopted = group.adopt("part", child.id());
        let (processes, cpu) = (group.processes(), group.cpu());
        child.kill().unwrap();
        child.wait().unwrap();
        adopted.unwrap();
        assert_eq!(processes, [child.id()]);
        assert!(cpu["part"] >= 0.0);
    }

    #[test]
    fn the_tree_of_a_process_holds_its_children() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let (whole, without) = (tree(std::process::id(), &[]), tree(std::process::id(), &[child.id()]));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(whole.contains(&child.id()), "{whole:?}");
        assert!(!without.contains(&child.id()), "{without:?}");
    }

    #[test]
    fn the_time_of_a_control_group_is_in_microseconds() {
        assert_eq!(usage("usage_usec 2500000\nuser_usec 1\n"), Some(2.5));
        assert_eq!(usage(""), None);
    }
}
