//! Logins that take more than one step: how many can be under way, and how long each waits for its client.
//!
//! Each holds a stream of the connection to the directory, of which there is only one with so many streams: clients that
//! begin and then say nothing must not keep the others from being looked up.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use service::listen::{Limits, Permit};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// At the same time; about half of the streams that the directory allows.
const MAX: usize = 512;

/// Of these from one network.
const MAX_PER_NETWORK: usize = 64;

/// How long a client may take to respond.
const PATIENCE: Duration = Duration::from_secs(30);

/// The exchanges of all sessions.
pub(crate) struct Exchanges(Limits);

impl Default for Exchanges {
    fn default() -> Self {
        Self(Limits::new(MAX, Some(MAX_PER_NETWORK)))
    }
}

impl Exchanges {
    /// A client's permit to begin one, which it holds until the end; none if there are too many.
    pub(crate) fn admit(&self, client: IpAddr) -> Option<Permit> {
        self.0.admit(client.to_canonical())
    }
}

/// What waits for its client, and is dropped when that takes too long.
pub(crate) struct Waiting<T> {
    kept: Arc<Mutex<Option<T>>>,
    timer: JoinHandle<()>,
}

impl<T: Send + 'static> Waiting<T> {
    pub(crate) fn new(kept: T) -> Self {
        let kept = Arc::new(Mutex::new(Some(kept)));
        let forgotten = Arc::clone(&kept);
        let timer = tokio::spawn(async move {
            sleep(PATIENCE).await;
            forgotten.lock().take();
        });
        Self { kept, timer }
    }

    /// Takes it; none if it has waited too long.
    pub(crate) fn take(self) -> Option<T> {
        self.kept.lock().take()
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        self.timer.abort();
        self.kept.lock().take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_waits_too_long_is_dropped() {
        let exchanges = Exchanges::default();
        let client = IpAddr::from([192, 0, 2, 1]);
        let begin = || exchanges.admit(client).map(Waiting::new);
        let stalled: Vec<_> = std::iter::from_fn(begin).collect();
        assert_eq!(stalled.len(), MAX_PER_NETWORK);
        assert!(exchanges.admit(IpAddr::from([198, 51, 100, 1])).is_some());
        sleep(PATIENCE * 2).await;
        assert!(exchanges.admit(client).is_some());
        assert!(stalled.into_iter().all(|waiting| waiting.take().is_none()));
    }

    #[tokio::test]
    async fn what_is_given_up_is_dropped_at_once() {
        let exchanges = Exchanges::default();
        let client = IpAddr::from([192, 0, 2, 1]);
        let begun: Vec<_> = std::iter::from_fn(|| exchanges.admit(client).map(Waiting::new)).collect();
        drop(begun);
        let waiting = exchanges.admit(client).map(Waiting::new);
        assert!(waiting.and_then(Waiting::take).is_some());
    }
}
