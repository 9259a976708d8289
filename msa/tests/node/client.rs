//! A mail program.

use std::net::SocketAddr;

use service::testing::Authority;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub struct Client(BufReader<TlsStream<TcpStream>>);

impl Client {
    /// Connects with TLS from the start.
    pub async fn connect(address: SocketAddr, authority: &Authority) -> Self {
        let (mut client, greeting) = Self::greeted(address, authority).await;
        assert!(greeting.starts_with("220 "), "{greeting}");
        client.say("EHLO client.test").await;
        client
    }

    /// Connects likewise; gives what it is greeted with, too.
    pub async fn greeted(address: SocketAddr, authority: &Authority) -> (Self, String) {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let stream = TlsConnector::from(authority.client_config()).connect(name, stream).await.unwrap();
        let mut client = Self(BufReader::new(stream));
        let greeting = client.reply().await;
        (client, greeting)
    }

    /// Connects as `alice@example.test`.
    pub async fn logged_in(address: SocketAddr, authority: &Authority) -> Self {
        let mut client = Self::connect(address, authority).await;
        // NUL alice@example.test NUL secret
        let reply = client.say("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=").await;
        assert!(reply.starts_with("235 2.7.0 "), "{reply}");
        client
    }

    /// Says a line; returns the last line of the reply.
    pub async fn say(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    pub async fn write(&mut self, octets: &[u8]) {
        self.0.write_all(octets).await.unwrap();
        self.0.flush().await.unwrap();
    }

    pub async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    /// Goes as far as DATA, for a message from alice to bob.
    pub async fn begin(&mut self) {
        assert!(self.say("MAIL FROM:<alice@example.test>").await.starts_with("250 "));
        assert!(self.say("RCPT TO:<bob@example.test>").await.starts_with("250 "));
        assert!(self.say("DATA").await.starts_with("354 "));
    }
}
