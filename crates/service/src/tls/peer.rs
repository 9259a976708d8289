//! The identity that services show each other.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::RwLock;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier,
    version::TLS13,
};

use super::{Role, TlsError, pem};
use crate::config::GrpcConfig;

/// HTTP/2 is all that gRPC speaks (RFC 7301, RFC 9113 §3.2).
const ALPN: &[u8] = b"h2";

/// A certificate that names a role, its key, and the authorities that others' certificates must be signed by.
/// Clones share what is loaded.
///
/// [`reload`](Self::reload) takes effect with the next connection, in and out; those that are up stay.
#[derive(Clone)]
pub struct PeerIdentity(Arc<Inner>);

struct Inner {
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    loaded: RwLock<Loaded>,
}

/// What was built from one reading of the files, so that no part of an old identity meets a new one.
#[derive(Clone)]
struct Loaded {
    role: Role,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl PeerIdentity {
    /// Reads the files of the `[grpc]` section.
    pub fn load(config: &GrpcConfig) -> Result<Self, TlsError> {
        Self::from_files(config.certificate.clone(), config.key.clone(), config.ca.clone())
    }

    /// Reads certificate, key and authorities.
    pub fn from_files(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        ca: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let (certificate, key, ca) = (certificate.into(), key.into(), ca.into());
        let loaded = RwLock::new(read(&certificate, &key, &ca)?);
        Ok(Self(Arc::new(Inner { certificate, key, ca, loaded })))
    }

    /// Reads the files again. On an error the identity stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = read(&self.0.certificate, &self.0.key, &self.0.ca)?;
        *self.0.loaded.write() = fresh;
        Ok(())
    }

    /// The role that this identity's own certificate names.
    pub fn role(&self) -> Role {
        self.0.loaded.read().role
    }

    /// The server side: TLS 1.3, a client certificate is required. To be asked for with every connection.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.0.loaded.read().server.clone()
    }

    /// The client side: TLS 1.3, shows the certificate. To be asked for with every connection.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.0.loaded.read().client.clone()
    }
}

impl fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerIdentity")
            .field("certificate", &self.0.certificate)
            .field("role", &self.role())
            .finish_non_exhaustive()
    }
}

fn read(certificate: &Path, key: &Path, ca: &Path) -> Result<Loaded, TlsError> {
    let chain = pem::certificates(certificate)?;
    let role =
        Role::of_certificate(&chain[0]).ok_or_else(|| TlsError::NoRole { path: certificate.to_owned() })?;
    let private = pem::key(key)?;
    let roots = Arc::new(authorities(ca)?);
    let unusable =
        |error| TlsError::Identity { certificate: certificate.to_owned(), key: key.to_owned(), error };
    let provider = Arc::new(aws_lc_rs::default_provider());

    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(|error| TlsError::Authority { path: ca.to_owned(), reason: error.to_string() })?;
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), private.clone_key())
        .map_err(unusable)?;
    server.alpn_protocols = vec![ALPN.to_vec()];

    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, private)
        .map_err(unusable)?;
    client.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Loaded { role, server: Arc::new(server), client: Arc::new(client) })
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in pem::certificates(path)? {
        roots
            .add(authority)
            .map_err(|error| TlsError::Authority { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(roots)
}
