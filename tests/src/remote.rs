//! Another mail system, as far as ours can see one: it takes mail at loopback addresses and remembers all of it. It is
//! part of the test's own process, so it outlives whoever sends to it.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::load::{self, Fate, REMOTE, Sent};
use crate::{Verdict, eventually};

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

/// Whom a message was taken for: its token, and the recipient.
type Key = (String, String);

/// What was taken, in its order.
#[derive(Default)]
struct Taking {
    by_key: Mutex<HashMap<Key, Vec<Taken>>>,
    /// One of so many replies to a message is cut off; 0 for none.
    cuts_off: u8,
    cut_off: AtomicUsize,
    /// Every recipient is put off.
    puts_off: AtomicBool,
    put_off: AtomicUsize,
}

/// The system. Clones are the same.
#[derive(Clone)]
pub struct Remote {
    port: u16,
    taking: Arc<Taking>,
}

impl Remote {
    /// Starts it at the addresses that [`REMOTE`] names, all on one port.
    pub fn start() -> Self {
        Self::start_cutting_off(0)
    }

    /// Like [`Remote::start`], but for one of so many messages it takes (none if 0) the connection ends before or in the
    /// middle of the reply.
    pub fn start_cutting_off(one_of: u8) -> Self {
        let listeners = eventually("a port that is free at both addresses", || {
            let first = TcpListener::bind(("127.0.0.1", 0)).ok()?;
            let port = first.local_addr().ok()?.port();
            Some([first, TcpListener::bind(("127.0.0.2", port)).ok()?])
        });
        let port = listeners[0].local_addr().expect("an address").port();
        let taking = Arc::new(Taking { cuts_off: one_of, ..Taking::default() });
        for listener in listeners {
            let taking = Arc::clone(&taking);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let taking = Arc::clone(&taking);
                    // However a session ends: what it took is remembered.
                    thread::spawn(move || Visit { taking: &taking, behind_reply: Vec::new() }.serve(&stream));
                }
            });
        }
        Self { port, taking }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Puts off every recipient from now on, or does not any more.
    pub fn puts_off(&self, everyone: bool) {
        self.taking.puts_off.store(everyone, Ordering::Relaxed);
    }

    /// How often it has put off a recipient.
    pub fn put_off(&self) -> usize {
        self.taking.put_off.load(Ordering::Relaxed)
    }

    /// Replies that it cut off by itself.
    pub fn cut_off(&self) -> usize {
        self.taking.cut_off.load(Ordering::Relaxed)
    }

    /// Each message that was acknowledged came to each of its recipients here; none came again but after a reply to it
    /// that was cut off; none came to anyone else. Returns how many came again.
    ///
    /// # Panics
    /// If not.
    pub fn check(&self, sent: &[Sent]) -> usize {
        let verdict = self.verdict(sent);
        verdict.check();
        verdict.repeated as usize
    }

    /// How far that is so.
    pub fn verdict(&self, sent: &[Sent]) -> Verdict {
        let taken = self.taking.by_key.lock();
        let mut verdict = Verdict::default();
        let mut known = 0;
        for sent in sent {
            for recipient in REMOTE {
                let copies = taken.get(&(sent.token.clone(), recipient.to_owned()));
                let copies = copies.map_or(&[][..], Vec::as_slice);
                let (repeated, counted) = match copies.split_last() {
                    None => (0, 0),
                    // One that came again after a reply that was read need not have come.
                    Some((_, before)) => {
                        let excused = before.iter().filter(|copy| **copy == Taken::CutOff).count();
                        (excused, copies.len() - excused)
                    }
                };
                let most = u32::from(sent.recipients.contains(&recipient));
                let least = most * u32::from(sent.fate == Fate::Acknowledged);
                verdict
                    .count(counted as u32, least, most, || format!("{copies:?} for {recipient} of {sent:?}"));
                verdict.repeated += repeated as u64;
                known += copies.len();
            }
        }
        let all = taken.values().map(Vec::len).sum::<usize>();
        if all != known {
            verdict.note(format!("{} messages that nobody sent", all - known));
        }
        verdict
    }
}

/// One session.
struct Visit<'a> {
    taking: &'a Taking,
    /// What was taken last, each with its place among the copies, while the sender has said nothing since.
    behind_reply: Vec<(Key, usize)>,
}

impl Visit<'_> {
    fn serve(&mut self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut reader, mut writer) = (BufReader::new(stream), stream);
        let (mut recipients, mut chunks) = (Vec::<String>::new(), String::new());
        let extensions =
            if fastrand::bool() { "250-PIPELINING\r\n250-CHUNKING\r\n" } else { "250-PIPELINING\r\n" };
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
                "EHLO" => format!("250-remote.test\r\n{extensions}250 8BITMIME"),
                "RCPT" if self.puts_off() => "451 4.3.0 come again".to_owned(),
                "RCPT" => {
                    let path = line.split(['<', '>']).nth(1).unwrap_or_default();
                    recipients.push(path.to_owned());
                    "250 2.1.5 ok".to_owned()
                }
                "MAIL" | "RSET" => {
                    recipients.clear();
                    chunks.clear();
                    "250 2.0.0 ok".to_owned()
                }
                "DATA" if recipients.is_empty() => "554 5.5.1 nobody to send it to".to_owned(),
                "DATA" => {
                    writer.write_all(b"354 go on\r\n")?;
                    let message = read_message(&mut reader)?;
                    match self.take(&message, std::mem::take(&mut recipients)) {
                        Some(cut_off) => return writer.write_all(cut_off),
                        None => TAKEN.to_owned(),
                    }
                }
                "BDAT" => {
                    let mut words = command.split(' ').skip(1);
                    let octets = words.next().and_then(|octets| octets.parse().ok());
                    chunks += &read_chunk(&mut reader, octets.ok_or(io::ErrorKind::InvalidData)?)?;
                    let is_last = words.next() == Some("LAST");
                    if recipients.is_empty() {
                        "554 5.5.1 nobody to send it to".to_owned()
                    } else if is_last {
                        match self.take(&std::mem::take(&mut chunks), std::mem::take(&mut recipients)) {
                            Some(cut_off) => return writer.write_all(cut_off),
                            None => TAKEN.to_owned(),
                        }
                    } else {
                        "250 2.0.0 go on".to_owned()
                    }
                }
                "QUIT" => return writer.write_all(b"221 2.0.0 bye\r\n"),
                _ => "502 5.5.2 unknown".to_owned(),
            };
            writer.write_all(reply.as_bytes())?;
            writer.write_all(b"\r\n")?;
        }
        Ok(())
    }

    fn puts_off(&self) -> bool {
        let puts_off = self.taking.puts_off.load(Ordering::Relaxed) || fastrand::u8(..PUT_OFF) == 0;
        self.taking.put_off.fetch_add(usize::from(puts_off), Ordering::Relaxed);
        puts_off
    }

    /// The message is ours from here on, whether or not the sender hears of it. What is left of the reply if it is to be
    /// cut off.
    fn take(&mut self, message: &str, recipients: Vec<String>) -> Option<&'static [u8]> {
        let token = token_of(message);
        thread::sleep(SLOWEST.mul_f32(fastrand::f32()));
        let mut taken = self.taking.by_key.lock();
        for recipient in recipients {
            let key = (token.to_owned(), recipient);
            let copies = taken.entry(key.clone()).or_default();
            self.behind_reply.push((key, copies.len()));
            copies.push(Taken::CutOff);
        }
        let cuts_off = self.taking.cuts_off > 0 && fastrand::u8(..self.taking.cuts_off) == 0;
        cuts_off.then(|| {
            self.taking.cut_off.fetch_add(1, Ordering::Relaxed);
            &TAKEN.as_bytes()[..fastrand::usize(..TAKEN.len())]
        })
    }

    /// The sender goes on: it has read the last reply.
    fn confirm(&mut self) {
        let mut taken = self.taking.by_key.lock();
        for (key, place) in self.behind_reply.drain(..) {
            if let Some(copy) = taken.get_mut(&key).and_then(|copies| copies.get_mut(place)) {
                *copy = Taken::Confirmed;
            }
        }
    }
}

/// The reply to a message.
const TAKEN: &str = "250 2.0.0 taken";

/// Reads a message by DATA to its end.
fn read_message(reader: &mut BufReader<&TcpStream>) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let start = text.len();
        if reader.read_line(&mut text)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if &text[start..] == ".\r\n" {
            text.truncate(start);
            return Ok(text);
        }
    }
}

fn read_chunk(reader: &mut BufReader<&TcpStream>, octets: usize) -> io::Result<String> {
    let mut chunk = vec![0; octets];
    reader.read_exact(&mut chunk)?;
    String::from_utf8(chunk).map_err(io::Error::other)
}

/// A message's token.
///
/// # Panics
/// If the message is damaged: the panic shows in the test's output, and the message counts as lost.
fn token_of(message: &str) -> &str {
    let (header, body) = message.split_once("\r\n\r\n").expect("a header and a body");
    let token = header.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a subject");
    assert!(body == load::body(token), "{token} is damaged:\n{message}");
    token
}
