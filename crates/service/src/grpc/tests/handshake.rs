//! Who gets a connection at all.

use std::sync::Arc;

use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::Code;

use super::node::{Running, TARGET, channels, config, enqueue};
use crate::{
    config::{GrpcConfig, HumanDuration, PeerConfig},
    grpc::{
        client::{Channels, Target},
        server::{Access, ServerError, identity},
    },
    testing::Authority,
    tls::{PeerIdentity, Role},
};

/// What a client first reads that trusts `authority` and shows this certificate, if any.
async fn meet(
    node: &Running,
    authority: &Authority,
    shown: Option<(&Authority, &[String])>,
    version: &'static rustls::SupportedProtocolVersion,
) -> std::io::Result<usize> {
    // In TLS 1.3 the client has finished before the server looks at its certificate: the verdict is read.
    connect(node, authority, shown, version).await?.read(&mut [0; 64]).await
}

async fn connect(
    node: &Running,
    authority: &Authority,
    shown: Option<(&Authority, &[String])>,
    version: &'static rustls::SupportedProtocolVersion,
) -> std::io::Result<TlsStream<TcpStream>> {
    let builder =
        ClientConfig::builder_with_protocol_versions(&[version]).with_root_certificates(authority.roots());
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some((issuer, uris)) => {
            let files = issuer.issue("client", uris);
            let chain = vec![CertificateDer::from_pem_file(files.certificate).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(files.key).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(node.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn only_certificates_of_the_authority_that_name_a_role_are_let_in() {
    let (authority, other) = (Authority::new(), Authority::new());
    let node = Running::start("a", Some(authority.identity(Role::Mta)));
    let tls13 = &rustls::version::TLS13;
    let role = &[Role::Msa.uri()][..];

    let settings = meet(&node, &authority, Some((&authority, role)), tls13).await.unwrap();
    assert!(settings > 0, "an accepted peer gets HTTP/2 settings");
    let refused = meet(&node, &authority, None, tls13).await.unwrap_err();
    assert!(refused.to_string().contains("CertificateRequired"), "{refused}");
    let refused = meet(&node, &authority, Some((&other, role)), tls13).await.unwrap_err();
    assert!(refused.to_string().contains("alert"), "{refused}");
    let roleless = meet(&node, &authority, Some((&authority, &[])), tls13).await;
    assert!(matches!(roleless, Err(_) | Ok(0)), "{roleless:?}");
    node.kill().await;
}

#[tokio::test]
async fn a_peer_that_never_begins_to_speak_is_sent_away() {
    let authority = Authority::new();
    let impatient = GrpcConfig {
        handshake_timeout: HumanDuration::from_millis(300),
        ..config("127.0.0.1:0".parse().unwrap())
    };
    let access = Access::new([(super::node::ENQUEUE, &[Role::Msa][..])]);
    let node = Running::start_with(&impatient, "a", Some(authority.identity(Role::Mta)), access);
    let shown = (&authority, &[Role::Msa.uri()][..]);
    for begun in ["", "PRI * HTTP"] {
        let mut peer = connect(&node, &authority, Some(shown), &rustls::version::TLS13).await.unwrap();
        peer.write_all(begun.as_bytes()).await.unwrap();
        // How it is told does not matter, if it is.
        let _ = peer.read_to_end(&mut Vec::new()).await;
    }

    let channels = channels(&authority, Role::Msa, &[node.address.to_string()]);
    let channel = channels.pick().await.unwrap();
    tokio::time::sleep(*impatient.handshake_timeout * 2).await;
    enqueue(channel).await.unwrap();
    node.kill().await;
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let authority = Authority::new();
    let node = Running::start("a", Some(authority.identity(Role::Mta)));
    let role = &[Role::Msa.uri()][..];
    let refused =
        meet(&node, &authority, Some((&authority, role)), &rustls::version::TLS12).await.unwrap_err();
    assert!(refused.to_string().contains("ProtocolVersion"), "{refused}");
    node.kill().await;
}

#[tokio::test]
async fn a_client_wants_the_right_role_of_the_server() {
    let authority = Authority::new();
    let node = Running::start("a", Some(authority.identity(Role::Mta)));
    let config =
        PeerConfig { wait: HumanDuration::from_millis(300), ..PeerConfig::at([node.address.to_string()]) };
    let target = Target { role: Role::Mda, ..TARGET };
    let channels = Channels::new(&config, target, Some(authority.identity(Role::Mta))).unwrap();
    let unreachable = channels.pick().await.unwrap_err();
    assert_eq!(unreachable.code(), Code::Unavailable);
    assert!(unreachable.message().contains("no mda is reachable"), "{unreachable}");
    node.kill().await;
}

#[tokio::test]
async fn new_connections_use_the_reloaded_identity_and_old_ones_stay() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = old.issue("mta", &[Role::Mta.uri()]);
    let server = PeerIdentity::from_files(&files.certificate, &files.key, old.ca()).unwrap();
    let node = Running::start("a", Some(server.clone()));
    let before = channels(&old, Role::Msa, &[node.address.to_string()]);
    let channel = before.pick().await.unwrap();

    let fresh = new.issue("mta", &[Role::Mta.uri()]);
    for (from, to) in
        [(&fresh.certificate, &files.certificate), (&fresh.key, &files.key), (&new.ca(), &old.ca())]
    {
        std::fs::copy(from, to).unwrap();
    }
    server.reload().unwrap();

    let after = channels(&new, Role::Msa, &[node.address.to_string()]);
    enqueue(after.pick().await.unwrap()).await.unwrap();
    enqueue(channel).await.unwrap();
    node.kill().await;
}

#[tokio::test]
async fn plaintext_is_for_loopback_only_and_has_the_configured_role() {
    let everywhere = GrpcConfig {
        listen: "0.0.0.0:0".parse().unwrap(),
        plaintext_on_loopback: true,
        ..GrpcConfig::default()
    };
    assert!(matches!(identity(&everywhere), Err(ServerError::Plaintext(_))));

    let here = GrpcConfig {
        plaintext_on_loopback: true,
        plaintext_role: Role::Msa,
        ..config("127.0.0.1:0".parse().unwrap())
    };
    assert!(identity(&here).unwrap().is_none());
    let access = Access::new([(super::node::ENQUEUE, &[Role::Msa][..])]);
    let node = Running::start_with(&here, "a", None, access);
    let channels = Channels::new(&PeerConfig::at([node.address.to_string()]), TARGET, None).unwrap();
    let receipt = enqueue(channels.pick().await.unwrap()).await.unwrap();
    assert_eq!(receipt.message_id, "msa");
    node.kill().await;
}
