//! The client's end of a protocol of lines, in clear or under TLS.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WantsClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, StreamOwned};

/// How long a server may be silent: far longer than any of ours may be, so that a timeout is a fault.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection.
pub(crate) struct Wire(BufReader<Box<dyn Stream>>);

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

impl Wire {
    /// Connects, under TLS at once if there is someone to trust.
    pub(crate) fn connect(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let Some(config) = tls else { return Ok(Self(BufReader::new(Box::new(tcp)))) };
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Self(BufReader::new(Box::new(StreamOwned::new(session, tcp)))))
    }

    /// Sends octets as they are.
    pub(crate) fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(octets)?;
        self.0.get_mut().flush()
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line.strip_suffix("\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(line.to_owned())
    }

    /// The next `length` octets.
    pub(crate) fn octets(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut octets = vec![0; length];
        self.0.read_exact(&mut octets)?;
        Ok(octets)
    }
}

/// How a client speaks TLS.
pub type Tls = Arc<ClientConfig>;

/// TLS that trusts the authority in a file.
///
/// # Panics
/// If the file holds none.
pub fn trust(ca: &Path) -> Tls {
    Arc::new(trusting(ca).with_no_client_auth())
}

/// TLS for gRPC, with a role's certificate of a pipeline.
///
/// # Panics
/// If there is none.
pub(crate) fn grpc(ca: &Path, certificate: &Path, key: &Path) -> Tls {
    let chain = CertificateDer::pem_file_iter(certificate).expect("a certificate");
    let chain = chain.map(|certificate| certificate.expect("a certificate")).collect();
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let mut config = trusting(ca).with_client_auth_cert(chain, key).expect("a key that fits");
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

fn trusting(ca: &Path) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_reader_iter(File::open(ca).expect("the authority"));
    for certificate in certificates {
        roots.add(certificate.expect("a certificate")).expect("an authority");
    }
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .with_root_certificates(roots)
}
