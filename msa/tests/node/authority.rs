//! Certificates for the services of one test.

use std::fs;
use std::net::SocketAddr;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType};
use service::config::GrpcConfig;
use service::tls::{PeerIdentity, Role};
use tempfile::TempDir;

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
            ca: self.ca(),
            ..GrpcConfig::default()
        }
    }

    pub fn ca(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn identity(&self, role: Role) -> PeerIdentity {
        PeerIdentity::load(&self.grpc(role)).unwrap()
    }
}
