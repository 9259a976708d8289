//! What a client is offered.

use std::net::IpAddr;

use sasl::Mechanism;

use super::Client;
use crate::config::{MechanismName, SaslConfig};

/// The mechanisms of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Offers(SaslConfig);

/// What can work at all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Possible {
    /// Some account has keys for SCRAM.
    pub(super) scram: bool,
    /// Access tokens can be asked about.
    pub(super) tokens: bool,
    /// The client's certificate is somebody's.
    pub(super) certificate: bool,
}

impl Offers {
    pub(super) fn new(config: &SaslConfig) -> Self {
        Self(config.clone())
    }

    /// What this client is offered, the strongest first. Whether it may log in at all is for its protocol to say.
    pub(super) fn to(&self, client: &Client, possible: Possible) -> Vec<Mechanism> {
        let listed = self.listed(client.address);
        let can = |mechanism: &Mechanism| {
            listed.contains(&MechanismName(*mechanism)) && works(*mechanism, client, possible)
        };
        Mechanism::ALL.into_iter().filter(can).collect()
    }

    fn listed(&self, client: Option<IpAddr>) -> &[MechanismName] {
        let named = |address: IpAddr| {
            let exceptions = &mut self.0.exceptions.iter();
            exceptions.find(|exception| exception.networks.iter().any(|network| network.contains(address)))
        };
        client.and_then(named).map_or(&self.0.mechanisms, |exception| &exception.mechanisms)
    }
}

fn works(mechanism: Mechanism, client: &Client, possible: Possible) -> bool {
    let tls = client.tls.as_ref();
    match mechanism {
        Mechanism::Plain | Mechanism::Login => true,
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => possible.tokens,
        Mechanism::External => possible.certificate,
        scram => {
            let binds = scram.scram().is_some_and(|(_, binds)| binds);
            possible.scram && (!binds || tls.is_some_and(|tls| !tls.bindings.is_empty()))
        }
    }
}
