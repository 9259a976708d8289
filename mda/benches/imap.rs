//! What IMAP's FETCH and SEARCH cost in CPU time: sessions over the real store, through a pipe in memory.
//!
//! `cargo bench -p mda --bench imap`

#![allow(clippy::expect_used, reason = "a benchmark stops at the first failure")]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use criterion::Throughput;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use mda::auth::{Authenticator, Decoy};
use mda::config::{Limits, PasswordsConfig, PlaintextAuth, SaslConfig};
use mda::imap::{Beginning, FullText, Imap, Options};
use mda::metrics::Metrics;
use mda::store::{
    Append, BodySource, Flags, LocalStore, MailStore as _, MailboxName, NewAccount, StoreConfig, SystemFlag,
};
use message::MessageId;
use service::config::ByteSize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_util::sync::CancellationToken;

// As the service itself.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const USER: &str = "alice@example.test";
const MESSAGES: u32 = 2_000;
/// Octets that the pipe between client and server takes.
const PIPE: usize = 256 * 1024;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the benchmark");
    let (store, mut client) = runtime.block_on(async {
        let (store, imap) = serve(dir.path()).await;
        fill(&store).await;
        (store, Client::log_in(&imap).await)
    });
    let mut criterion = cpu_time::criterion();
    let mut measure = |group: &str, name: &str, messages: u32, command: &str| {
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(messages.into()));
        group.bench_function(name, |bencher| bencher.iter(|| runtime.block_on(client.run(command))));
        group.finish();
    };
    measure("FETCH", "flags of 2,000", MESSAGES, "UID FETCH 1:* (FLAGS)");
    measure("FETCH", "a list of 2,000", MESSAGES, "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)");
    measure("FETCH", "structures of 2,000", MESSAGES, "FETCH 1:* (BODYSTRUCTURE)");
    measure("FETCH", "fields of 2,000", MESSAGES, "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT RECEIVED)])");
    measure("FETCH", "100 whole messages", 100, "FETCH 501:600 (BODY.PEEK[])");
    measure("FETCH", "one message", 1, "UID FETCH 700 (FLAGS BODY.PEEK[])");
    measure("SEARCH", "by flags", MESSAGES, "UID SEARCH UNSEEN UNDELETED");
    measure("SEARCH", "by fields", MESSAGES, "UID SEARCH FROM \"user7@\" SUBJECT \"number 3\"");
    measure("SEARCH", "by text", MESSAGES, "UID SEARCH BODY \"a word that is nowhere\"");
    criterion.final_summary();
    runtime.block_on(async {
        client.run("LOGOUT").await;
        store.close().await.expect("the store closes");
    });
}

/// A server with one account, whose password costs next to nothing.
async fn serve(dir: &Path) -> (LocalStore, Imap<LocalStore>) {
    let (store, _) = LocalStore::open(StoreConfig::new(dir.join("store"))).expect("a store");
    let passwords = PasswordsConfig { memory: ByteSize::kib(64), passes: 1, ..PasswordsConfig::default() };
    let decoy = Decoy::fleeting().expect("a decoy");
    let authenticator = Authenticator::new(store.clone(), &passwords, &SaslConfig::default(), decoy);
    let authenticator = authenticator.expect("an authenticator");
    let password = authenticator.make_password(USER, "secret").await.expect("a password");
    let account = NewAccount { name: USER.to_owned(), password, domain: "example.test".to_owned() };
    store.create_account(account).await.expect("an account");
    let options = Options {
        hostname: "mail.example.test".to_owned(),
        plaintext_auth: PlaintextAuth::Loopback,
        limits: Limits::default(),
        tls: None,
        hide: Vec::new(),
        full_text: FullText::off(),
        metrics: Metrics::default(),
    };
    (store.clone(), Imap::new(store, authenticator, options))
}

/// The same messages in every run: half of them read, each with a second part.
async fn fill(store: &LocalStore) {
    let account = store.account_by_address(USER).expect("rows").expect("the account").id;
    let appends = (1..=MESSAGES).map(|number| {
        let read = Flags::none().with(SystemFlag::Seen);
        let append = Append {
            mailbox: MailboxName::inbox(),
            message_id: MessageId::new(),
            flags: if number % 2 == 0 { read } else { Flags::none() },
            internal_date: Timestamp::UNIX_EPOCH,
            body: BodySource::Bytes(message(number)),
        };
        store.append(account, append)
    });
    try_join_all(appends).await.expect("all are stored");
}

fn message(number: u32) -> Bytes {
    let sender = number % 50;
    let mut text = format!(
        "Received: from mx.example.org by mail.example.test; Fri, 27 Nov 2026 10:00:00 +0000\r\n\
         From: \"User {sender}\" <user{sender}@example.org>\r\nTo: <{USER}>\r\n\
         Subject: =?utf-8?q?Caf=C3=A9?= number {number}\r\nDate: Fri, 27 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{number}@example.org>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/alternative; boundary=edge\r\n\r\n\
         --edge\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    );
    for line in 0..40 + number % 60 {
        let _ = write!(text, "Line {line} of message {number}, as people write them to each other.\r\n");
    }
    text.push_str("--edge\r\nContent-Type: text/html\r\n\r\n<p>The same again.</p>\r\n--edge--\r\n");
    text.into()
}

/// A client that only counts what it gets.
struct Client {
    stream: DuplexStream,
    received: Vec<u8>,
}

impl Client {
    /// INBOX is selected then.
    async fn log_in(imap: &Imap<LocalStore>) -> Self {
        let (stream, served) = tokio::io::duplex(PIPE);
        let imap = imap.clone();
        tokio::spawn(async move {
            let peer = SocketAddr::from(([127, 0, 0, 1], 4000));
            imap.serve(served, peer, Beginning::Plain, CancellationToken::new()).await;
        });
        let mut client = Self { stream, received: Vec::new() };
        client.run(&format!("LOGIN {USER} secret")).await;
        client.run("SELECT INBOX").await;
        client
    }

    /// Gives a command and takes all that comes until it is done. Returns how many octets came.
    async fn run(&mut self, command: &str) -> usize {
        self.received.clear();
        self.stream.write_all(format!("tag {command}\r\n").as_bytes()).await.expect("the command is sent");
        loop {
            let read = self.stream.read_buf(&mut self.received).await.expect("the connection lives");
            assert!(read > 0, "{command}: the connection was closed");
            if let Some(tagged) = tagged(&self.received) {
                assert!(tagged.starts_with(b"tag OK"), "{command}: {:?}", String::from_utf8_lossy(tagged));
                return self.received.len();
            }
        }
    }
}

/// The tagged response, if it is the last line.
fn tagged(received: &[u8]) -> Option<&[u8]> {
    let line = received.strip_suffix(b"\r\n")?;
    let start = memchr::memmem::rfind(line, b"\r\n").map_or(0, |end| end + 2);
    line[start..].starts_with(b"tag ").then_some(&line[start..])
}
