//! Access tokens: an authorization server is asked what they mean (RFC 7662).
//!
//! A token that was good is taken again for a short time without asking; a change of the account's password ends that
//! at once. A token that is not good is asked about each time, and counts as a failed login.

use std::{
    collections::HashMap,
    fs, io,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{hmac, rand::SystemRandom};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs as provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use crate::config::OAuthConfig;

/// Octets of an answer that are read at most.
const MAX_ANSWER: usize = 64 * 1024;

/// Questions at the same time.
const MAX_QUESTIONS: usize = 64;

/// Tokens that are remembered at most.
const MAX_KNOWN: usize = 32_768;

/// Asks about tokens, and remembers those that were good.
pub struct Tokens {
    endpoint: Endpoint,
    /// The `Authorization` of our questions.
    authorization: String,
    claim: String,
    scopes: Vec<String>,
    audience: Option<String>,
    timeout: Duration,
    remember: Duration,
    turns: Semaphore,
    /// Tokens are kept as keyed hashes: whoever reads this process' memory later learns none.
    key: hmac::Key,
    known: Mutex<HashMap<[u8; 32], Known>>,
}

/// Where questions go.
struct Endpoint {
    /// As the address says it, for `Host`.
    authority: String,
    host: String,
    port: u16,
    path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A token that was good.
#[derive(Clone)]
struct Known {
    user: String,
    /// The account's password hash when it was asked about.
    hash: String,
    until: Instant,
}

/// Why tokens cannot be asked about at all.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The address is none.
    #[error("`oauth.introspection` is no https address, nor an http address of this machine")]
    Address,
    /// A file cannot be read.
    #[error("[oauth]: cannot use {path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// TLS cannot be set up.
    #[error("[oauth]: {0}")]
    Tls(#[from] rustls::Error),
}

impl Tokens {
    /// Asks where the configuration says.
    pub fn new(config: &OAuthConfig) -> Result<Self, TokensError> {
        let file = |error| TokensError::File { path: config.client_secret_file.display().to_string(), error };
        let secret = fs::read_to_string(&config.client_secret_file).map_err(file)?;
        let (id, secret) = (encode(&config.client_id), encode(secret.trim_end()));
        let random = || TokensError::Tls(rustls::Error::FailedToGetRandomBytes);
        Ok(Self {
            endpoint: Endpoint::new(config)?,
            authorization: format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}"))),
            claim: config.user_claim.clone(),
            scopes: config.scopes.clone(),
            audience: config.audience.clone(),
            timeout: *config.timeout,
            remember: *config.remember,
            turns: Semaphore::new(MAX_QUESTIONS),
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(|_| random())?,
            known: Mutex::default(),
        })
    }

    /// Whose token this is, if it was good a short while ago, and the account's password hash then.
    pub(super) fn recall(&self, token: &str) -> Option<(String, String)> {
        let known = self.known.lock().get(&self.tag(token)).cloned();
        known.filter(|known| Instant::now() < known.until).map(|known| (known.user, known.hash))
    }

    /// Remembers a good token of an account with this password hash.
    pub(super) fn remember(&self, token: &str, good: &Good, hash: &str) {
        let lifetime = good.expires_in.map_or(self.remember, |left| left.min(self.remember));
        if lifetime.is_zero() {
            return;
        }
        let mut known = self.known.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        let entry =
            Known { user: good.user.clone(), hash: hash.to_owned(), until: Instant::now() + lifetime };
        known.insert(self.tag(token), entry);
    }

    /// Asks about a token. None: it is not good. An error: it cannot be told now.
    pub(super) async fn ask(&self, token: &str) -> Result<Option<Good>, String> {
        let asked = timeout(self.timeout, async {
            let _turn = self.turns.acquire().await.map_err(|error| error.to_string())?;
            self.endpoint.ask(&self.authorization, token).await
        });
        let answer = asked.await.unwrap_or_else(|_| Err("it took too long".to_owned()));
        let answer =
            answer.map_err(|reason| format!("asking {} about a token: {reason}", self.endpoint.host))?;
        Ok(self.read(&answer))
    }

    /// RFC 7662 §2.2.
    fn read(&self, answer: &Value) -> Option<Good> {
        if answer.get("active").and_then(Value::as_bool) != Some(true) {
            return None;
        }
        let scope = answer.get("scope").and_then(Value::as_str).unwrap_or_default();
        let is_granted = |wanted: &String| scope.split(' ').any(|granted| granted == wanted);
        let audience = answer.get("aud").unwrap_or(&Value::Null);
        if !self.scopes.iter().all(is_granted)
            || !self.audience.as_deref().is_none_or(|us| is_meant(audience, us))
        {
            return None;
        }
        let user = answer.get(&self.claim).and_then(Value::as_str)?.to_owned();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let left = answer.get("exp").and_then(Value::as_u64).map(|expires| expires.saturating_sub(now));
        let expires_in = left.map(Duration::from_secs);
        (expires_in != Some(Duration::ZERO)).then_some(Good { user, expires_in })
    }

    fn tag(&self, token: &str) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.key, token.as_bytes()).as_ref());
        tag
    }
}

/// Whether an audience, one or a list of some (RFC 7519 §4.1.3), is this one.
fn is_meant(audience: &Value, us: &str) -> bool {
    let others = audience.as_array().map_or(&[][..], Vec::as_slice);
    audience == us || others.iter().any(|other| other == us)
}

/// What is known of a good token.
pub(super) struct Good {
    pub(super) user: String,
    expires_in: Option<Duration>,
}

impl Endpoint {
    fn new(config: &OAuthConfig) -> Result<Self, TokensError> {
        let uri: Uri = config.introspection.parse().map_err(|_| TokensError::Address)?;
        let authority = uri.authority().ok_or(TokensError::Address)?.as_str();
        let authority = authority.rsplit('@').next().unwrap_or(authority).to_owned();
        let host = uri.host().ok_or(TokensError::Address)?.trim_matches(['[', ']']).to_owned();
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        let local = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        let (port, tls) = match uri.scheme_str() {
            Some("https") => (443, Some((connector(config)?, host.clone()))),
            Some("http") if local => (80, None),
            _ => return Err(TokensError::Address),
        };
        let tls = match tls {
            Some((connector, name)) => {
                Some((connector, ServerName::try_from(name).map_err(|_| TokensError::Address)?))
            }
            None => None,
        };
        Ok(Self { authority, host, port: uri.port_u16().unwrap_or(port), path, tls })
    }

    async fn ask(&self, authorization: &str, token: &str) -> Result<Value, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        match &self.tls {
            None => self.exchange(stream, authorization, token).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                self.exchange(stream.map_err(|error| error.to_string())?, authorization, token).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        authorization: &str,
        token: &str,
    ) -> Result<Value, String> {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let body = format!("token={}&token_type_hint=access_token", encode(token));
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(header::HOST, &self.authority)
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(|error| error.to_string())?.to_bytes();
            if status != StatusCode::OK {
                return Err(format!("it answered {status}"));
            }
            serde_json::from_slice(&body).map_err(|error| error.to_string())
        };
        // The connection is what moves the answer on; when it ends before the answer, the answer knows why.
        let answer = std::pin::pin!(answer);
        let connection = std::pin::pin!(connection);
        match futures_util::future::select(answer, connection).await {
            futures_util::future::Either::Left((answer, _)) => answer,
            futures_util::future::Either::Right((_, answer)) => answer.await,
        }
    }
}

fn connector(config: &OAuthConfig) -> Result<TlsConnector, TokensError> {
    let mut roots = RootCertStore::empty();
    match &config.ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let file = |error| TokensError::File { path: path.display().to_string(), error };
            let text = fs::read(path).map_err(file)?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                roots.add(certificate.map_err(|error| file(io::Error::other(error)))?)?;
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// As a form's field (`application/x-www-form-urlencoded`).
fn encode(text: &str) -> String {
    use std::fmt::Write as _;

    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{octet:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_called_what_its_address_calls_it() {
        for (introspection, host, authority) in [
            ("http://[::1]:8080/introspect", "::1", "[::1]:8080"),
            ("https://id.example.test/introspect", "id.example.test", "id.example.test"),
        ] {
            let config = OAuthConfig { introspection: introspection.to_owned(), ..OAuthConfig::default() };
            let endpoint = Endpoint::new(&config).unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.authority.as_str()), (host, authority));
        }
    }
}
