//! Who wants to log in, as far as it is known before.

use std::net::IpAddr;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sasl::Binding;
use service::tls::{Accepted, ClientCertificate};

use crate::metrics::Protocol;

/// Padding is wanted (RFC 4648 §4), but some programs leave it out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A client that has not logged in yet.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where it is, if that is known.
    pub address: Option<IpAddr>,
    /// What it speaks.
    pub protocol: Protocol,
    /// TLS, if it is in use.
    pub tls: Option<Tls>,
}

/// What TLS tells of a client.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// By which its channel can be bound.
    pub bindings: Binding,
    /// The certificate that it has shown and that was verified.
    pub certificate: Option<ClientCertificate>,
}

impl<S> From<&Accepted<S>> for Tls {
    fn from(accepted: &Accepted<S>) -> Self {
        let (_, connection) = accepted.stream.get_ref();
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let bindings = &accepted.bindings;
        Self {
            bindings: Binding {
                tls_exporter: bindings.exporter.map(Into::into),
                tls_server_end_point: bindings.end_point.as_deref().map(Into::into),
            },
            certificate: certificate.map(ClientCertificate::read),
        }
    }
}

/// A challenge as the text protocols send it.
pub fn encode(challenge: &[u8]) -> String {
    LENIENT.encode(challenge)
}

/// A client's response as the text protocols send it. None if it is not base64.
pub fn decode(line: &[u8]) -> Option<Vec<u8>> {
    LENIENT.decode(line).ok()
}

/// A response that comes with the command, where `=` stands for one that is empty (RFC 4959 §3, RFC 5034 §4).
pub fn decode_initial(word: &[u8]) -> Option<Vec<u8>> {
    if word == b"=" { Some(Vec::new()) } else { decode(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_base64_with_or_without_padding() {
        assert_eq!(decode(b"AHRpbQBw"), Some(b"\0tim\0p".to_vec()));
        assert_eq!(decode(b"dGlt"), decode(b"dGlt"));
        assert_eq!(decode(b"dA=="), decode(b"dA"));
        assert_eq!(decode(b""), Some(Vec::new()));
        for malformed in [&b"="[..], b"!!!", b"dGl t"] {
            assert_eq!(decode(malformed), None);
        }
        assert_eq!(decode_initial(b"="), Some(Vec::new()));
    }
}
