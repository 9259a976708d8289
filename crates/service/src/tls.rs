//! TLS: identities that are read again without dropping a connection, and the roles that certificates name.
//!
//! There are two kinds of identity. [`PublicIdentity`] is what mail clients and other mail servers see: TLS 1.2 and
//! 1.3, with a client certificate if authorities for those are configured. [`PeerIdentity`] is what the services show each other: TLS 1.3 only, both sides with
//! a certificate of the same authority.

mod client;
mod peer;
mod pem;
mod public;
mod role;

use std::path::PathBuf;

pub use client::ClientCertificate;
pub use peer::PeerIdentity;
pub use public::{Accepted, Acceptor, ChannelBindings, PublicIdentity, acceptor};
pub(crate) use role::subject;
pub use role::{Role, UnknownRole};

#[cfg(test)]
mod tests;

/// Why an identity cannot be used; names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not PEM, or lacks what it is there for.
    #[error("cannot use {path}: {reason}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not go together, or the authority is of no use.
    #[error("cannot use {certificate} with {key}: {error}")]
    Identity {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// The certificate's role is missing, so no other service would accept it.
    #[error(
        "cannot use {path}: the certificate names no role; it needs one URI such as urn:waypost:role:mta"
    )]
    NoRole {
        /// The certificate's file.
        path: PathBuf,
    },
    /// The authorities cannot verify anybody.
    #[error("cannot use {path}: {reason}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Makes aws-lc-rs the process's cryptography. The first thing a `main` does; later calls change nothing.
pub fn install_provider() {
    // The only error is that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
