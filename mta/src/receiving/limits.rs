//! What the clients of one network may do per minute, and how many of them there may be at a time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use service::listen::Network;
use smtp::Reply;

use super::config::NetworkLimitsConfig;
use super::metrics::{Metrics, Refusal};
use super::recent::Recent;

/// The limits, and what each network has used of them.
#[derive(Debug)]
pub(super) struct NetworkLimits {
    config: NetworkLimitsConfig,
    metrics: Metrics,
    used: Mutex<Recent<Network, Used>>,
    /// Networks without connections have no entry, so this is bounded by the listener's limit.
    open: Mutex<HashMap<Network, u32>>,
}

/// What is counted per minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Connections,
    Commands,
    Errors,
    Messages,
    Recipients,
}

/// A client's connection: while it lives it is one of those that its network has open.
#[derive(Debug)]
pub(super) struct Connected {
    limits: Arc<NetworkLimits>,
    network: Network,
}

/// A bucket for each of [`Counted`].
#[derive(Debug, Default)]
struct Used([Bucket; 5]);

/// A token bucket that holds a minute's worth, and fills evenly.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// What is missing in it, at `at`.
    missing: f64,
    at: Option<Instant>,
}

impl Bucket {
    /// Takes tokens, if so many are there. A bucket that is full gives more than it holds, and owes them: a batch larger
    /// than the limit must not wait for ever.
    fn take(&mut self, now: Instant, number: u32, per_minute: u32) -> bool {
        let passed = self.at.map_or(Duration::MAX, |at| now.saturating_duration_since(at));
        let full = f64::from(per_minute);
        let missing = (self.missing - passed.as_secs_f64() / 60.0 * full).max(0.0);
        self.at = Some(now);
        self.missing = missing;
        let takes = missing == 0.0 || missing + f64::from(number) <= full;
        if takes {
            self.missing += f64::from(number);
        }
        takes
    }
}

impl NetworkLimits {
    pub(super) fn new(config: &NetworkLimitsConfig, metrics: Metrics) -> Self {
        let used = Mutex::new(Recent::new(config.networks));
        Self { config: config.clone(), metrics, used, open: Mutex::default() }
    }

    /// Lets a client in.
    pub(super) fn connect(self: &Arc<Self>, client: IpAddr) -> Result<Connected, Reply> {
        let network = Network::of_client(client);
        let most = self.config.connections;
        {
            let mut open = self.open.lock();
            let here = open.get(&network).copied().unwrap_or(0);
            if most > 0 && here >= most {
                drop(open);
                self.metrics.refused(Refusal::Limit);
                return Err(Reply::fixed(421, 7, 0, "Too many connections from your network"));
            }
            open.insert(network, here + 1);
        }
        // From here on, dropped in any way, it is counted off again.
        let connected = Connected { limits: Arc::clone(self), network };
        connected.spend(Counted::Connections, 1)?;
        Ok(connected)
    }

    fn spend(&self, network: Network, what: Counted, number: u32, now: Instant) -> Result<(), Reply> {
        let limit = self.limit(what);
        if limit == 0 || number == 0 {
            return Ok(());
        }
        let mut used = self.used.lock();
        let bucket = &mut used.entry(network, Used::default).0[what as usize];
        if bucket.take(now, number, limit) {
            return Ok(());
        }
        drop(used);
        self.metrics.refused(Refusal::Limit);
        Err(what.refusal())
    }

    fn limit(&self, what: Counted) -> u32 {
        match what {
            Counted::Connections => self.config.connections_per_minute,
            Counted::Commands => self.config.commands_per_minute,
            Counted::Errors => self.config.errors_per_minute,
            Counted::Messages => self.config.messages_per_minute,
            Counted::Recipients => self.config.recipients_per_minute,
        }
    }
}

impl Counted {
    /// All of them pass.
    fn refusal(self) -> Reply {
        match self {
            Self::Connections => {
                Reply::fixed(421, 7, 0, "Too many connections from your network in a minute")
            }
            Self::Commands => Reply::fixed(421, 7, 0, "Too many commands from your network in a minute"),
            Self::Errors => Reply::fixed(421, 7, 0, "Too many errors from your network in a minute"),
            Self::Messages => {
                Reply::fixed(450, 7, 1, "Too many messages from your network in a minute, try again later")
            }
            Self::Recipients => {
                Reply::fixed(450, 7, 1, "Too many recipients from your network in a minute, try again later")
            }
        }
    }
}

impl Connected {
    /// Counts what the client does.
    pub(super) fn spend(&self, what: Counted, number: u32) -> Result<(), Reply> {
        self.limits.spend(self.network, what, number, Instant::now())
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut open = self.limits.open.lock();
        if let Some(here) = open.get_mut(&self.network) {
            *here -= 1;
            if *here == 0 {
                open.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(config: &NetworkLimitsConfig) -> Arc<NetworkLimits> {
        Arc::new(NetworkLimits::new(config, Metrics::default()))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_so_many_connections_and_gets_them_back() {
        let limits = limits(&NetworkLimitsConfig { connections: 2, ..NetworkLimitsConfig::default() });
        let first = limits.connect(address("192.0.2.1")).unwrap();
        let _second = limits.connect(address("192.0.2.2")).unwrap();
        assert_eq!(limits.connect(address("192.0.2.3")).unwrap_err().code, 421);
        let _other = limits.connect(address("198.51.100.1")).unwrap();
        drop(first);
        let _third = limits.connect(address("192.0.2.3")).unwrap();
        assert_eq!(limits.open.lock().len(), 2);
    }

    #[test]
    fn a_connection_that_comes_too_soon_is_not_counted_as_open() {
        let limits =
            limits(&NetworkLimitsConfig { connections_per_minute: 1, ..NetworkLimitsConfig::default() });
        drop(limits.connect(address("2001:db8::1")).unwrap());
        assert_eq!(limits.connect(address("2001:db8::2")).unwrap_err().code, 421);
        assert!(limits.open.lock().is_empty());
    }

    #[test]
    fn a_bucket_holds_a_minutes_worth_and_fills_evenly() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        for _ in 0..60 {
            assert!(bucket.take(start, 1, 60));
        }
        assert!(!bucket.take(start, 1, 60));
        let later = |seconds| start + Duration::from_secs(seconds);
        assert!(bucket.take(later(1), 1, 60));
        assert!(!bucket.take(later(1), 1, 60));
        assert!(bucket.take(later(31), 30, 60));
        assert!(!bucket.take(later(31), 1, 60));
        // More than it ever holds, once it is full; then for longer nothing.
        assert!(bucket.take(later(200), 100, 60));
        assert!(!bucket.take(later(260), 30, 60));
    }

    #[test]
    fn each_kind_is_counted_by_itself_and_0_is_no_limit() {
        let limits = limits(&NetworkLimitsConfig {
            messages_per_minute: 1,
            recipients_per_minute: 0,
            ..NetworkLimitsConfig::default()
        });
        let connected = limits.connect(address("192.0.2.1")).unwrap();
        connected.spend(Counted::Messages, 1).unwrap();
        assert_eq!(connected.spend(Counted::Messages, 1).unwrap_err().code, 450);
        connected.spend(Counted::Recipients, 1_000_000).unwrap();
        connected.spend(Counted::Commands, 10).unwrap();
    }
}
