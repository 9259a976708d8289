//! A gRPC connection to one service, with mutual TLS.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use service::tls::PeerIdentity;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::Credentials;
use crate::failure::{Explain, Failure, chain};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions and answers are short; one that takes so long has lost its service.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Connects to a service at `host:port`; the host must stand in the service's certificate.
pub(crate) async fn channel(address: &str, credentials: &Credentials) -> Result<Channel, Failure> {
    channel_for(address, credentials, CALL_TIMEOUT).await
}

/// As [`channel`], for calls that may take longer than questions do.
pub(crate) async fn channel_for(
    address: &str,
    credentials: &Credentials,
    call_timeout: Duration,
) -> Result<Channel, Failure> {
    let what = || format!("cannot reach {address}");
    let Credentials { ca, certificate, key } = credentials;
    let identity = PeerIdentity::from_files(certificate, key, ca).explain(what)?;
    let name = ServerName::try_from(host_of(address).to_owned()).explain(what)?;
    let connector = tower::service_fn({
        let (address, tls) = (address.to_owned(), TlsConnector::from(identity.client_config()));
        move |_: Uri| {
            let (address, tls, name) = (address.clone(), tls.clone(), name.clone());
            async move {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                io::Result::Ok(TokioIo::new(tls.connect(name, stream).await?))
            }
        }
    });
    // The URI only names the authority; where to connect is the connector's business.
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .explain(what)?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(call_timeout);
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, endpoint.connect_with_connector(connector)).await;
    match connected {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(Failure::new(what(), plain(&chain(&error)))),
        Err(_) => Err(Failure::new(what(), format!("no connection after {} s", CONNECT_TIMEOUT.as_secs()))),
    }
}

/// Whether the service says that it is ready for work.
pub(crate) async fn is_serving(address: &str, credentials: &Credentials) -> Result<bool, Failure> {
    let mut health = HealthClient::new(channel(address, credentials).await?);
    let answer = health
        .check(HealthCheckRequest { service: String::new() })
        .await
        .map_err(|error| status(format!("cannot ask {address} for its health"), &error))?;
    Ok(answer.into_inner().status() == ServingStatus::Serving)
}

/// A failed call as a failure: what the service said, or what its code means where it said nothing.
pub(crate) fn status(what: impl Into<String>, status: &Status) -> Failure {
    let why = if status.message().is_empty() { status.code().description() } else { status.message() };
    let failure = Failure::new(what, why);
    match status.code() {
        // Not every refusal is about the certificate: an account may not send as another either.
        Code::PermissionDenied if status.message().starts_with("the role ") => {
            failure.advise("the certificate must name the role operator: use tls/operator.pem")
        }
        Code::Unavailable | Code::DeadlineExceeded => {
            failure.advise("is the service running? its log tells more")
        }
        _ => failure,
    }
}

/// The host of `host:port`, an IPv6 address without its brackets.
pub(crate) fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    bare.filter(|bare| bare.parse::<IpAddr>().is_ok()).unwrap_or(host)
}

/// The cause without the layers that only say that something failed.
fn plain(chain: &str) -> String {
    chain.strip_prefix("transport error: ").unwrap_or(chain).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_ports() {
        for (address, host) in [
            ("127.0.0.1:7025", "127.0.0.1"),
            ("[::1]:7025", "::1"),
            ("mta.example.test:7025", "mta.example.test"),
            ("mta", "mta"),
        ] {
            assert_eq!(host_of(address), host);
        }
    }

    #[test]
    fn a_refusal_says_which_certificate_is_needed() {
        let failure = status("cannot list", &Status::permission_denied("the role msa may not"));
        assert!(
            failure.to_string().starts_with("cannot list: the role msa may not (the certificate must name")
        );
        let failure = status("cannot send", &Status::permission_denied("bob is not your address"));
        assert_eq!(failure.to_string(), "cannot send: bob is not your address");
        let failure = status("cannot list", &Status::not_found(""));
        assert_eq!(failure.to_string(), "cannot list: Some requested entity was not found");
    }

    #[tokio::test]
    async fn a_missing_certificate_is_named() {
        let credentials =
            Credentials { ca: "/no/ca".into(), certificate: "/no/me".into(), key: "/no/key".into() };
        let failure = channel("127.0.0.1:1", &credentials).await.unwrap_err().to_string();
        assert!(failure.starts_with("cannot reach 127.0.0.1:1: cannot read /no/me: "), "{failure}");
    }
}
