//! IMAP4rev1 and IMAP4rev2 (RFC 3501, RFC 9051).
//!
//! From the outside in: [`Imap::serve`] runs one connection to its end; the session executes its commands, a module for
//! each family; `wire` moves octets; `view` is what the client believes about the selected mailbox; `parse` and
//! `response` are the protocol's two directions, without I/O. Mail is reached through [`MailStore`] only.
//!
//! `\Recent` is gone from IMAP4rev2, and would cost a durable write per SELECT: to IMAP4rev1 clients no message is ever
//! recent (`0 RECENT`), which RFC 3501 leaves to the server.

mod content;
mod deflate;
pub mod name;
pub mod parse;
mod response;
mod session;
mod view;
mod wire;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use service::tls::Acceptor;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::auth::Authenticator;
use crate::config::{HideConfig, Limits, PlaintextAuth};
pub use crate::fulltext::FullText;
use crate::metrics::Metrics;
use crate::store::MailStore;
use crate::strangers::Strangers;

use deflate::Deflaters;
use parse::FrameLimits;
use session::{Budget, Session};
use wire::{Patience, Wire};

pub(crate) use session::can_be_hidden;
pub use wire::Stream;

/// Before login: names, passwords and SASL responses fit, access tokens among them.
const LIMITS_BEFORE_LOGIN: FrameLimits = FrameLimits { command: 12_288 + 256, message: 0 };
/// Octets of a command: sets of ten thousands of UIDs fit.
const COMMAND: usize = 256 * 1024;
/// Octets of messages that all sessions together hold in memory to look into them.
const LOOK_INTO: usize = 256 << 20;

/// What a client beyond the limit of connections is told.
pub(crate) const BUSY_REPLY: &[u8] = b"* BYE [UNAVAILABLE] too many connections, try again later\r\n";

/// What every session needs. Clones are handles to the same.
pub struct Imap<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for Imap<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// What IMAP is set up with.
pub struct Options {
    /// In the greeting.
    pub hostname: String,
    /// May passwords travel in clear?
    pub plaintext_auth: PlaintextAuth,
    /// What a client may take.
    pub limits: Limits,
    /// For STARTTLS, and for connections under TLS from the first octet.
    pub tls: Option<Acceptor>,
    /// What is hidden from whom.
    pub hide: Vec<HideConfig>,
    /// Spares searches the reading of messages.
    pub full_text: FullText,
    /// What is counted.
    pub metrics: Metrics,
}

/// How a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// In clear, port 143.
    Plain,
    /// With a TLS handshake, port 993.
    ImplicitTls,
}

struct Shared<S> {
    store: S,
    authenticator: Authenticator,
    options: Options,
    /// In KiB, see [`LOOK_INTO`].
    look_into: Arc<Semaphore>,
    deflaters: Arc<Deflaters>,
    /// What clients follow the results of.
    contexts: Arc<Budget>,
    strangers: Strangers,
}

impl<S: MailStore> Imap<S> {
    /// Serves the store's mail to those whom the authenticator lets in.
    pub fn new(store: S, authenticator: Authenticator, options: Options) -> Self {
        let look_into = Arc::new(Semaphore::new(LOOK_INTO / 1024));
        let (deflaters, strangers) = (Arc::default(), Strangers::new(&options.limits));
        let contexts =
            Budget::new(*options.limits.imap_contexts, options.metrics.imap_context_octets.clone());
        let shared = Shared { store, authenticator, options, look_into, deflaters, contexts, strangers };
        Self { shared: Arc::new(shared) }
    }

    #[cfg(test)]
    fn authenticator(&self) -> &Authenticator {
        &self.shared.authenticator
    }

    /// Runs a connection to its end. When `shutdown` is given the command in progress is finished, and the client is
    /// told BYE.
    pub async fn serve(
        &self,
        stream: impl Stream + 'static,
        peer: SocketAddr,
        beginning: Beginning,
        shutdown: CancellationToken,
    ) {
        let Ok(stranger) = self.shared.strangers.admit(peer.ip()) else {
            refuse(stream, beginning).await;
            return;
        };
        let limits = &self.shared.options.limits;
        let mut wire = Wire::new(
            Box::new(stream),
            LIMITS_BEFORE_LOGIN,
            Patience::Until(Instant::now() + *limits.login_timeout),
            *limits.write_timeout,
            shutdown,
        );
        let mut tls = None;
        if beginning == Beginning::ImplicitTls {
            let Some(acceptor) = &self.shared.options.tls else {
                tracing::error!(%peer, "no certificate for a listener under tls");
                return;
            };
            match wire.upgrade(acceptor, LIMITS_BEFORE_LOGIN).await {
                Ok(begun) => tls = Some(begun),
                Err(error) => {
                    tracing::debug!(%peer, %error, "tls handshake failed");
                    return;
                }
            }
        }
        Session::new(Arc::clone(&self.shared), wire, peer, tls, stranger).run().await;
    }
}

/// A client of a network that has too many connections. Under TLS a reply in clear would be noise.
async fn refuse(mut stream: impl Stream, beginning: Beginning) {
    if beginning == Beginning::Plain {
        // It is not waited for.
        let _ = timeout(Duration::from_secs(1), stream.write_all(BUSY_REPLY)).await;
    }
}

impl<S> Shared<S> {
    fn limits_after_login(&self) -> FrameLimits {
        FrameLimits { command: COMMAND, message: *self.options.limits.message_size }
    }
}
