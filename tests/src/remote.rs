//! Another mail system, as far as ours can see one: it takes mail at loopback addresses and remembers all of it. It is
//! part of the test's own process, so it outlives whoever sends to it.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::eventually;
use crate::load::{self, Fate, REMOTE, Sent};

/// The longest wait before the reply to a message: so that whoever waits for it can die meanwhile.
const SLOWEST: Duration = Duration::from_millis(100);
/// One of so many recipients is put off once: so that there are second attempts.
const PUT_OFF: u8 = 20;

/// A message that was taken for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// The sender went on after the reply: it has read it.
    Confirmed,
    /// The connection ended behind the reply: the sender may not have read it.
    CutOff,
}

/// What was taken, by token and recipient.
type Taking = Mutex<HashMap<(String, String), Vec<Taken>>>;

/// The system.
pub struct Remote {
    port: u16,
    taken: Arc<Taking>,
}

impl Remote {
    /// Starts it at the addresses that [`REMOTE`] names, all on one port.
    pub fn start() -> Self {
        let listeners = eventually("a port that is free at both addresses", || {
            let first = TcpListener::bind(("127.0.0.1", 0)).ok()?;
            let port = first.local_addr().ok()?.port();
            Some([first, TcpListener::bind(("127.0.0.2", port)).ok()?])
        });
        let port = listeners[0].local_addr().expect("an address").port();
        let taken = Arc::<Taking>::default();
        for listener in listeners {
            let taken = Arc::clone(&taken);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let taken = Arc::clone(&taken);
                    // However a session ends: what it took is remembered.
                    thread::spawn(move || Visit { taken: &taken, behind_reply: Vec::new() }.serve(&stream));
                }
            });
        }
        Self { port, taken }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Each message that was acknowledged came to each of its recipients here; none came twice unless a reply to it was
    /// cut off before; none came to anyone else. Returns how many came twice.
    ///
    /// # Panics
    /// If not.
    pub fn check(&self, sent: &[Sent]) -> usize {
        let taken = self.taken.lock();
        let (mut known, mut twice) = (0, 0);
        for sent in sent {
            for recipient in REMOTE {
                let copies = taken.get(&(sent.token.clone(), recipient.to_owned()));
                let copies = copies.map_or(&[][..], Vec::as_slice);
                let cut_off = copies.iter().filter(|copy| **copy == Taken::CutOff).count();
                let was_meant = sent.recipients.contains(&recipient);
                let least = usize::from(was_meant && sent.fate == Fate::Acknowledged);
                let most = if was_meant { 1 + cut_off } else { 0 };
                assert!((least..=most).contains(&copies.len()), "{copies:?} for {recipient} of {sent:?}");
                known += copies.len();
                twice += copies.len().saturating_sub(1);
            }
        }
        assert_eq!(taken.values().map(Vec::len).sum::<usize>(), known, "messages that nobody sent");
        twice
    }
}

/// One session.
struct Visit<'a> {
    taken: &'a Taking,
    /// What was taken last, while the sender has said nothing since.
    behind_reply: Vec<(String, String)>,
}

impl Visit<'_> {
    fn serve(&mut self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut reader, mut writer) = (BufReader::new(stream), stream);
        let mut recipients: Vec<String> = Vec::new();
        writer.write_all(b"220 remote.test ESMTP\r\n")?;
        let mut line = String::new();
        while {
            line.clear();
            reader.read_line(&mut line)?
        } > 0
        {
            self.confirm();
            let command = line.trim_end().to_ascii_uppercase();
            let reply = match command.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" => "250-remote.test\r\n250-PIPELINING\r\n250 8BITMIME".to_owned(),
                "RCPT" if fastrand::u8(..PUT_OFF) == 0 => "451 4.3.0 come again".to_owned(),
                "RCPT" => {
                    let path = line.split(['<', '>']).nth(1).unwrap_or_default();
                    recipients.push(path.to_owned());
                    "250 2.1.5 ok".to_owned()
                }
                "MAIL" | "RSET" => {
                    recipients.clear();
                    "250 2.0.0 ok".to_owned()
                }
                "DATA" if recipients.is_empty() => "554 5.5.1 nobody to send it to".to_owned(),
                "DATA" => {
                    writer.write_all(b"354 go on\r\n")?;
                    let token = read_message(&mut reader)?;
                    thread::sleep(SLOWEST.mul_f32(fastrand::f32()));
                    self.take(&token, std::mem::take(&mut recipients));
                    "250 2.0.0 taken".to_owned()
                }
                "QUIT" => return writer.write_all(b"221 2.0.0 bye\r\n"),
                _ => "502 5.5.2 unknown".to_owned(),
            };
            writer.write_all(reply.as_bytes())?;
            writer.write_all(b"\r\n")?;
        }
        Ok(())
    }

    /// The message is ours from here on, whether or not the sender hears of it.
    fn take(&mut self, token: &str, recipients: Vec<String>) {
        self.behind_reply = recipients.into_iter().map(|recipient| (token.to_owned(), recipient)).collect();
        let mut taken = self.taken.lock();
        for key in &self.behind_reply {
            taken.entry(key.clone()).or_default().push(Taken::CutOff);
        }
    }

    /// The sender goes on: it has read the last reply.
    fn confirm(&mut self) {
        let mut taken = self.taken.lock();
        for key in self.behind_reply.drain(..) {
            if let Some(last) = taken
                .get_mut(&key)
                .and_then(|copies| copies.iter_mut().rev().find(|copy| **copy == Taken::CutOff))
            {
                *last = Taken::Confirmed;
            }
        }
    }
}

/// Reads a message to its end; returns its token.
///
/// # Panics
/// If the message is damaged: the panic shows in the test's output, and the message counts as lost.
fn read_message(reader: &mut BufReader<&TcpStream>) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let start = text.len();
        if reader.read_line(&mut text)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if &text[start..] == ".\r\n" {
            text.truncate(start);
            break;
        }
    }
    let (header, body) = text.split_once("\r\n\r\n").expect("a header and a body");
    let token = header.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a subject");
    assert!(body == load::body(token), "{token} is damaged:\n{text}");
    Ok(token.to_owned())
}
