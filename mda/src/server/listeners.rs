//! What mail clients connect to: IMAP and POP3, each with and without TLS from the first octet.

use std::{net::SocketAddr, sync::Arc};

use service::{
    drain::Shutdown,
    grpc::server as grpc,
    listen::{ListenError, ListenMetrics, Listener, ListenerOptions},
    telemetry::HttpServer,
};

use super::Addresses;
use crate::{
    config::{Config, ListenConfig},
    imap::{self, Imap},
    pop3::{self, Pop3},
    store::LocalStore,
};

/// Every listener, bound.
pub(super) struct Listeners {
    imap: Vec<Listener>,
    imaps: Vec<Listener>,
    pop3: Vec<Listener>,
    pop3s: Vec<Listener>,
}

impl Listeners {
    pub(super) fn bind(config: &Config, metrics: &ListenMetrics) -> Result<Self, ListenError> {
        let imap = |name| ListenerOptions {
            name,
            max_connections: config.limits.imap_connections,
            max_per_network: None,
            busy_reply: imap::BUSY_REPLY,
        };
        let pop3 = |name| ListenerOptions {
            name,
            max_connections: config.limits.pop3_connections,
            max_per_network: None,
            busy_reply: pop3::BUSY_REPLY,
        };
        // Under TLS a reply in clear would be noise.
        let secret = |options| ListenerOptions { busy_reply: b"", ..options };
        Ok(Self {
            imap: bind(&config.imap, &imap("imap"), metrics)?,
            imaps: bind(&config.imaps, &secret(imap("imaps")), metrics)?,
            pop3: bind(&config.pop3, &pop3("pop3"), metrics)?,
            pop3s: bind(&config.pop3s, &secret(pop3("pop3s")), metrics)?,
        })
    }

    pub(super) fn addresses(&self, grpc: &grpc::Server, http: &HttpServer) -> Addresses {
        let of = |listeners: &[Listener]| listeners.iter().map(Listener::local_address).collect();
        Addresses {
            imap: of(&self.imap),
            imaps: of(&self.imaps),
            pop3: of(&self.pop3),
            pop3s: of(&self.pop3s),
            grpc: grpc.local_address(),
            http: http.local_address(),
        }
    }

    pub(super) async fn serve(
        self,
        imap: Imap<LocalStore>,
        pop3: Arc<Pop3<LocalStore>>,
        shutdown: &Shutdown,
    ) {
        let serve_imap = |beginning| {
            let (imap, token) = (imap.clone(), shutdown.token());
            move |stream, peer| {
                let (imap, token) = (imap.clone(), token.clone());
                async move { imap.serve(stream, peer, beginning, token).await }
            }
        };
        let serve_pop3 = |beginning| {
            let (pop3, shutdown) = (pop3.clone(), shutdown.clone());
            move |stream, peer| {
                let (pop3, shutdown) = (pop3.clone(), shutdown.clone());
                async move { pop3.serve(stream, peer, beginning, &shutdown).await }
            }
        };
        tokio::join!(
            serve_all(self.imap, serve_imap(imap::Beginning::Plain), shutdown),
            serve_all(self.imaps, serve_imap(imap::Beginning::ImplicitTls), shutdown),
            serve_all(self.pop3, serve_pop3(pop3::Beginning::Plain), shutdown),
            serve_all(self.pop3s, serve_pop3(pop3::Beginning::ImplicitTls), shutdown),
        );
    }
}

fn bind(
    config: &ListenConfig,
    options: &ListenerOptions,
    metrics: &ListenMetrics,
) -> Result<Vec<Listener>, ListenError> {
    let bind = |address: &SocketAddr| Listener::bind(*address, options.clone(), metrics.clone());
    config.listen.iter().map(bind).collect()
}

/// Serves one protocol on all its addresses.
async fn serve_all<F>(
    listeners: Vec<Listener>,
    serve: impl Fn(tokio::net::TcpStream, SocketAddr) -> F,
    shutdown: &Shutdown,
) where
    F: Future<Output = ()> + Send + 'static,
{
    futures_util::future::join_all(listeners.into_iter().map(|listener| listener.serve(shutdown, &serve)))
        .await;
}
