//! The client: calls balanced over all addresses of all nodes of a service.
//!
//! ```text
//! names → resolve (again and again) → one member per address: connect, watch its health → pick the least busy
//! ```

mod balance;
mod channel;
mod connect;
mod member;
mod resolve;

use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Status};

pub use channel::PeerChannel;

use self::{balance::Pool, connect::Connector, resolve::Name};
use crate::{
    config::PeerConfig,
    dns::{DnsSetupError, Hosts},
    tls::{PeerIdentity, Role},
};

/// Why a client cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is nobody to call.
    #[error("no addresses are configured for the {0}")]
    NoAddresses(Role),
    /// Not `host:port`.
    #[error("`{0}` is not an address: write host:port, an IPv6 address in brackets")]
    Address(String),
    /// The name that certificates should carry is none.
    #[error("`{0}` is not a name that a certificate can carry")]
    ServerName(String),
    /// The system's resolver configuration is of no use.
    #[error(transparent)]
    Dns(#[from] DnsSetupError),
}

/// Who is called.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The role that the peers' certificates must name.
    pub role: Role,
    /// The full name of the service whose health decides, such as `waypost.mta.v1.Transfer`.
    pub service: &'static str,
}

/// Whether a call may be made again at another node after an unclear failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The call carries an idempotency key, or only reads.
    Idempotent,
    /// The call may have had an effect that another attempt would repeat.
    Never,
}

/// Attempts of an idempotent call, the first one included.
const ATTEMPTS: usize = 3;

/// Channels to all nodes of one service. Clones are the same; the connections close with the last of them.
#[derive(Clone, Debug)]
pub struct Channels(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) pool: Arc<Pool>,
    _stop: DropGuard,
}

impl Channels {
    /// Starts to connect to all addresses in the background. Needs a runtime.
    ///
    /// Without an identity, calls go in plaintext, and to loopback addresses only.
    pub fn new(
        config: &PeerConfig,
        target: Target,
        identity: Option<PeerIdentity>,
    ) -> Result<Self, ClientError> {
        if config.addresses.is_empty() {
            return Err(ClientError::NoAddresses(target.role));
        }
        let names =
            config.addresses.iter().map(|address| address.parse()).collect::<Result<Vec<Name>, _>>()?;
        let hosts = Hosts::of_system()?;
        let connector = Connector::new(config, target, identity)?;
        let pool = Arc::new(Pool::new(config, target));
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(resolve::keep_resolved(
            pool.clone(),
            names,
            hosts,
            connector,
        )));
        Ok(Self(Arc::new(Shared { pool, _stop: stop.drop_guard() })))
    }

    /// The healthy node with the fewest calls in flight. If there is none it waits for one, up to the configured
    /// `wait`, and then is UNAVAILABLE.
    pub async fn pick(&self) -> Result<PeerChannel, Status> {
        self.0.pool.pick(&[]).await
    }

    /// Whether any node is healthy now.
    pub fn is_ready(&self) -> bool {
        self.0.pool.is_ready()
    }

    /// Makes a call at the node that is picked. An idempotent call that meets UNAVAILABLE is made again, at other
    /// nodes first.
    pub async fn call<T, F, R>(&self, retry: Retry, mut call: F) -> Result<T, Status>
    where
        F: FnMut(PeerChannel) -> R,
        R: Future<Output = Result<T, Status>>,
    {
        let mut tried = Vec::new();
        loop {
            let channel = self.0.pool.pick(&tried).await?;
            tried.push(channel.address());
            match call(channel).await {
                Err(status)
                    if retry == Retry::Idempotent
                        && status.code() == Code::Unavailable
                        && tried.len() < ATTEMPTS => {}
                result => return result,
            }
        }
    }
}
