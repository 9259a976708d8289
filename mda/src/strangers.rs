//! Connections that nobody has logged in on yet: so many from one network, and no more, so that no one host can take them
//! all from the others.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use service::listen::{Limits as Connections, Permit};

use crate::config::Limits;

/// How often it is logged that some were refused: whoever comes that often must not fill the log.
const LOGGED_EVERY: Duration = Duration::from_mins(1);

/// The connections of one protocol that have not logged in.
#[derive(Debug)]
pub(crate) struct Strangers {
    connections: Option<Connections>,
    refused: Mutex<Refused>,
}

/// Those that were refused since it was logged.
#[derive(Debug, Default)]
struct Refused {
    number: u64,
    logged: Option<Instant>,
}

/// There are too many of that network.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Strangers {
    pub(crate) fn new(limits: &Limits) -> Self {
        let number = limits.strangers_per_network;
        let connections = (number > 0).then(|| Connections::new(usize::MAX, Some(number)));
        Self { connections, refused: Mutex::default() }
    }

    /// To be held until login; None where nothing is counted. Who is on this machine is no stranger.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<Option<Permit>, TooMany> {
        let address = address.to_canonical();
        match &self.connections {
            Some(connections) if !address.is_loopback() => {
                connections.admit(address).map(Some).ok_or_else(|| self.refuse(address))
            }
            _ => Ok(None),
        }
    }

    fn refuse(&self, address: IpAddr) -> TooMany {
        let mut refused = self.refused.lock();
        refused.number += 1;
        if refused.logged.is_none_or(|logged| logged.elapsed() >= LOGGED_EVERY) {
            let number = std::mem::take(&mut refused.number);
            refused.logged = Some(Instant::now());
            tracing::warn!(
                %address,
                refused = number,
                "too many connections of its network are not logged in (limits.strangers_per_network)"
            );
        }
        TooMany
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_so_many_and_this_machine_any() {
        let strangers = Strangers::new(&Limits { strangers_per_network: 1, ..Limits::default() });
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = strangers.admit(address("192.0.2.1")).unwrap();
        assert!(first.is_some());
        assert!(strangers.admit(address("::ffff:192.0.2.200")).is_err());
        assert!(strangers.admit(address("198.51.100.1")).is_ok());
        assert!(strangers.admit(address("127.0.0.1")).is_ok_and(|permit| permit.is_none()));
        drop(first);
        assert!(strangers.admit(address("192.0.2.200")).is_ok());
        let unlimited = Strangers::new(&Limits { strangers_per_network: 0, ..Limits::default() });
        assert!(unlimited.admit(address("192.0.2.1")).is_ok_and(|permit| permit.is_none()));
    }
}
