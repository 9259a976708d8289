//! One end of a protocol of lines, in clear or under TLS. What is not asked for is passed over without being kept.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use memchr::{memchr, memmem};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What a session begins with; it grows where a line is longer.
const BUFFER: usize = 8 << 10;
/// The longest line: an answer to SEARCH that names every message of a large mailbox.
const LONGEST_LINE: usize = 16 << 20;

/// Where a server listens.
#[derive(Clone)]
pub(crate) struct Door {
    pub(super) address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    /// What was read and not used yet is at `start..end`. A line's end stays before `start` until more is read.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

impl Door {
    /// In clear.
    pub(crate) fn clear(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// With TLS from the first octet on, trusting the authority in a file. Every handshake is a full one.
    pub(crate) fn tls(address: SocketAddr, ca: &Path) -> Self {
        let mut config = ClientConfig::clone(&pipeline_tests::trust(ca));
        config.resumption = Resumption::disabled();
        Self { address, tls: Some(Arc::new(config)) }
    }

    pub(super) async fn connect(&self) -> io::Result<Wire> {
        let tcp = TcpStream::connect(self.address).await?;
        let Some(config) = &self.tls else { return Wire::new(tcp) };
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        Ok(Wire::over(TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?))
    }
}

impl Wire {
    /// A connection in clear.
    pub(crate) fn new(tcp: TcpStream) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        Ok(Self::over(tcp))
    }

    fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: vec![0; BUFFER], start: 0, end: 0 }
    }

    /// Reads as much as `octets` at a time from now on: fewer and larger reads where much is to come.
    pub(crate) fn read_at_a_time(&mut self, octets: usize) {
        self.buffer.resize(octets.max(self.buffer.len()), 0);
    }

    /// Sends octets as they are.
    pub(crate) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await
    }

    /// The next line, without its end.
    pub(crate) async fn line(&mut self) -> io::Result<&[u8]> {
        let mut searched = 0;
        loop {
            let unused = &self.buffer[self.start..self.end];
            if let Some(at) = memchr(b'\n', &unused[searched..]) {
                let (from, newline) = (self.start, self.start + searched + at);
                self.start = newline + 1;
                let line = self.buffer[from..newline].strip_suffix(b"\r");
                return line.ok_or_else(|| io::Error::other("a line that ends in a bare LF"));
            }
            searched = unused.len();
            if searched > LONGEST_LINE {
                return Err(io::Error::other("a line without an end"));
            }
            self.fill().await?;
        }
    }

    /// Whether a whole line is here already.
    pub(crate) fn has_line(&self) -> bool {
        memchr(b'\n', &self.buffer[self.start..self.end]).is_some()
    }

    /// Passes over so many octets.
    pub(crate) async fn skip(&mut self, mut octets: u64) -> io::Result<()> {
        loop {
            let here = octets.min((self.end - self.start) as u64);
            self.start += here as usize;
            octets -= here;
            if octets == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    /// Passes over a message behind a line: all up to the line that is only a dot, which ends it (RFC 5321 §4.1.1.4,
    /// RFC 1939 §3). Gives its octets, dots that were put before dots counted.
    pub(crate) async fn skip_message(&mut self) -> io::Result<u64> {
        const END: &[u8] = b"\r\n.\r\n";
        // The end of the line before may be where the end of an empty message begins.
        self.start -= 2;
        let mut passed = 0;
        loop {
            let unused = &self.buffer[self.start..self.end];
            if let Some(at) = memmem::find(unused, END) {
                self.start += at + END.len();
                return Ok(passed + at as u64);
            }
            let kept = unused.len().min(END.len() - 1);
            passed += (unused.len() - kept) as u64;
            self.start = self.end - kept;
            self.fill().await?;
        }
    }

    /// Reads more behind what was not used yet.
    async fn fill(&mut self) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        } else if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
        match self.stream.read(&mut self.buffer[self.end..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.end += read;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// What a test reads from: the octets come in pieces of `piece` at most.
    fn wire(octets: &'static [u8], piece: usize) -> Wire {
        let (mut far, near) = duplex(piece);
        tokio::spawn(async move { far.write_all(octets).await });
        Wire::over(near)
    }

    #[tokio::test]
    async fn lines_and_messages_are_found_however_they_arrive() {
        let octets = b"+OK\r\n..a\r\n.\rb\r\n.\r\nnext\r\n.\r\nlast\r\n";
        for piece in 1..octets.len() {
            let mut wire = wire(octets, piece);
            assert_eq!(wire.line().await.unwrap(), b"+OK");
            assert_eq!(wire.skip_message().await.unwrap(), b"..a\r\n.\rb\r\n".len() as u64);
            assert_eq!(wire.line().await.unwrap(), b"next");
            assert_eq!(wire.skip_message().await.unwrap(), 0);
            wire.skip(2).await.unwrap();
            assert_eq!(wire.line().await.unwrap(), b"st");
            assert_eq!(wire.line().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[tokio::test]
    async fn a_line_may_be_longer_than_the_buffer() {
        let octets: &[u8] = Box::leak([vec![b'a'; 5 * BUFFER], b"\r\n".to_vec()].concat().into_boxed_slice());
        assert_eq!(wire(octets, 4_000).line().await.unwrap().len(), 5 * BUFFER);
    }
}
