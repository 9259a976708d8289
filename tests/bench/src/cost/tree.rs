//! Trees of processes, where there are no control groups.

use std::fs;

use super::machine::ticks;

/// A process and all that come from it, but for those at which another tree begins.
pub(super) fn below(root: u32, roots: &[u32]) -> Vec<u32> {
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
pub(super) fn seconds(pid: u32) -> Option<f64> {
    ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, 4)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_tree_of_a_process_holds_its_children() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let (whole, without) = (below(std::process::id(), &[]), below(std::process::id(), &[child.id()]));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(whole.contains(&child.id()), "{whole:?}");
        assert!(!without.contains(&child.id()), "{without:?}");
    }
}
