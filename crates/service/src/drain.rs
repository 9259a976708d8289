//! Ending well: one signal to stop, and a bounded wait for what still runs.

use std::{future::Future, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[cfg(test)]
mod tests;

const CUT_OFF_GRACE: Duration = Duration::from_secs(1);

/// The signal to drain, and the tasks that draining waits for. Clones are the same signal.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    signal: CancellationToken,
    /// Given after the drain's time is up: whatever still runs is dropped.
    abort: CancellationToken,
    tasks: TaskTracker,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Drained {
    /// Everything ended by itself.
    Cleanly,
    /// The time was up and this many tasks were cut off.
    CutOff(usize),
}

impl Shutdown {
    /// A signal not yet given.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal: accept nothing new, finish what runs. Later calls change nothing.
    pub fn start(&self) {
        self.signal.cancel();
    }

    /// Whether the signal was given.
    pub fn is_started(&self) -> bool {
        self.signal.is_cancelled()
    }

    /// Resolves when the signal is given; at once if it was. Safe to use in `select!`.
    pub async fn started(&self) {
        self.signal.cancelled().await;
    }

    /// The signal alone, for code that wants a token.
    pub fn token(&self) -> CancellationToken {
        self.signal.clone()
    }

    /// Runs a task that draining waits for. It should end soon after the signal; if it does not, it is dropped at its
    /// next await when the drain's time is up.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let abort = self.abort.clone();
        self.tasks.spawn(async move { abort.run_until_cancelled(task).await })
    }

    /// How many tasks run.
    pub fn running(&self) -> usize {
        self.tasks.len()
    }

    /// Gives the signal, waits for the tasks, and cuts off those that still run after `timeout`.
    pub async fn graceful(&self, timeout: Duration) -> Drained {
        self.start();
        self.tasks.close();
        if tokio::time::timeout(timeout, self.tasks.wait()).await.is_ok() {
            return Drained::Cleanly;
        }
        let left = self.tasks.len();
        self.abort.cancel();
        // A task that never awaits cannot be cut off; it must not hold the process either.
        let _ = tokio::time::timeout(CUT_OFF_GRACE, self.tasks.wait()).await;
        if left == 0 { Drained::Cleanly } else { Drained::CutOff(left) }
    }
}
