//! TLS, over real sockets and the whole service.

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client::{Client, PASSWORD, USER};
use crate::config::PlaintextAuth;
use crate::testing::TestService;

async fn service() -> TestService {
    let service = TestService::start_with(|config| config.plaintext_auth = PlaintextAuth::Never).await;
    service.create_account(USER, PASSWORD).await;
    service
}

async fn in_clear(service: &TestService) -> Client<TcpStream> {
    Client::greeted(TcpStream::connect(service.addresses.imap[0]).await.unwrap(), None).await
}

async fn handshake(service: &TestService, stream: TcpStream) -> TlsStream<TcpStream> {
    let connector = TlsConnector::from(service.authority.client_config());
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

#[tokio::test]
async fn starttls_lets_log_in() {
    let service = service().await;
    let mut client = in_clear(&service).await;
    let capabilities = client.ok("CAPABILITY").await.join("");
    assert!(capabilities.contains(" LOGINDISABLED") && capabilities.contains(" STARTTLS"), "{capabilities}");
    client.ok("STARTTLS").await;
    assert!(client.unread().is_empty());
    let mut client = Client::over(handshake(&service, client.stream).await, None);
    // No greeting; capabilities are asked for again (RFC 9051 §6.2.1).
    let capabilities = client.ok("CAPABILITY").await.join("");
    assert!(capabilities.contains("AUTH=PLAIN") && !capabilities.contains("STARTTLS"), "{capabilities}");
    assert!(client.fails("STARTTLS").await.starts_with("BAD"));
    client.ok(&format!("LOGIN {USER} \"{PASSWORD}\"")).await;
    client.ok("SELECT INBOX").await;
    service.stop().await;
}

#[tokio::test]
async fn what_is_sent_in_clear_behind_starttls_ends_the_session() {
    let service = service().await;
    for injected in ["a NOOP\r\n", "x"] {
        let mut client = in_clear(&service).await;
        client.send(&format!("s STARTTLS\r\n{injected}")).await;
        let heard = client.rest().await;
        assert!(heard.starts_with("* BYE") && !heard.contains("OK"), "{heard}");
    }
    service.stop().await;
}

#[tokio::test]
async fn tls_from_the_first_octet() {
    let service = service().await;
    let stream = TcpStream::connect(service.addresses.imaps[0]).await.unwrap();
    let mut client = Client::greeted(handshake(&service, stream).await, None).await;
    client.ok(&format!("LOGIN {USER} \"{PASSWORD}\"")).await;
    service.stop().await;
}

#[tokio::test]
async fn noise_instead_of_a_handshake_ends_that_connection_alone() {
    let service = service().await;
    let mut noise = TcpStream::connect(service.addresses.imaps[0]).await.unwrap();
    noise.write_all(b"a CAPABILITY\r\n\r\n").await.unwrap();
    Client::over(noise, None).rest().await;
    let stream = TcpStream::connect(service.addresses.imaps[0]).await.unwrap();
    Client::greeted(handshake(&service, stream).await, None).await;
    service.stop().await;
}
