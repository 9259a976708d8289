//! What is wrong with a server's certificates.

use std::sync::Arc;

use rustls::{CertificateError, Error, OtherError};

/// Why a server is not who it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The server showed none.
    #[error("the server showed no certificate")]
    NoCertificate,
    /// It is for other names; holds those that were wanted.
    #[error("the certificate is not for {0}")]
    Name(String),
    /// It, or one that it rests on, is no longer valid.
    #[error("the certificate has expired")]
    Expired,
    /// It, or one that it rests on, is not valid yet.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// No authority that is trusted here signed it.
    #[error("the certificate is not from an authority that is trusted here")]
    Untrusted,
    /// No TLSA record names it.
    #[error("no TLSA record names the certificate")]
    NotNamed,
    /// TLSA records name an authority that the server did not show.
    #[error("no certificate of the server's chain is named by a TLSA record")]
    NoAnchor,
    /// It is none of the known ones.
    #[error("the certificate has none of the fingerprints that the route names")]
    Fingerprint,
    /// Anything else: what TLS says.
    #[error("the certificate is not valid: {0}")]
    Invalid(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let Error::InvalidCertificate(reason) = error else { return Self::Invalid(error.to_string()) };
        match reason {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            // Also a chain in which a signature does not hold: whoever made it, no trusted authority did.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Untrusted,
            reason => Self::Invalid(reason.to_string()),
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault))))
    }
}
