//! Certificates for the services of one test.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use service::config::{GrpcConfig, TlsConfig};
use service::tls::{PeerIdentity, Role};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        service::tls::install_provider();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// The `[grpc]` section of a service with this role.
    pub fn grpc(&self, role: Role) -> GrpcConfig {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let localhost = "127.0.0.1".parse().unwrap();
        params.subject_alt_names.push(SanType::IpAddress(localhost));
        params.subject_alt_names.push(SanType::URI(role.uri().as_str().try_into().unwrap()));
        let key = KeyPair::generate().unwrap();
        let path = |ending| self.folder.path().join(format!("{role}.{ending}"));
        fs::write(path("pem"), params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        fs::write(path("key"), key.serialize_pem()).unwrap();
        GrpcConfig {
            listen: SocketAddr::new(localhost, 0),
            certificate: path("pem"),
            key: path("key"),
            ca: self.folder.path().join("ca.pem"),
            ..GrpcConfig::default()
        }
    }

    /// The server's side of TLS, under a certificate for these names.
    pub fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config).into()
    }

    /// A certificate for this name and its key, as a node shows it to other servers.
    pub fn public(&self, name: &str) -> TlsConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let path = |ending| self.folder.path().join(format!("{name}.{ending}"));
        fs::write(path("pem"), certificate.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        fs::write(path("key"), key.serialize_pem()).unwrap();
        TlsConfig { certificate: path("pem"), key: path("key") }
    }

    /// The file by which a node knows this authority.
    pub fn roots(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn identity(&self, role: Role) -> PeerIdentity {
        PeerIdentity::load(&self.grpc(role)).unwrap()
    }
}
