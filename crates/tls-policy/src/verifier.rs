//! The judgement on a server's certificates: once during the handshake, and again whenever a session that is there is
//! to carry mail that asks for more.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::dane::TlsaSet;

mod fault;
mod fingerprint;

pub use fault::Fault;
pub use fingerprint::{Fingerprint, FingerprintError};

#[cfg(test)]
mod tests;

/// What makes a server's certificate good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Nothing: any will do. That the server holds its key is still checked.
    Any,
    /// An authority that is trusted here signed it, for one of these names (RFC 6125).
    Pkix {
        /// In ASCII.
        names: Vec<String>,
    },
    /// TLSA records name it, or name its authority; that one must have signed it for one of these names (RFC 7672
    /// §3.2.3).
    Dane {
        /// Usable ones.
        records: TlsaSet,
        /// In ASCII.
        names: Vec<String>,
    },
    /// It is one of these.
    Fingerprint(Vec<Fingerprint>),
}

/// Judges by a [`Trust`], and by authorities where that needs them.
#[derive(Clone, Debug)]
pub struct Verifier {
    trust: Trust,
    authorities: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// `authorities` are the ones that [`Trust::Pkix`] means.
    pub fn new(trust: Trust, authorities: Arc<RootCertStore>, provider: Arc<CryptoProvider>) -> Self {
        Self { trust, authorities, provider }
    }

    /// What it judges by.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Judges the certificates that a server showed, its own first.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Fault> {
        let (own, rest) = chain.split_first().ok_or(Fault::NoCertificate)?;
        match &self.trust {
            Trust::Any => Ok(()),
            Trust::Fingerprint(known) => {
                if known.iter().any(|fingerprint| fingerprint.matches(own)) {
                    Ok(())
                } else {
                    Err(Fault::Fingerprint)
                }
            }
            Trust::Pkix { names } => self.judge_chain(own, rest, &self.authorities, names, now),
            Trust::Dane { records, names } => {
                if records.names_end_entity(own) {
                    return Ok(());
                }
                let mut anchors = RootCertStore::empty();
                anchors.add_parsable_certificates(records.trust_anchors(chain));
                if anchors.is_empty() {
                    return Err(if records.has_trust_anchors() { Fault::NoAnchor } else { Fault::NotNamed });
                }
                self.judge_chain(own, rest, &anchors, names, now)
            }
        }
    }

    fn judge_chain(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        anchors: &RootCertStore,
        names: &[String],
        now: UnixTime,
    ) -> Result<(), Fault> {
        let parsed = ParsedCertificate::try_from(own)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, anchors, rest, now, algorithms)?;
        let is_for = |name: &String| {
            ServerName::try_from(name.as_str()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
        };
        if names.iter().any(is_for) { Ok(()) } else { Err(Fault::Name(names.join(", "))) }
    }
}

impl ServerCertVerifier for Verifier {
    /// The names that count are the [`Trust`]'s, whichever was asked for in the handshake.
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(own).chain(rest).cloned().collect();
        match self.judge(&chain, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(fault) => Err(fault.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The fault for which a handshake was broken off, if it was for the certificate.
pub fn fault_of(error: &(dyn std::error::Error + 'static)) -> Option<Fault> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(Error::InvalidCertificate(CertificateError::Other(other))) = error.downcast_ref() {
            return other.0.downcast_ref::<Fault>().cloned();
        }
        // An `io::Error` hides what it wraps from `source`.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

impl fmt::Display for Trust {
    /// By whom or what a server is known, in the words of a trace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any certificate"),
            Self::Pkix { names } => write!(f, "a certificate for {}", names.join(" or ")),
            Self::Dane { .. } => f.write_str("DANE"),
            Self::Fingerprint(_) => f.write_str("fingerprint"),
        }
    }
}
