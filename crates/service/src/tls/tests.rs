//! Identities and roles; what they do in connections is tested with the gRPC server.

use std::{fs, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::*;
use crate::config::TlsConfig;
use crate::testing::Authority;

#[test]
fn the_role_is_read_from_the_certificate() {
    let authority = Authority::new();
    for role in Role::ALL {
        assert_eq!(authority.identity(role).role(), role);
    }
}

#[test]
fn a_certificate_with_two_roles_or_an_unknown_one_has_none() {
    let authority = Authority::new();
    let role_of = |uris: &[String]| {
        let files = authority.issue("x", uris);
        Role::of_certificate(&CertificateDer::from_pem_file(&files.certificate).unwrap())
    };
    assert_eq!(role_of(&[Role::Msa.uri(), Role::Operator.uri()]), None);
    assert_eq!(role_of(&["urn:waypost:role:root".to_owned()]), None);
    assert_eq!(role_of(&["https://example.test/".to_owned()]), None);
    assert_eq!(role_of(&[]), None);
    assert_eq!(role_of(&["https://example.test/".to_owned(), Role::Mda.uri()]), Some(Role::Mda));
}

#[test]
fn errors_name_the_file() {
    let authority = Authority::new();
    let good = authority.issue("good", &[Role::Msa.uri()]);
    let roleless = authority.issue("roleless", &[]);
    let folder = authority.folder();
    fs::write(folder.join("text.pem"), "no PEM here").unwrap();
    let error = |certificate: &str, key: &str, ca: &str| {
        PeerIdentity::from_files(folder.join(certificate), folder.join(key), folder.join(ca))
            .unwrap_err()
            .to_string()
    };

    let absent = error("absent.pem", "good.key", "ca.pem");
    assert!(absent.contains("absent.pem: No such file"), "{absent}");
    let no_certificate = error("text.pem", "good.key", "ca.pem");
    assert!(no_certificate.contains("text.pem: it holds no certificate"), "{no_certificate}");
    let no_key = error("good.pem", "ca.pem", "ca.pem");
    assert!(no_key.contains("ca.pem: it holds no private key"), "{no_key}");
    let no_role = error("roleless.pem", "roleless.key", "ca.pem");
    assert!(no_role.contains("roleless.pem: the certificate names no role"), "{no_role}");
    let mismatch = error("good.pem", "roleless.key", "ca.pem");
    assert!(mismatch.contains("good.pem") && mismatch.contains("roleless.key"), "{mismatch}");
    assert!(good.certificate.exists() && roleless.certificate.exists());
}

#[test]
fn a_failed_reload_keeps_the_identity() {
    let authority = Authority::new();
    let files = authority.issue("msa", &[Role::Msa.uri()]);
    let identity = PeerIdentity::from_files(&files.certificate, &files.key, authority.ca()).unwrap();
    fs::write(&files.certificate, "garbage").unwrap();

    assert!(identity.reload().is_err());
    assert_eq!(identity.role(), Role::Msa);

    authority.issue("msa", &[Role::Mta.uri()]);
    identity.reload().unwrap();
    assert_eq!(identity.role(), Role::Mta);
}

#[tokio::test]
async fn a_public_identity_serves_the_new_certificate_after_a_reload_and_keeps_the_old_connection() {
    let authority = Authority::new();
    let files = authority.issue("public", &[]);
    let identity = PublicIdentity::load(&files).unwrap();
    let server = Server::start(&identity, &authority).await;

    let (mut old, old_certificate) = server.connect().await;
    authority.issue("public", &[]);
    identity.reload().unwrap();
    let (mut new, new_certificate) = server.connect().await;

    assert_ne!(old_certificate, new_certificate);
    assert_eq!(new_certificate, CertificateDer::from_pem_file(&files.certificate).unwrap());
    for stream in [&mut old, &mut new] {
        assert_eq!(echo(stream).await, *b"hello");
    }
}

#[tokio::test]
async fn public_listeners_take_tls_1_2_and_1_3() {
    let authority = Authority::new();
    let identity = PublicIdentity::load(&authority.issue("public", &[])).unwrap();
    let server = Server::start(&identity, &authority).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (stream, _) = server.connect_with(&[version]).await;
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
    }
}

type ClientStream = tokio_rustls::client::TlsStream<TcpStream>;

async fn echo(stream: &mut ClientStream) -> [u8; 5] {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

/// Echoes over TLS.
struct Server {
    address: std::net::SocketAddr,
    roots: Arc<RootCertStore>,
}

impl Server {
    async fn start(identity: &PublicIdentity, authority: &Authority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = identity.acceptor();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Accepted { stream, .. } = acceptor.accept(stream).await.unwrap();
                    let (mut reader, mut writer) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        Self { address, roots: Arc::new(authority.roots()) }
    }

    async fn connect(&self) -> (ClientStream, CertificateDer<'static>) {
        self.connect_with(rustls::ALL_VERSIONS).await
    }

    async fn connect_with(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> (ClientStream, CertificateDer<'static>) {
        let config = ClientConfig::builder_with_protocol_versions(versions)
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
        (stream, certificate)
    }
}

#[test]
fn a_public_identity_needs_no_role() {
    let authority = Authority::new();
    let files: TlsConfig = authority.issue("public", &[]);
    PublicIdentity::load(&files).unwrap();
}
