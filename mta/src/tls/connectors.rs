//! TLS clients, one for each kind of trust, kept so that sessions can be resumed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, Error, RootCertStore};
use tls_policy::verifier::{Trust, Verifier};
use tokio_rustls::TlsConnector;

/// Clients that are kept at most.
const MOST: usize = 1_000;
/// Servers whose sessions one client remembers: with [`Trust::Any`] it speaks to all, else mostly to one.
const SERVERS_OF_ANY: usize = 1_000;
const SERVERS_OF_ONE: usize = 1;
/// Sessions that rustls makes room for with each server.
const SESSIONS_OF_SERVER: usize = 8;

/// Makes TLS clients.
pub(super) struct Connectors {
    /// Whom [`Trust::Pkix`] means.
    authorities: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    kept: Mutex<HashMap<Trust, Client>>,
}

/// A TLS client, and how it judges.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) connector: TlsConnector,
    pub(super) verifier: Arc<Verifier>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.verifier.trust())
    }
}

impl Connectors {
    pub(super) fn new(authorities: Arc<RootCertStore>, provider: Arc<CryptoProvider>) -> Self {
        Self { authorities, provider, kept: Mutex::default() }
    }

    /// The client that trusts in this way.
    pub(super) fn client(&self, trust: Trust) -> Result<Client, Error> {
        let mut kept = self.kept.lock();
        if let Some(client) = kept.get(&trust) {
            return Ok(client.clone());
        }
        let client = self.build(trust.clone())?;
        if kept.len() >= MOST {
            // All that is lost is some sessions that could have been resumed.
            kept.clear();
        }
        kept.insert(trust, client.clone());
        Ok(client)
    }

    /// A judge without a client: for what is only watched.
    pub(super) fn verifier(&self, trust: Trust) -> Verifier {
        Verifier::new(trust, Arc::clone(&self.authorities), Arc::clone(&self.provider))
    }

    fn build(&self, trust: Trust) -> Result<Client, Error> {
        let servers = if trust == Trust::Any { SERVERS_OF_ANY } else { SERVERS_OF_ONE };
        let verifier = Arc::new(self.verifier(trust));
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Verifier>::clone(&verifier))
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(servers * SESSIONS_OF_SERVER);
        Ok(Client { connector: TlsConnector::from(Arc::new(config)), verifier })
    }
}
