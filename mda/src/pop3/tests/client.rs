//! A client that says exactly what it is told.

use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::testing::TestService;

pub(super) struct Client {
    stream: BufReader<Box<dyn Stream>>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Client {
    pub(super) async fn raw(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// In clear, past the greeting.
    pub(super) async fn connect(service: &TestService) -> Self {
        let mut client = Self::raw(service.addresses.pop3[0]).await;
        assert_eq!(client.line().await, "+OK mail.example.test POP3 server ready");
        client
    }

    /// Under TLS, past the greeting.
    pub(super) async fn connect_tls(service: &TestService) -> Self {
        let stream = TcpStream::connect(service.addresses.pop3s[0]).await.unwrap();
        let mut client = Self::over(handshake(service, stream).await);
        assert!(client.line().await.starts_with("+OK"));
        client
    }

    /// STLS.
    pub(super) async fn start_tls(mut self, service: &TestService) -> Self {
        self.ok("STLS").await;
        assert!(self.stream.buffer().is_empty(), "a reply in clear behind that to STLS");
        Self::over(handshake(service, self.stream.into_inner()).await)
    }

    fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: BufReader::new(Box::new(stream)) }
    }

    pub(super) async fn log_in(&mut self, user: &str, password: &str) {
        self.ok(&format!("USER {user}")).await;
        self.ok(&format!("PASS {password}")).await;
    }

    /// Logs in on a new connection, as soon as the session before has been noticed to be gone.
    pub(super) async fn log_in_when_free(service: &TestService, user: &str, password: &str) -> Self {
        loop {
            let mut client = Self::connect(service).await;
            client.ok(&format!("USER {user}")).await;
            let reply = client.command(&format!("PASS {password}")).await;
            if reply.starts_with("+OK") {
                return client;
            }
            assert!(reply.starts_with("-ERR [IN-USE]"), "{reply}");
        }
    }

    /// Sends a command that works; the reply.
    pub(super) async fn ok(&mut self, command: &str) -> String {
        let reply = self.command(command).await;
        assert!(reply.starts_with("+OK"), "{command}: {reply}");
        reply
    }

    /// Sends a command that fails; the reply.
    pub(super) async fn err(&mut self, command: &str) -> String {
        let reply = self.command(command).await;
        assert!(reply.starts_with("-ERR"), "{command}: {reply}");
        reply
    }

    /// Sends a command with a multi-line response; its text.
    pub(super) async fn multiline(&mut self, command: &str) -> String {
        self.ok(command).await;
        self.text().await
    }

    async fn command(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n")).await;
        self.line().await
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// A line, without its end.
    pub(super) async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line.strip_suffix("\r\n").unwrap_or_else(|| panic!("{line:?} does not end in CRLF")).to_owned()
    }

    /// The lines of a multi-line response, unstuffed.
    pub(super) async fn text(&mut self) -> String {
        let mut text = String::new();
        loop {
            let line = self.line().await;
            if line == "." {
                return text;
            }
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
            text.push_str("\r\n");
        }
    }

    /// The server has closed the connection and said nothing more.
    pub(super) async fn closed(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}

async fn handshake<T: Stream>(service: &TestService, stream: T) -> tokio_rustls::client::TlsStream<T> {
    let connector = TlsConnector::from(service.authority.client_config());
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}
