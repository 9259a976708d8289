//! Whether IMAP clients use the server. POP3, deliveries, imports and exports do not count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Clients that have asked for nothing for so long are taken to be done.
pub(super) const QUIET: Duration = Duration::from_millis(400);

/// When it was used last.
pub(super) struct Quiet {
    began: Instant,
    /// Milliseconds after `began`.
    used: AtomicU64,
}

impl Quiet {
    /// It is in use now.
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), used: AtomicU64::new(0) }
    }

    /// It is in use now.
    pub(super) fn used(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.used.store(now, Ordering::Relaxed);
    }

    /// How long nobody may use it any more until it is quiet; `None` if it is.
    pub(super) fn left(&self) -> Option<Duration> {
        let used = Duration::from_millis(self.used.load(Ordering::Relaxed));
        (used + QUIET).checked_sub(self.began.elapsed()).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_quiet_once_nobody_has_asked_for_anything_for_a_moment() {
        let quiet = Quiet::new();
        tokio::time::advance(QUIET / 2).await;
        quiet.used();
        tokio::time::advance(QUIET * 3 / 4).await;
        assert_eq!(quiet.left(), Some(QUIET / 4));
        tokio::time::advance(QUIET / 4).await;
        assert_eq!(quiet.left(), None);
        quiet.used();
        assert_eq!(quiet.left(), Some(QUIET));
    }
}
