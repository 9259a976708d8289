//! HTTPS as policies and reports need it: one request, one small answer, no redirects.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::Either;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error as TlsError, RootCertStore};
use service::dns::{Dns, DnsError};
use tls_policy::verifier::{Trust, Verifier, fault_of};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

#[cfg(test)]
mod tests;

/// How long to wait for a connection to one address.
const CONNECT: Duration = Duration::from_secs(15);
/// Addresses that are tried.
const MOST_ADDRESSES: usize = 6;

/// Asks HTTPS servers whose certificates are checked.
#[derive(Clone)]
pub(super) struct Https {
    dns: Dns,
    authorities: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

/// What is asked.
pub(super) struct Query<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    /// With a leading slash.
    pub(super) path: &'a str,
    /// To send, with its media type; nothing means GET.
    pub(super) post: Option<(Bytes, &'static str)>,
    /// Octets of an answer that are read at most.
    pub(super) limit: usize,
    /// How long all of it may take.
    pub(super) within: Duration,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `text/plain` and the like, in lower case and without parameters; empty if there is none.
    pub(super) media_type: String,
    pub(super) body: Bytes,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpsError {
    #[error("the certificate of {host} is not good: {reason}")]
    Certificate { host: String, reason: String },
    #[error("cannot look up {host}: {error}")]
    Dns { host: String, error: DnsError },
    #[error("cannot reach {host}: {reason}")]
    Unreachable { host: String, reason: String },
    #[error("{host} does not answer as it should: {reason}")]
    Broken { host: String, reason: String },
    #[error("{host} took too long")]
    Slow { host: String },
}

impl Https {
    pub(super) fn new(dns: Dns, authorities: Arc<RootCertStore>, provider: Arc<CryptoProvider>) -> Self {
        Self { dns, authorities, provider }
    }

    pub(super) async fn ask(&self, query: Query<'_>) -> Result<Answer, HttpsError> {
        let (host, within) = (query.host.to_owned(), query.within);
        timeout(within, self.exchange(query)).await.unwrap_or(Err(HttpsError::Slow { host }))
    }

    async fn exchange(&self, query: Query<'_>) -> Result<Answer, HttpsError> {
        let host = query.host.to_owned();
        let broken = |reason: String| HttpsError::Broken { host: host.clone(), reason };
        let stream = self.connect(&query).await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(error.to_string()))?;
        let request = request(&query).map_err(|error| broken(error.to_string()))?;
        let limit = query.limit;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = response.status();
            let media_type = response.headers().get(header::CONTENT_TYPE);
            let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
            let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let body = Limited::new(response.into_body(), limit).collect().await;
            let body = body.map_err(|error| error.to_string())?.to_bytes();
            Ok(Answer { status, media_type, body })
        };
        // The connection is what moves the answer on; when it ends before the answer, the answer knows why.
        let answer = std::pin::pin!(answer);
        let connection = std::pin::pin!(connection);
        match futures_util::future::select(answer, connection).await {
            Either::Left((answer, _)) => answer,
            Either::Right((_, answer)) => answer.await,
        }
        .map_err(broken)
    }

    async fn connect(
        &self,
        query: &Query<'_>,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, HttpsError> {
        let host = || query.host.to_owned();
        let unreachable = |reason: String| HttpsError::Unreachable { host: host(), reason };
        let name = ServerName::try_from(host()).map_err(|error| unreachable(error.to_string()))?;
        let connector = self.connector(query.host).map_err(|error| unreachable(error.to_string()))?;
        let mut failure = unreachable("it has no address".into());
        for address in self.addresses(query.host).await?.into_iter().take(MOST_ADDRESSES) {
            let connected = timeout(CONNECT, TcpStream::connect((address, query.port))).await;
            match connected.map_err(std::io::Error::from).flatten() {
                Ok(stream) => {
                    let shaken = connector.connect(name.clone(), stream).await;
                    return shaken.map_err(|error| match fault_of(&error) {
                        Some(fault) => HttpsError::Certificate { host: host(), reason: fault.to_string() },
                        None => unreachable(error.to_string()),
                    });
                }
                Err(error) => failure = unreachable(error.to_string()),
            }
        }
        Err(failure)
    }

    async fn addresses(&self, host: &str) -> Result<Vec<std::net::IpAddr>, HttpsError> {
        let (v6, v4) = tokio::join!(self.dns.aaaa(host), self.dns.a(host));
        let v6 = v6.map(|answer| answer.records.into_iter().map(Into::into).collect::<Vec<_>>());
        let v4 = v4.map(|answer| answer.records.into_iter().map(Into::into).collect::<Vec<_>>());
        match (v6, v4) {
            (Err(_), Err(error)) => Err(HttpsError::Dns { host: host.to_owned(), error }),
            (v6, v4) => Ok(v4.into_iter().chain(v6).flatten().collect()),
        }
    }

    /// A client for one name: what a policy host shows must be for it (RFC 8461 §3.3).
    fn connector(&self, host: &str) -> Result<TlsConnector, TlsError> {
        let trust = Trust::Pkix { names: vec![host.to_owned()] };
        let verifier = Verifier::new(trust, Arc::clone(&self.authorities), Arc::clone(&self.provider));
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn request(query: &Query<'_>) -> Result<Request<Full<Bytes>>, http::Error> {
    const HTTPS_PORT: u16 = 443;
    let host = if query.port == HTTPS_PORT {
        query.host.to_owned()
    } else {
        format!("{}:{}", query.host, query.port)
    };
    let builder =
        Request::builder().uri(query.path).header(header::HOST, host).header(header::CONNECTION, "close");
    match &query.post {
        None => builder.method(Method::GET).body(Full::default()),
        Some((body, media_type)) => builder
            .method(Method::POST)
            .header(header::CONTENT_TYPE, *media_type)
            .body(Full::new(body.clone())),
    }
}
