//! The identity that mail clients and other mail servers see.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::RwLock;
use rustls::{
    ProtocolVersion, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{TlsError, client, pem};
use crate::cli::Reload;
use crate::config::TlsConfig;

/// A certificate and its key for public listeners. Clones share what is loaded.
///
/// [`reload`](Self::reload) takes effect with the next handshake; connections that are up keep what they have.
#[derive(Clone)]
pub struct PublicIdentity {
    files: TlsConfig,
    /// The authorities of clients' certificates.
    client_ca: Option<PathBuf>,
    current: Arc<RwLock<Loaded>>,
}

/// What was built from one reading of the files.
#[derive(Clone)]
struct Loaded {
    server: Arc<ServerConfig>,
    end_point: Option<Arc<[u8]>>,
}

impl PublicIdentity {
    /// Reads certificate and key.
    pub fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        Self::with_clients(config, None)
    }

    /// Reads certificate and key, and the authorities that clients' certificates must be signed by. A client need not
    /// show one; without authorities it is not even asked for one.
    pub fn with_clients(config: &TlsConfig, client_ca: Option<&Path>) -> Result<Self, TlsError> {
        let current = Arc::new(RwLock::new(read(config, client_ca)?));
        Ok(Self { files: config.clone(), client_ca: client_ca.map(Path::to_owned), current })
    }

    /// Reads the files again. On an error the identity stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = read(&self.files, self.client_ca.as_deref())?;
        *self.current.write() = fresh;
        Ok(())
    }

    /// Takes handshakes with this identity.
    pub fn acceptor(&self) -> Acceptor {
        Acceptor(Source::Identity(self.clone()))
    }
}

/// The acceptor for a certificate that is read again at SIGHUP.
pub fn acceptor(config: &TlsConfig, client_ca: Option<&Path>, reload: &Reload) -> Result<Acceptor, TlsError> {
    let identity = PublicIdentity::with_clients(config, client_ca)?;
    let acceptor = identity.acceptor();
    reload.on("public certificate", move || identity.reload());
    Ok(acceptor)
}

impl fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicIdentity").field("files", &self.files).finish_non_exhaustive()
    }
}

/// Takes the handshakes of clients.
#[derive(Clone)]
pub struct Acceptor(Source);

#[derive(Clone)]
enum Source {
    Identity(PublicIdentity),
    Fixed(TlsAcceptor),
}

/// A connection that is under TLS now.
#[derive(Debug)]
pub struct Accepted<S> {
    /// The connection.
    pub stream: TlsStream<S>,
    /// By which the client can tell that nobody stands in between.
    pub bindings: ChannelBindings,
}

/// What tells a TLS connection from any other (RFC 5056).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266), for TLS 1.3.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4): the hash of the certificate that was shown in this connection.
    pub end_point: Option<Arc<[u8]>>,
}

impl Acceptor {
    /// Takes a handshake.
    pub async fn accept<S>(&self, stream: S) -> io::Result<Accepted<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // Config and hash from one reading: the certificate may be another a moment later.
        let (acceptor, end_point) = match &self.0 {
            Source::Identity(identity) => {
                let Loaded { server, end_point } = identity.current.read().clone();
                (TlsAcceptor::from(server), end_point)
            }
            Source::Fixed(acceptor) => (acceptor.clone(), None),
        };
        let stream = acceptor.accept(stream).await?;
        let bindings = ChannelBindings { exporter: exporter(&stream), end_point };
        Ok(Accepted { stream, bindings })
    }
}

/// A certificate that stays the same, and whose channels are bound by `tls-exporter` alone.
impl From<TlsAcceptor> for Acceptor {
    fn from(acceptor: TlsAcceptor) -> Self {
        Self(Source::Fixed(acceptor))
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor")
    }
}

/// RFC 9266 §2. Not before TLS 1.3, where it would be safe only with extensions that not all clients have (§4.2).
fn exporter<S>(stream: &TlsStream<S>) -> Option<[u8; 32]> {
    let (_, connection) = stream.get_ref();
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok()
}

fn read(files: &TlsConfig, client_ca: Option<&Path>) -> Result<Loaded, TlsError> {
    let key = certified_key(files)?;
    let end_point = key.cert.first().and_then(client::end_point).map(Arc::from);
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| unusable(files, error))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let bad = |reason: String| TlsError::Authority { path: path.to_owned(), reason };
            let mut roots = RootCertStore::empty();
            for authority in pem::certificates(path)? {
                roots.add(authority).map_err(|error| bad(error.to_string()))?;
            }
            let provider = Arc::new(aws_lc_rs::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.allow_unauthenticated().build();
            builder.with_client_cert_verifier(verifier.map_err(|error| bad(error.to_string()))?)
        }
    };
    let server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    Ok(Loaded { server: Arc::new(server), end_point })
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
