//! Greylisting: a network, sender and recipient that are new together are refused for now (RFC 6647).

mod file;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use service::drain::Shutdown;
use service::listen::Network;
use tokio::task::spawn_blocking;

use super::config::GreylistConfig;
use super::recent::Recent;
use crate::clock;

/// How often what is remembered is written down. What a crash takes of it makes mail late once more, and no more.
const SAVED_EVERY: Duration = Duration::from_mins(1);

/// What was seen. Bounded by forgetting what was seen longest ago.
#[derive(Debug)]
pub(crate) struct Greylist {
    config: GreylistConfig,
    state: Mutex<State>,
    /// Something is not in the file.
    changed: AtomicBool,
}

#[derive(Debug)]
struct State {
    triples: Recent<Triple, Seen>,
    /// How many triples a network has got through.
    networks: Recent<Network, Passed>,
}

/// Who writes from where to whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Triple {
    network: Network,
    sender: String,
    recipient: String,
}

/// When a triple was seen, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    first: u64,
    last: u64,
    passed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Passed {
    triples: u32,
    last: u64,
}

impl Greylist {
    /// Reads what was remembered. A file that cannot be read is as good as none: mail is late once.
    pub(crate) fn open(config: &GreylistConfig) -> Self {
        let mut state = State { triples: Recent::new(config.entries), networks: Recent::new(config.entries) };
        if let Err(error) = file::load(&config.file, &mut state) {
            tracing::warn!(file = %config.file.display(), %error, "the greylist could not be read; it begins anew");
        }
        Self { config: config.clone(), state: Mutex::new(state), changed: AtomicBool::new(false) }
    }

    /// Whether every client is greylisted.
    pub(super) fn is_for_all(&self) -> bool {
        self.config.enabled
    }

    /// Whether mail may pass now.
    pub(super) fn passes(&self, client: IpAddr, sender: &str, recipient: &str) -> bool {
        self.passes_at(client, sender, recipient, clock::now())
    }

    fn passes_at(&self, client: IpAddr, sender: &str, recipient: &str, now: u64) -> bool {
        let network = Network::of_client(client);
        let remember = clock::millis(*self.config.remember);
        let mut state = self.state.lock();
        let State { triples, networks } = &mut *state;
        let passed = networks.entry(network, Passed::default);
        if passed.last.saturating_add(remember) < now {
            *passed = Passed::default();
        }
        if self.config.enough > 0 && passed.triples >= self.config.enough {
            passed.last = now;
            self.changed.store(true, Ordering::Relaxed);
            return true;
        }
        let triple = Triple { network, sender: sender.to_lowercase(), recipient: recipient.to_lowercase() };
        let seen = triples.entry(triple, || Seen { first: now, last: now, passed: false });
        let forgotten = if seen.passed {
            seen.last.saturating_add(remember) < now
        } else {
            seen.first.saturating_add(clock::millis(*self.config.retry_within)) < now
        };
        // A clock that was set back must not keep mail waiting for longer than a new triple.
        if forgotten || seen.first > now {
            *seen = Seen { first: now, last: now, passed: false };
        }
        seen.last = now;
        let passes = seen.passed || now - seen.first >= clock::millis(*self.config.delay);
        if passes && !seen.passed {
            seen.passed = true;
            passed.triples = passed.triples.saturating_add(1);
            passed.last = now;
        }
        self.changed.store(true, Ordering::Relaxed);
        passes
    }

    /// Writes down what changes, until the shutdown; then once more.
    pub(crate) async fn keep(self: std::sync::Arc<Self>, shutdown: Shutdown) {
        loop {
            let stops = tokio::select! {
                () = shutdown.started() => true,
                () = tokio::time::sleep(SAVED_EVERY) => false,
            };
            if self.changed.swap(false, Ordering::Relaxed) {
                let greylist = std::sync::Arc::clone(&self);
                let saved = spawn_blocking(move || greylist.save()).await;
                if let Ok(Err(error)) = saved {
                    tracing::warn!(file = %self.config.file.display(), %error, "the greylist could not be written");
                    self.changed.store(true, Ordering::Relaxed);
                }
            }
            if stops {
                return;
            }
        }
    }

    fn save(&self) -> std::io::Result<()> {
        let text = file::write(&self.state.lock());
        file::replace(&self.config.file, &text)
    }
}

#[cfg(test)]
mod tests;
