//! Keeps the services' processes alive, and ends them in order.
//!
//! Everything here runs on the thread that calls [`Supervisor::start`], and that thread must live as long as the
//! services: the kernel kills them when the thread that started them ends (see `commands::service`).

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use std::os::unix::process::ExitStatusExt;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::logs;
use super::ports::Role;

/// How long a service may take to finish what it has before it is killed; more than its configuration gives it.
const DRAIN_LIMIT: Duration = Duration::from_secs(15);

/// A process to keep alive.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// The service's name.
    pub(crate) name: String,
    /// Which service it is.
    pub(crate) role: Role,
    /// The program that it runs.
    pub(crate) program: PathBuf,
    /// What lists of processes show in its place.
    pub(crate) title: &'static str,
    /// What the program is told.
    pub(crate) arguments: Vec<OsString>,
    /// Where its output goes.
    pub(crate) log: PathBuf,
}

/// What the supervisor tells about a process.
#[derive(Debug)]
pub(crate) enum Notice {
    /// It runs.
    Started {
        /// The service.
        name: String,
        /// Its new process.
        pid: u32,
    },
    /// It died, or could not be started.
    Died {
        /// The service.
        name: String,
        /// How.
        reason: String,
        /// When it is started again.
        restart_in: Duration,
    },
}

/// How a process ended that was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It finished what it had.
    Drained,
    /// It had to be killed.
    Killed,
    /// It was not running.
    NotRunning,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drained => "stopped",
            Self::Killed => "killed",
            Self::NotRunning => "was not running",
        })
    }
}

/// The running pipeline. Dropping it kills the processes that still run.
#[derive(Debug)]
pub(crate) struct Supervisor {
    kept: Vec<Kept>,
    force: CancellationToken,
}

#[derive(Debug)]
struct Kept {
    name: String,
    role: Role,
    stop: CancellationToken,
    task: JoinHandle<Ending>,
}

impl Supervisor {
    /// Starts the processes and keeps them alive. `force` ends draining early. Needs a `LocalSet`.
    pub(crate) fn start(
        processes: Vec<Process>,
        force: CancellationToken,
        notices: &mpsc::UnboundedSender<Notice>,
    ) -> Self {
        let kept = processes
            .into_iter()
            .map(|process| {
                let (name, role, stop) = (process.name.clone(), process.role, CancellationToken::new());
                let keeper =
                    Keeper { process, notices: notices.clone(), stop: stop.clone(), force: force.clone() };
                Kept { name, role, stop, task: spawn_local(keeper.keep()) }
            })
            .collect();
        Self { kept, force }
    }

    /// Ends all processes of a role at the same time, letting them drain; tells of each how it went.
    pub(crate) async fn stop(&mut self, role: Role, mut told: impl FnMut(&str, Ending)) {
        for kept in self.kept.iter().filter(|kept| kept.role == role) {
            kept.stop.cancel();
        }
        for kept in self.kept.iter_mut().filter(|kept| kept.role == role) {
            let ending = (&mut kept.task).await.unwrap_or(Ending::Killed);
            told(&kept.name, ending);
        }
        self.kept.retain(|kept| kept.role != role);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.force.cancel();
        for kept in &self.kept {
            // The child is killed when its task drops it.
            kept.task.abort();
        }
    }
}

/// Keeps one process alive.
struct Keeper {
    process: Process,
    notices: mpsc::UnboundedSender<Notice>,
    stop: CancellationToken,
    force: CancellationToken,
}

impl Keeper {
    async fn keep(self) -> Ending {
        let mut backoff = Backoff::new();
        loop {
            let started = Instant::now();
            let reason = match self.spawn() {
                Ok(mut child) => tokio::select! {
                    biased;
                    status = child.wait() => describe(status),
                    () = self.stop.cancelled() => return self.end(child).await,
                },
                Err(error) => format!("cannot be started: {error}"),
            };
            let restart_in = backoff.wait_after(started.elapsed());
            self.tell(Notice::Died { name: self.process.name.clone(), reason, restart_in });
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ending::NotRunning,
                () = sleep(restart_in) => {}
            }
        }
    }

    /// In a process group of its own, so that Ctrl-C on the terminal reaches the supervisor alone, which then ends the
    /// services in their order.
    fn spawn(&self) -> io::Result<Child> {
        let log = logs::open(&self.process.log)?;
        let child = Command::new(&self.process.program)
            .arg0(self.process.title)
            .args(&self.process.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        if let Some(pid) = child.id() {
            self.tell(Notice::Started { name: self.process.name.clone(), pid });
        }
        Ok(child)
    }

    async fn end(&self, mut child: Child) -> Ending {
        if let Some(pid) = child.id() {
            terminate(pid);
        }
        tokio::select! {
            biased;
            _ = child.wait() => return Ending::Drained,
            () = self.force.cancelled() => {}
            () = sleep(DRAIN_LIMIT) => {}
        }
        let _ = child.kill().await;
        Ending::Killed
    }

    fn tell(&self, notice: Notice) {
        // Nobody listens any more only while everything ends.
        let _ = self.notices.send(notice);
    }
}

/// Asks a process to drain. It is a child that was not waited for, so the id is still its own.
fn terminate(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exited with status {code}"),
            (None, Some(signal)) => format!("was killed by signal {signal}"),
            (None, None) => status.to_string(),
        },
        Err(error) => format!("was lost: {error}"),
    }
}

#[cfg(test)]
mod tests;
