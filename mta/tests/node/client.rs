//! Another MTA at port 25.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

pub struct Client(BufReader<TcpStream>);

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let mut client = Self::on(TcpStream::connect(address).await.unwrap());
        client.greet().await;
        client
    }

    /// On a connection where nothing was said yet.
    pub fn on(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }

    /// Is greeted, and says EHLO.
    pub async fn greet(&mut self) {
        let greeting = self.reply().await;
        assert!(greeting.starts_with("220 "), "{greeting}");
        assert!(self.say("EHLO client.test").await.starts_with("250 "));
    }

    /// Says a line; returns the last line of the reply.
    pub async fn say(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    pub async fn write(&mut self, octets: &[u8]) {
        self.0.write_all(octets).await.unwrap();
    }

    /// Everything up to where the server closes.
    pub async fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).await.unwrap();
        rest
    }

    /// The last line of a reply; empty if the server has closed.
    pub async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    /// Whether mail for this address would be taken.
    pub async fn takes(mut self, recipient: &str) -> bool {
        self.say("MAIL FROM:<>").await;
        self.say(&format!("RCPT TO:<{recipient}>")).await.starts_with("250")
    }

    /// Sends a message; returns the reply to it.
    pub async fn send(&mut self, from: &str, to: &[&str], body: &str) -> String {
        assert!(self.say(&format!("MAIL FROM:<{from}>")).await.starts_with("250"));
        for to in to {
            let reply = self.say(&format!("RCPT TO:<{to}>")).await;
            assert!(reply.starts_with("250"), "{reply}");
        }
        assert!(self.say("DATA").await.starts_with("354"));
        self.say(&format!("{body}\r\n.")).await
    }
}
