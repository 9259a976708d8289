//! The identity that mail clients and other mail servers see.

use std::{fmt, sync::Arc};

use parking_lot::RwLock;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use tokio_rustls::TlsAcceptor;

use super::{TlsError, pem};
use crate::cli::Reload;
use crate::config::TlsConfig;

/// A certificate and its key for public listeners. Clones share what is loaded.
///
/// [`reload`](Self::reload) takes effect with the next handshake; connections that are up keep what they have.
#[derive(Clone)]
pub struct PublicIdentity {
    files: TlsConfig,
    current: Arc<Current>,
    server: Arc<ServerConfig>,
}

impl PublicIdentity {
    /// Reads certificate and key.
    pub fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let current = Arc::new(Current(RwLock::new(Arc::new(certified_key(config)?))));
        let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| unusable(config, error))?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        Ok(Self { files: config.clone(), current, server: Arc::new(server) })
    }

    /// Reads the files again. On an error the identity stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(certified_key(&self.files)?);
        *self.current.0.write() = fresh;
        Ok(())
    }

    /// The server side of TLS 1.2 and 1.3 with this identity.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }
}

/// The acceptor for a certificate that is read again at SIGHUP.
pub fn acceptor(config: &TlsConfig, reload: &Reload) -> Result<TlsAcceptor, TlsError> {
    let identity = PublicIdentity::load(config)?;
    let acceptor = TlsAcceptor::from(identity.server_config());
    reload.on("public certificate", move || identity.reload());
    Ok(acceptor)
}

impl fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicIdentity").field("files", &self.files).finish_non_exhaustive()
    }
}

struct Current(RwLock<Arc<CertifiedKey>>);

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

fn certified_key(files: &TlsConfig) -> Result<CertifiedKey, TlsError> {
    let chain = pem::certificates(&files.certificate)?;
    let key = pem::key(&files.key)?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| unusable(files, error))
}

fn unusable(files: &TlsConfig, error: rustls::Error) -> TlsError {
    let TlsConfig { certificate, key } = files.clone();
    TlsError::Identity { certificate, key, error }
}
