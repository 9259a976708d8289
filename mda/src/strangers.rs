//! Connections that nobody has logged in on yet: so many from one network, and no more, so that no one host can take them
//! all from the others.

use std::net::IpAddr;

use service::listen::{Limits as Connections, Permit};

use crate::config::Limits;

/// The connections of one protocol that have not logged in.
#[derive(Debug)]
pub(crate) struct Strangers(Option<Connections>);

/// There are too many of that network.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Strangers {
    pub(crate) fn new(limits: &Limits) -> Self {
        let number = limits.strangers_per_network;
        Self((number > 0).then(|| Connections::new(usize::MAX, Some(number))))
    }

    /// To be held until login; None where nothing is counted. Who is on this machine is no stranger.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<Option<Permit>, TooMany> {
        let address = address.to_canonical();
        match &self.0 {
            Some(connections) if !address.is_loopback() => {
                connections.admit(address).map(Some).ok_or(TooMany)
            }
            _ => Ok(None),
        }
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
