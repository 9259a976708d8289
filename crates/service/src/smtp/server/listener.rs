//! A port on which SMTP is served.

use tokio_util::sync::CancellationToken;

use super::{Handler, Options, Security, lists, serve_connection};
use crate::drain::Shutdown;
use crate::listen::Listener;
use crate::listen::proxy::{self, Proxied};

/// What a client hears when there are too many.
pub const BUSY_REPLY: &[u8] = b"421 4.3.2 too many connections, try again later\r\n";

/// A bound port with its protection and what it offers.
pub struct Port {
    /// Where clients connect.
    pub listener: Listener,
    /// Its TLS.
    pub security: Security,
    /// What is offered there, and the limits.
    pub options: Options,
}

impl Port {
    /// Serves clients until the shutdown starts, each with a handler of its own, as tasks of the shutdown.
    pub async fn serve<H: Handler + 'static>(self, shutdown: &Shutdown, handler: impl Fn() -> H) {
        let Self { listener, security, options } = self;
        let local = listener.local_address();
        let stop: CancellationToken = shutdown.token();
        listener
            .serve(shutdown, |mut stream, peer| {
                let (security, options, stop) = (security.clone(), options.clone(), stop.clone());
                let handler = handler();
                async move {
                    let (mut peer, mut local) = (peer, local);
                    if lists(&options.arrival.proxies, peer) {
                        let header = tokio::select! {
                            header = proxy::read_header(&mut stream) => header,
                            () = stop.cancelled() => return,
                        };
                        match header {
                            Ok(Proxied::Client { source, destination }) => {
                                (peer, local) = (source, destination);
                            }
                            Ok(Proxied::Local) => {}
                            Err(error) => {
                                tracing::info!(proxy = %peer, %error, "connection closed");
                                return;
                            }
                        }
                    }
                    let end =
                        serve_connection(stream, peer, local, &security, &options, handler, &stop).await;
                    tracing::debug!(%peer, %end, "SMTP session ended");
                }
            })
            .await;
    }
}
