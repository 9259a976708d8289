//! A certificate authority for the tests of the services.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use crate::{
    config::{GrpcConfig, TlsConfig},
    tls::{PeerIdentity, Role},
};

/// An authority, and a folder for what it issues.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    /// A new one, whom nobody trusts yet.
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        crate::tls::install_provider();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file by which others know it.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for loopback with these URIs, and its key, as files of this name.
    pub fn issue(&self, name: &str, uris: &[String]) -> TlsConfig {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        for address in ["127.0.0.1", "::1"] {
            params.subject_alt_names.push(SanType::IpAddress(address.parse::<IpAddr>().unwrap()));
        }
        for uri in uris {
            params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().unwrap()));
        }
        self.write(name, &params)
    }

    /// A certificate for a host name and its key, as files of this name.
    pub fn public(&self, name: &str) -> TlsConfig {
        self.write(name, &CertificateParams::new(vec![name.to_owned()]).unwrap())
    }

    /// The identity of a service with this role.
    pub fn identity(&self, role: Role) -> PeerIdentity {
        let TlsConfig { certificate, key } = self.issue(role.as_str(), &[role.uri()]);
        PeerIdentity::from_files(certificate, key, self.ca()).unwrap()
    }

    /// The `[grpc]` section of a service with this role, on a port of loopback that the kernel chooses.
    pub fn grpc(&self, role: Role) -> GrpcConfig {
        let TlsConfig { certificate, key } = self.issue(role.as_str(), &[role.uri()]);
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        GrpcConfig { listen, certificate, key, ca: self.ca(), ..GrpcConfig::default() }
    }

    /// The server's side of TLS, under a certificate for these names.
    pub fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let (certificate, key) = self.sign(&CertificateParams::new(names).unwrap());
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config).into()
    }

    /// What a mail program trusts that knows this authority alone.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).unwrap()).unwrap();
        roots
    }

    /// How a mail program meets a service.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::new(ClientConfig::builder().with_root_certificates(self.roots()).with_no_client_auth())
    }

    fn sign(&self, params: &CertificateParams) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn write(&self, name: &str, params: &CertificateParams) -> TlsConfig {
        let (certificate, key) = self.sign(params);
        let file = |ending| self.folder.path().join(format!("{name}.{ending}"));
        let files = TlsConfig { certificate: file("pem"), key: file("key") };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}
