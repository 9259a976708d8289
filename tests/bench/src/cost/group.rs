//! The processes of a system, by its parts. Where control groups (v2) can be made each part has one, which counts also what
//! processes used that have ended; elsewhere a part is a tree of processes.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;

use super::cgroup::Cgroup;
use super::tree;

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
        let cgroup = Cgroup::at_root(&format!("waypost-bench-{}-{number}-{name}", std::process::id()));
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
        Ok(cgroup.command(program))
    }

    /// From now on a process, and all that it starts, belongs to the part.
    pub(crate) fn adopt(&mut self, part: &str, pid: u32) -> anyhow::Result<()> {
        let part = self.part(part)?;
        part.roots.push(pid);
        if let Some(cgroup) = &part.cgroup {
            cgroup.adopt(pid)?;
        }
        Ok(())
    }

    fn part(&mut self, name: &str) -> anyhow::Result<&mut Part> {
        if !self.parts.contains_key(name) {
            let cgroup = self.cgroup.as_ref().map(|parent| parent.part(name)).transpose()?;
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
            Some(cgroup) => cgroup.cpu(),
            None => self.processes(roots).into_iter().filter_map(tree::seconds).sum(),
        }
    }

    fn processes(&self, roots: &[u32]) -> Vec<u32> {
        match &self.cgroup {
            Some(cgroup) => cgroup.processes(),
            None => self.roots.iter().flat_map(|&root| tree::below(root, roots)).collect(),
        }
    }
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
}
