//! What changes the connection as a whole: COMPRESS and UNAUTHENTICATE.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::client::{Client, PASSWORD, Server, USER};
use crate::imap::Beginning;
use crate::store::MailStore as _;

/// A client behind a compressed connection.
struct Compressed {
    stream: DuplexStream,
    compress: Compress,
    decompress: Decompress,
}

impl Compressed {
    async fn over(mut client: Client<DuplexStream>) -> Self {
        client.ok("COMPRESS DEFLATE").await;
        assert!(client.unread().is_empty());
        Self {
            stream: client.stream,
            compress: Compress::new(Compression::best(), false),
            decompress: Decompress::new(false),
        }
    }

    fn compressed(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut compressed = Vec::with_capacity(octets.len() + 1_024);
        self.compress.compress_vec(octets, &mut compressed, FlushCompress::Sync).unwrap();
        compressed
    }

    /// Sends lines, and gives all that comes up to a line that begins so.
    async fn say(&mut self, lines: &str, until: &str) -> String {
        let compressed = self.compressed(lines.as_bytes());
        // In pieces, as a network may.
        for octet in compressed {
            self.stream.write_all(&[octet]).await.unwrap();
        }
        self.hear(until).await
    }

    async fn hear(&mut self, until: &str) -> String {
        let mut heard = Vec::with_capacity(1 << 20);
        loop {
            let mut piece = [0; 777];
            let read = self.stream.read(&mut piece).await.unwrap();
            if read == 0 {
                return String::from_utf8(heard).unwrap();
            }
            let start = self.decompress.total_in();
            let mut left = &piece[..read];
            while !left.is_empty() {
                self.decompress.decompress_vec(left, &mut heard, FlushDecompress::Sync).unwrap();
                left = &piece[(self.decompress.total_in() - start) as usize..read];
            }
            let text = String::from_utf8_lossy(&heard);
            if text.ends_with("\r\n") && text.lines().any(|line| line.starts_with(until)) {
                return text.into_owned();
            }
        }
    }
}

#[tokio::test]
async fn a_compressed_session_says_the_same() {
    let server = Server::start().await;
    let mut client = Compressed::over(server.login().await).await;
    let message = format!("Subject: x\r\n\r\n{}\r\n", "long line ".repeat(9_000));
    let append = format!("a APPEND INBOX {{{}+}}\r\n{message}\r\nb SELECT INBOX\r\n", message.len());
    assert!(client.say(&append, "b OK").await.contains("* 1 EXISTS"));
    let fetched = client.say("c FETCH 1 BODY.PEEK[]\r\n", "c OK").await;
    assert!(fetched.contains(&message), "{} octets", fetched.len());
    assert!(client.say("d COMPRESS DEFLATE\r\n", "d BAD").await.contains("[COMPRESSIONACTIVE]"));
}

#[tokio::test]
async fn a_bomb_meets_the_limits_of_what_it_stands_for() {
    let server = Server::start().await;
    let mut client = Compressed::over(server.login().await).await;
    let bomb = client.compressed(&vec![b'a'; 4 << 20]);
    client.stream.write_all(&bomb).await.ok();
    assert!(client.hear("* BYE").await.contains("too long"));
}

#[tokio::test]
async fn only_deflate_is_known_and_nothing_may_follow_unanswered() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    assert!(client.fails("COMPRESS DEFLATE").await.starts_with("BAD"));
    let mut client = server.login().await;
    assert!(client.fails("COMPRESS LZW").await.starts_with("BAD"));
    client.send("a COMPRESS DEFLATE\r\nb NOOP\r\n").await;
    assert!(client.rest().await.starts_with("* BYE"));
}

#[tokio::test]
async fn a_connection_is_given_to_the_next_user() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    client.ok("ENABLE IMAP4rev2").await;
    client.send("a UNAUTHENTICATE\r\nb SELECT INBOX\r\n").await;
    assert!(client.responses("a").await.1.starts_with("OK"));
    assert!(client.responses("b").await.1.starts_with("BAD"));
    assert!(client.fails("UNAUTHENTICATE").await.starts_with("BAD"));
    client.ok(&format!("LOGIN {USER} \"{PASSWORD}\"")).await;
    assert!(client.fails("FETCH 1 FLAGS").await.starts_with("BAD"));
    let selected = client.ok("SELECT INBOX").await;
    assert!(selected.contains(&"* 0 RECENT".to_owned()), "IMAP4rev2 is no longer enabled: {selected:?}");
}

#[tokio::test]
async fn the_compression_ends_with_the_login() {
    let server = Server::start().await;
    let mut client = Compressed::over(server.login().await).await;
    client.say("a UNAUTHENTICATE\r\n", "a OK").await;
    let mut client = Client::over(client.stream, None);
    client.ok(&format!("LOGIN {USER} \"{PASSWORD}\"")).await;
    client.ok("COMPRESS DEFLATE").await;
}

/// Ten thousands of connections wait at the same time: what a command needs while it runs is not kept for it.
#[tokio::test]
async fn a_connection_that_waits_takes_little_memory() {
    let server = Server::start().await;
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 4000));
    let connection = server.imap.serve(tokio::io::empty(), peer, Beginning::Plain, server.shutdown.clone());
    let size = size_of_val(&connection);
    assert!(size < 4 * 1024, "{size}");
}

#[tokio::test]
async fn a_changed_password_ends_the_sessions_that_it_let_in() {
    let server = Server::start().await;
    server.add_account("bob@example.test").await;
    let account = server.store.store.account_by_address(USER).unwrap().unwrap();
    let mut idling = server.inbox().await;
    idling.send("a IDLE\r\n").await;
    assert!(idling.line().await.starts_with("+ "));
    let mut other = server.login_as("bob@example.test").await;
    let authenticator = server.imap.authenticator();
    let password = authenticator.make_password(USER, "another").await.unwrap();
    server.store.store.set_password(account.id, password, None).await.unwrap();
    // Whoever was let in a moment before is not in for long.
    assert!(authenticator.stay(&account).over().is_cancelled());
    authenticator.credentials_changed(account.id);
    assert!(idling.line().await.starts_with("* BYE"));
    other.ok("NOOP").await;
    let mut client = server.connect().await;
    client.ok(&format!("LOGIN {USER} another")).await;
    client.ok("NOOP").await;
}

#[tokio::test]
async fn a_changed_password_ends_long_answers_in_their_middle() {
    let server = Server::start().await;
    let mut thief = server.login().await;
    let size = 4 << 20;
    thief.append("INBOX", &"x".repeat(size)).await;
    thief.ok("SELECT INBOX").await;
    let account = server.store.store.account_by_address(USER).unwrap().unwrap();
    thief.send("a FETCH 1 BODY.PEEK[]\r\n").await;
    thief.stream.read_exact(&mut [0; 1024]).await.unwrap();
    server.imap.authenticator().credentials_changed(account.id);
    assert!(thief.rest().await.len() < size / 2);
}

#[tokio::test]
async fn long_tokens_are_read_before_login() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let token = "x".repeat(12_000);
    let refused = client.fails(&format!("AUTHENTICATE PLAIN {token}")).await;
    assert!(refused.starts_with("BAD"), "{refused}");
    client.ok("NOOP").await;
}
