//! A disk of the scenario's own, on which no other writes: to fill, and to make read-only.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::peer::missing;

/// Octets that are written at a time to fill it.
const PIECE: usize = 64 << 10;

/// A disk in memory. Dropping it takes it away.
pub struct Disk {
    dir: TempDir,
}

impl Disk {
    /// One with room for so many octets. `None` without the right to mount one, and the scenario may be left out.
    ///
    /// # Panics
    /// If it is required and cannot be mounted.
    pub fn mount(octets: u64) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let options = format!("size={octets}");
        let at = dir.path().to_str().expect("a path in UTF-8");
        if run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", at]) {
            Some(Self { dir })
        } else {
            missing("the right to mount a disk")
        }
    }

    /// A folder on it.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("folder")
    }

    fn ballast(&self) -> PathBuf {
        self.dir.path().join("ballast")
    }

    /// Fills it, until so many octets are free.
    ///
    /// # Panics
    /// If that does not work.
    pub fn fill(&self, leave: u64) {
        let fill = || -> io::Result<()> {
            let (mut ballast, piece) = (File::create(self.ballast())?, vec![0; PIECE]);
            loop {
                match ballast.write(&piece) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
            let length = ballast.metadata()?.len();
            ballast.set_len(length.saturating_sub(leave))
        };
        fill().expect("the disk is filled");
    }

    /// Takes away what it was filled with.
    ///
    /// # Panics
    /// If it was not filled.
    pub fn empty(&self) {
        fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    /// Makes the folder read-only. Files that are open stay as they are.
    ///
    /// # Panics
    /// If that does not work.
    pub fn protect(&self) {
        let folder = self.folder();
        let name = folder.to_str().expect("a path in UTF-8");
        let is_protected =
            run("mount", &["--bind", name, name]) && run("mount", &["-o", "remount,bind,ro", name]);
        assert!(is_protected, "{} is made read-only", folder.display());
    }

    /// Takes that back.
    ///
    /// # Panics
    /// If it was not read-only.
    pub fn unprotect(&self) {
        assert!(unmount(&self.folder()), "{} was read-only", self.folder().display());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // After a failure it may be read-only still; whoever used it may be about to end.
        unmount(&self.folder());
        unmount(self.dir.path());
    }
}

fn unmount(at: &Path) -> bool {
    at.to_str().is_some_and(|at| run("umount", &["--lazy", at]))
}

/// Whether a command succeeds.
fn run(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
