//! Another mail system that puts everyone off until the test lets mail in, and remembers what it took.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use parking_lot::Mutex;

#[derive(Default)]
struct State {
    open: AtomicBool,
    /// Copies by subject.
    taken: Mutex<HashMap<String, usize>>,
}

pub(super) struct Remote {
    port: u16,
    state: Arc<State>,
}

impl Remote {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that goes away ends only its own session.
                thread::spawn(move || serve(&stream, &state));
            }
        });
        Self { port, state }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Puts nobody off any more.
    pub(super) fn let_in(&self) {
        self.state.open.store(true, Ordering::SeqCst);
    }

    /// How often each message came, by subject.
    pub(super) fn taken(&self) -> HashMap<String, usize> {
        self.state.taken.lock().clone()
    }
}

fn serve(stream: &TcpStream, state: &State) -> io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    writer.write_all(b"220 remote.test ESMTP\r\n")?;
    let mut line = String::new();
    while {
        line.clear();
        reader.read_line(&mut line)?
    } > 0
    {
        let is_open = state.open.load(Ordering::SeqCst);
        let reply = match line.trim_end().split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250-remote.test\r\n250-PIPELINING\r\n250 8BITMIME",
            "RCPT" if !is_open => "451 4.7.1 greylisted, come back later",
            "DATA" if !is_open => "554 5.5.1 nobody to send it to",
            "DATA" => {
                writer.write_all(b"354 go on\r\n")?;
                let subject = read_message(&mut reader)?;
                *state.taken.lock().entry(subject).or_default() += 1;
                "250 2.0.0 taken"
            }
            "QUIT" => return writer.write_all(b"221 2.0.0 bye\r\n"),
            _ => "250 2.0.0 ok",
        };
        writer.write_all(format!("{reply}\r\n").as_bytes())?;
    }
    Ok(())
}

/// Reads a message to its end; gives its subject.
fn read_message(reader: &mut BufReader<&TcpStream>) -> io::Result<String> {
    let (mut subject, mut line) = (String::new(), String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(subject);
        }
        if let Some(text) = line.strip_prefix("Subject: ") {
            text.trim_end().clone_into(&mut subject);
        }
    }
}
