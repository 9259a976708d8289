//! A client for tests: real sessions over the real store, through a pipe in memory.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Limits, PlaintextAuth};
use crate::fulltext::FullText;
use crate::imap::{Beginning, Imap, Options, Stream};
use crate::metrics::Metrics;
use crate::testing::{LocalStore, TestStore, authenticator};

pub(super) const USER: &str = "alice@example.test";
pub(super) const PASSWORD: &str = "correct horse";

/// A server with one account.
pub(super) struct Server {
    pub(super) imap: Imap<LocalStore>,
    pub(super) store: TestStore,
    pub(super) shutdown: CancellationToken,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::over(Self::account().await, change)
    }

    /// With a search index, in this folder.
    pub(super) async fn with_index(dir: PathBuf) -> Self {
        let store = Self::account().await;
        let full_text = FullText::start(dir, store.store.clone());
        Self::over(store, |options| options.full_text = full_text)
    }

    async fn account() -> TestStore {
        let store = TestStore::open();
        let password = authenticator(&store).make_password(USER, PASSWORD).await.unwrap();
        store.create_account_with(USER, password).await;
        store
    }

    /// Over a store that has the account.
    fn over(store: TestStore, change: impl FnOnce(&mut Options)) -> Self {
        let authenticator = authenticator(&store);
        let mut options = Options {
            hostname: "mail.example.test".into(),
            plaintext_auth: PlaintextAuth::Loopback,
            limits: Limits::default(),
            tls: None,
            hide: Vec::new(),
            full_text: FullText::off(),
            metrics: Metrics::default(),
        };
        change(&mut options);
        let imap = Imap::new(store.store.clone(), authenticator, options);
        Self { imap, store, shutdown: CancellationToken::new() }
    }

    /// The same mail after the service has ended and begun again.
    pub(super) async fn reopened(self) -> Self {
        let Self { imap, store, .. } = self;
        drop(imap);
        Self::over(store.reopen().await, |_| {})
    }

    /// The same mail after a loss of power.
    pub(super) fn crashed(self) -> Self {
        let Self { imap, store, .. } = self;
        drop(imap);
        Self::over(store.crashed(), |_| {})
    }

    /// The same mail on a disk without space.
    pub(super) async fn without_space(self) -> Self {
        let Self { imap, store, .. } = self;
        drop(imap);
        Self::over(store.reopen_without_space().await, |_| {})
    }

    /// A connection, greeting read.
    pub(super) async fn connect(&self) -> Client<DuplexStream> {
        let client = self.connect_quietly();
        Client::greeted(client.stream, client.session).await
    }

    /// A connection whose greeting is still to be read.
    pub(super) fn connect_quietly(&self) -> Client<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (imap, shutdown) = (self.imap.clone(), self.shutdown.clone());
        let peer = SocketAddr::from(([127, 0, 0, 1], 4000));
        let session = tokio::spawn(async move { imap.serve(theirs, peer, Beginning::Plain, shutdown).await });
        Client::over(ours, Some(session))
    }

    /// A connection that is logged in.
    pub(super) async fn login(&self) -> Client<DuplexStream> {
        let mut client = self.connect().await;
        client.ok(&format!("LOGIN {USER} \"{PASSWORD}\"")).await;
        client
    }

    /// Another account, with the same password.
    pub(super) async fn add_account(&self, name: &str) {
        let password = authenticator(&self.store).make_password(name, PASSWORD).await.unwrap();
        self.store.create_account_with(name, password).await;
    }

    /// A connection that is logged in to such an account.
    pub(super) async fn login_as(&self, name: &str) -> Client<DuplexStream> {
        let mut client = self.connect().await;
        client.ok(&format!("LOGIN {name} \"{PASSWORD}\"")).await;
        client
    }

    /// A connection with INBOX selected.
    pub(super) async fn inbox(&self) -> Client<DuplexStream> {
        let mut client = self.login().await;
        client.ok("SELECT INBOX").await;
        client
    }
}

pub(super) struct Client<T> {
    pub(super) stream: T,
    /// None: someone else runs it.
    pub(super) session: Option<JoinHandle<()>>,
    unread: Vec<u8>,
    tags: u32,
    next_tag: Option<String>,
}

impl<T: Stream> Client<T> {
    /// A new connection, greeting read.
    pub(super) async fn greeted(stream: T, session: Option<JoinHandle<()>>) -> Self {
        let mut client = Self::over(stream, session);
        assert!(client.line().await.starts_with("* OK [CAPABILITY IMAP4rev1 IMAP4rev2"));
        client
    }

    pub(super) fn over(stream: T, session: Option<JoinHandle<()>>) -> Self {
        Self { stream, session, unread: Vec::new(), tags: 0, next_tag: None }
    }

    /// What was received and not looked at.
    pub(super) fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Sends a command; gives the untagged responses, and the tagged one without its tag.
    pub(super) async fn command(&mut self, command: &str) -> (Vec<String>, String) {
        self.tags += 1;
        let tag = self.next_tag.take().unwrap_or_else(|| format!("t{}", self.tags));
        self.send(&format!("{tag} {command}\r\n")).await;
        self.responses(&tag).await
    }

    /// Gives the next command this tag.
    pub(super) fn tagged_as(&mut self, tag: &str) {
        self.next_tag = Some(tag.to_owned());
    }

    /// Sends a command that succeeds; gives the untagged responses.
    pub(super) async fn ok(&mut self, command: &str) -> Vec<String> {
        let (untagged, tagged) = self.command(command).await;
        assert!(tagged.starts_with("OK"), "{command}: {tagged}");
        untagged
    }

    /// Sends a command that does not; gives the tagged response.
    pub(super) async fn fails(&mut self, command: &str) -> String {
        let (_, tagged) = self.command(command).await;
        assert!(!tagged.starts_with("OK"), "{command}: {tagged}");
        tagged
    }

    /// Appends with a literal that does not wait.
    pub(super) async fn append(&mut self, mailbox: &str, message: &str) -> String {
        let (_, tagged) =
            self.command(&format!("APPEND {mailbox} {{{}+}}\r\n{message}", message.len())).await;
        tagged
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(super) async fn responses(&mut self, tag: &str) -> (Vec<String>, String) {
        let mut untagged = Vec::new();
        loop {
            let line = self.line().await;
            match line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                Some(tagged) => return (untagged, tagged.to_owned()),
                None => untagged.push(line),
            }
        }
    }

    /// A response without its line end, literals in place.
    pub(super) async fn line(&mut self) -> String {
        let mut length = 0;
        loop {
            length += self.rest_of_line(length).await;
            let line = &self.unread[..length - 2];
            let Some(size) = literal_size(line) else {
                let line = String::from_utf8_lossy(line).into_owned();
                self.unread.drain(..length);
                return line;
            };
            length += size;
            while self.unread.len() < length {
                self.read().await;
            }
        }
    }

    async fn rest_of_line(&mut self, start: usize) -> usize {
        loop {
            if let Some(end) = self.unread[start..].windows(2).position(|two| two == b"\r\n") {
                return end + 2;
            }
            self.read().await;
        }
    }

    async fn read(&mut self) {
        let read = self.stream.read_buf(&mut self.unread).await.unwrap();
        assert!(read > 0, "the server closed; unread: {:?}", String::from_utf8_lossy(&self.unread));
    }

    /// Ends the session, and waits until the server has let go of all it held.
    pub(super) async fn logout(mut self) {
        self.send("z LOGOUT\r\n").await;
        self.rest().await;
    }

    /// All that still comes until the server closes.
    pub(super) async fn rest(mut self) -> String {
        self.stream.read_to_end(&mut self.unread).await.unwrap();
        if let Some(session) = self.session {
            session.await.unwrap();
        }
        String::from_utf8_lossy(&self.unread).into_owned()
    }
}

fn literal_size(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line.strip_suffix(b"}")?.rsplit(|octet| *octet == b'{').next()?).ok()?;
    line.parse().ok()
}
