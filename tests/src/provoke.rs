//! A client that sends whatever it likes and looks how that ends.

use std::io::{self, ErrorKind, Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use socket2::SockRef;

use crate::Tls;

/// What is kept of an answer; the rest is read and forgotten.
const ANSWER: usize = 64 << 10;
/// Octets that are sent before the client looks for an answer.
const PIECE: usize = 16 << 10;
/// How often the client goes from sending to reading and back.
const TURN: Duration = Duration::from_millis(2);
/// How long a server may say nothing to a step before the next one comes.
const MOMENT: Duration = Duration::from_millis(200);
/// How long a server may be silent after all was said: far longer than any of ours may be.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the client leaves, once all is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// It sends no more, and reads to the end.
    Politely,
    /// It resets the connection.
    Abruptly,
}

/// How a server dealt with a provocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It ended the connection, or the client did; this is the beginning of what it said, as text.
    Closed(String),
    /// It neither said anything nor ended the connection, for far too long.
    Hung,
}

/// Sends octets to a server, under TLS if there is someone to trust, reading what it says meanwhile. Each step is sent
/// once the server has said something to the one before, or nothing for a moment.
pub fn provoke(address: SocketAddr, tls: Option<&Tls>, steps: &[Vec<u8>], leave: Leave) -> Ended {
    let mut answer = Vec::new();
    let ended = Client::connect(address, tls).and_then(|mut client| client.talk(steps, leave, &mut answer));
    match ended {
        Err(error) if error.kind() == ErrorKind::TimedOut => Ended::Hung,
        // A reset is an end like any other, and so is TLS that is not understood.
        _ => Ended::Closed(String::from_utf8_lossy(&answer).into_owned()),
    }
}

/// The first octets that a client of TLS sends.
///
/// # Panics
/// If TLS cannot be had.
pub fn client_hello(config: &Tls) -> Vec<u8> {
    let mut octets = Vec::new();
    connection(config).expect("TLS").write_tls(&mut octets).expect("octets in memory");
    octets
}

fn connection(config: &Tls) -> io::Result<ClientConnection> {
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)
}

struct Client {
    tcp: TcpStream,
    tls: Option<ClientConnection>,
    /// What is to be sent as it is, in clear.
    clear: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr, tls: Option<&Tls>) -> io::Result<Self> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(TURN))?;
        tcp.set_write_timeout(Some(TURN))?;
        Ok(Self { tcp, tls: tls.map(connection).transpose()?, clear: Vec::new() })
    }

    fn talk(&mut self, steps: &[Vec<u8>], leave: Leave, answer: &mut Vec<u8>) -> io::Result<()> {
        let mut steps = steps.iter();
        let mut pieces = [].chunks(PIECE);
        let (mut is_heard, mut has_left) = (false, false);
        let mut moved = Instant::now();
        loop {
            if !self.has_to_send() && !has_left {
                if let Some(piece) = pieces.next() {
                    self.say(piece)?;
                } else if is_heard || moved.elapsed() > MOMENT {
                    is_heard = false;
                    match steps.next() {
                        Some(step) => pieces = step.chunks(PIECE),
                        None if leave == Leave::Abruptly => return self.reset(),
                        None => {
                            has_left = true;
                            self.close();
                        }
                    }
                }
            }
            let sent = self.send()?;
            if has_left && !self.has_to_send() {
                // It may be gone already.
                let _ = self.tcp.shutdown(Shutdown::Write);
            }
            match self.receive(answer)? {
                Some(0) => return Ok(()),
                Some(_) => (is_heard, moved) = (true, Instant::now()),
                None if sent => moved = Instant::now(),
                None if moved.elapsed() > PATIENCE => return Err(ErrorKind::TimedOut.into()),
                None => {}
            }
        }
    }

    fn say(&mut self, piece: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(piece),
            None => self.clear.write_all(piece),
        }
    }

    /// Says that this was all.
    fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
    }

    fn reset(&self) -> io::Result<()> {
        SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO))
    }

    fn has_to_send(&self) -> bool {
        // What is said before the handshake is over waits for it.
        self.tls.as_ref().map_or(!self.clear.is_empty(), |tls| tls.wants_write() || tls.is_handshaking())
    }

    /// Sends what the server takes now; tells whether it took anything.
    fn send(&mut self) -> io::Result<bool> {
        let mut any = false;
        loop {
            let sent = match &mut self.tls {
                Some(tls) if tls.wants_write() => tls.write_tls(&mut self.tcp),
                None if !self.clear.is_empty() => {
                    self.tcp.write(&self.clear).inspect(|&length| drop(self.clear.drain(..length)))
                }
                _ => return Ok(any),
            };
            match unless_late(sent)? {
                Some(length) => any |= length > 0,
                None => return Ok(any),
            }
        }
    }

    /// Reads what is there. `None` if that is nothing yet, 0 octets at the end.
    fn receive(&mut self, answer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let mut buffer = [0; PIECE];
        let Some(tls) = &mut self.tls else {
            let read = unless_late(self.tcp.read(&mut buffer))?;
            keep(answer, &buffer[..read.unwrap_or(0)]);
            return Ok(read);
        };
        let read = unless_late(tls.read_tls(&mut self.tcp))?;
        tls.process_new_packets().map_err(io::Error::other)?;
        while let Some(length) = unless_late(tls.reader().read(&mut buffer))?.filter(|&length| length > 0) {
            keep(answer, &buffer[..length]);
        }
        Ok(read)
    }
}

fn keep(answer: &mut Vec<u8>, octets: &[u8]) {
    let room = ANSWER.saturating_sub(answer.len());
    answer.extend_from_slice(&octets[..octets.len().min(room)]);
}

fn unless_late(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
            ) =>
        {
            Ok(None)
        }
        done => done.map(Some),
    }
}
