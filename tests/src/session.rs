//! A session with a server that speaks SMTP, step by step.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::Pipeline;
use crate::load::{self, Sent};
use crate::wire::{Wire, trust};

/// AUTH PLAIN for alice@example.test and the password `secret`.
const CREDENTIALS: &str = "AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=";
/// The sender of all mail; the one who logs in.
const SENDER: &str = "alice@example.test";

/// Octets of a message that are sent at once.
const PIECE: usize = 256 << 10;

/// Why something did not work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server said no.
    #[error("{0}")]
    Refused(String),
    /// The server was not there, or did not answer.
    #[error(transparent)]
    Lost(#[from] io::Error),
}

/// A session.
pub struct Session(Wire);

impl Session {
    /// Connects in clear, as another MTA would.
    pub fn open(address: SocketAddr) -> Result<Self, Failure> {
        Self::begin(Wire::connect(address, None)?)
    }

    /// Logs in at a pipeline's MSA, as a mail program would.
    pub fn submission(pipeline: &Pipeline) -> Result<Self, Failure> {
        Self::log_in(pipeline.address("msa", "submissions"), &trust(Path::new(&pipeline.ca())))
    }

    /// Connects under TLS and logs in as alice.
    pub(crate) fn log_in(address: SocketAddr, tls: &Arc<ClientConfig>) -> Result<Self, Failure> {
        let mut session = Self::begin(Wire::connect(address, Some(tls))?)?;
        session.command(&format!("AUTH PLAIN {CREDENTIALS}"), 235)?;
        Ok(session)
    }

    fn begin(wire: Wire) -> Result<Self, Failure> {
        let mut session = Self(wire);
        session.reply(220)?;
        session.command("EHLO client.test", 250)?;
        Ok(session)
    }

    /// Sends a message; `Ok` is its 250.
    pub fn send(&mut self, message: &Sent) -> Result<(), Failure> {
        self.send_envelope(message)?;
        self.send_content(message)
    }

    /// Sends all before the message itself, so that the server waits for it now.
    pub fn send_envelope(&mut self, message: &Sent) -> Result<(), Failure> {
        let Sent { token, recipients, .. } = message;
        let (for_mail, for_rcpt) = if message.wants_report {
            (format!(" RET=HDRS ENVID={token}"), " NOTIFY=SUCCESS,FAILURE")
        } else {
            (String::new(), "")
        };
        self.command(&format!("MAIL FROM:<{SENDER}>{for_mail}"), 250)?;
        for recipient in recipients {
            self.command(&format!("RCPT TO:<{recipient}>{for_rcpt}"), 250)?;
        }
        self.command("DATA", 354)
    }

    /// Sends the message itself; `Ok` is its 250.
    pub fn send_content(&mut self, message: &Sent) -> Result<(), Failure> {
        let Sent { token, recipients, .. } = message;
        let to = recipients.join(", ");
        let mut octets = format!("From: {SENDER}\r\nTo: {to}\r\nSubject: {token}\r\n\r\n");
        for line in load::lines(token) {
            octets += &line;
            if octets.len() > PIECE {
                self.0.send(octets.as_bytes())?;
                octets.clear();
            }
        }
        self.0.send((octets + ".\r\n").as_bytes())?;
        self.reply(250)
    }

    /// Gives up the message under way.
    pub(crate) fn reset(&mut self) -> Result<(), Failure> {
        self.command("RSET", 250)
    }

    /// Ends the session.
    pub(crate) fn quit(mut self) -> Result<(), Failure> {
        self.command("QUIT", 221)
    }

    fn command(&mut self, command: &str, expected: u16) -> Result<(), Failure> {
        self.0.send(format!("{command}\r\n").as_bytes())?;
        self.reply(expected)
    }

    fn reply(&mut self, expected: u16) -> Result<(), Failure> {
        loop {
            let line = self.0.line()?;
            if line.as_bytes().get(3) == Some(&b'-') {
                continue;
            }
            let is_expected = line.starts_with(&expected.to_string());
            return if is_expected { Ok(()) } else { Err(Failure::Refused(line)) };
        }
    }
}
