//! A server that goes on in the background by itself, as Postfix and Dovecot do.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use pipeline_tests::run_quietly;

use crate::cost::Group;

/// How long it may take to serve, and to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lines of what was said that are told of a failure: the files are gone by then.
const TOLD: usize = 5;

/// One of them. Dropping it stops it.
pub(super) struct Daemon {
    /// Its name, in messages and as a part of the costs.
    pub(super) name: &'static str,
    /// The file for what is said when it is started and stopped.
    pub(super) said: PathBuf,
    /// Its log.
    pub(super) log: PathBuf,
    /// The file with the number of its first process, while it runs.
    pub(super) pid_file: PathBuf,
    /// What stops it.
    pub(super) stop: Command,
}

impl Daemon {
    /// Starts it by a command that ends by itself, and waits until it serves at these doors.
    pub(super) fn start(
        self,
        start: &mut Command,
        doors: &[SocketAddr],
        group: &mut Group,
    ) -> anyhow::Result<Self> {
        let status = run_quietly(start, &self.said).with_context(|| format!("cannot start {}", self.name))?;
        ensure!(status.success(), "{} does not start: {}", self.name, end_of(&self.said));
        self.wait_until("serve", || {
            self.process().is_some() && doors.iter().all(|door| TcpStream::connect(door).is_ok())
        })?;
        let process = self.process().with_context(|| format!("{} has no process", self.name))?;
        group.adopt(self.name, process)?;
        Ok(self)
    }

    fn process(&self) -> Option<u32> {
        fs::read_to_string(&self.pid_file).ok()?.trim().parse().ok()
    }

    fn wait_until(&self, what: &str, mut does: impl FnMut() -> bool) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while !does() {
            if Instant::now() > end {
                let (name, seconds) = (self.name, PATIENCE.as_secs());
                bail!("waited {seconds} s for {name} to {what}; its log ends with {}", end_of(&self.log));
            }
            // Only how often to ask; nothing depends on its length.
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let Some(process) = self.process() else { return };
        // It may have ended by itself.
        let _ = run_quietly(&mut self.stop, &self.said);
        let process = PathBuf::from(format!("/proc/{process}"));
        if let Err(error) = self.wait_until("stop", || !process.exists()) {
            eprintln!("{error:#}");
        }
    }
}

/// The last lines of a file.
pub(super) fn end_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TOLD)..].join("\n")
}
