//! How long a server may take.

use serde::{Deserialize, Serialize};
use smtp::client::Stage;
use std::time::Duration;

use crate::config::{ByteSize, HumanDuration};

/// How long to wait for a server (RFC 5321 §4.5.3.2). Each reply has its time as a whole: one that comes octet by octet
/// has no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// The TCP connection to one address. Default 30s.
    pub connect: HumanDuration,
    /// The greeting. Default 5m.
    pub greeting: HumanDuration,
    /// The reply to EHLO or HELO. Default 5m.
    pub hello: HumanDuration,
    /// The reply to STARTTLS, and then the TLS handshake. Default 2m each.
    pub tls: HumanDuration,
    /// Each reply of an AUTH exchange. Default 2m.
    pub auth: HumanDuration,
    /// The reply to MAIL. Default 5m.
    pub mail: HumanDuration,
    /// The reply to each RCPT. Default 5m.
    pub rcpt: HumanDuration,
    /// The reply to DATA. Default 2m.
    pub data: HumanDuration,
    /// A piece of the message (64 KiB) to leave, and the reply to a chunk of it. Default 3m.
    pub block: HumanDuration,
    /// The reply to the whole message. To give up too early is to send it twice. Default 10m.
    pub end: HumanDuration,
    /// The reply to RSET. Default 1m.
    pub reset: HumanDuration,
    /// The reply to QUIT, of which nobody needs to know. Default 5s.
    pub quit: HumanDuration,
    /// One message from MAIL until it has left, whatever the steps on the way may take. Default 2h.
    pub message: HumanDuration,
    /// Octets of a message that the server has to take per second on average, once `block` has passed; 0 for no such
    /// limit. Default 1KiB.
    pub min_rate: ByteSize,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: HumanDuration::from_secs(30),
            greeting: HumanDuration::from_mins(5),
            hello: HumanDuration::from_mins(5),
            tls: HumanDuration::from_mins(2),
            auth: HumanDuration::from_mins(2),
            mail: HumanDuration::from_mins(5),
            rcpt: HumanDuration::from_mins(5),
            data: HumanDuration::from_mins(2),
            block: HumanDuration::from_mins(3),
            end: HumanDuration::from_mins(10),
            reset: HumanDuration::from_mins(1),
            quit: HumanDuration::from_secs(5),
            message: HumanDuration::from_hours(2),
            min_rate: ByteSize::kib(1),
        }
    }
}

impl Timeouts {
    /// The name of a timeout that is 0, with which nothing could ever be sent.
    pub fn zero(&self) -> Option<&'static str> {
        [
            ("connect", self.connect),
            ("greeting", self.greeting),
            ("hello", self.hello),
            ("tls", self.tls),
            ("auth", self.auth),
            ("mail", self.mail),
            ("rcpt", self.rcpt),
            ("data", self.data),
            ("block", self.block),
            ("end", self.end),
            ("reset", self.reset),
            ("message", self.message),
        ]
        .into_iter()
        .find(|(_, timeout)| timeout.is_zero())
        .map(|(name, _)| name)
    }

    pub(super) fn of(&self, stage: Stage) -> Duration {
        *match stage {
            Stage::Connect => self.connect,
            Stage::Greeting => self.greeting,
            Stage::Hello => self.hello,
            Stage::StartTls => self.tls,
            Stage::Auth => self.auth,
            Stage::Mail => self.mail,
            Stage::Rcpt => self.rcpt,
            Stage::Data => self.data,
            Stage::Body => self.block,
            Stage::End => self.end,
            Stage::Reset => self.reset,
            Stage::Quit => self.quit,
        }
    }

    /// How long so many octets of a message may take to leave.
    pub(super) fn of_octets(&self, octets: u64) -> Duration {
        match self.min_rate.0 {
            0 => *self.message,
            rate => *self.block + Duration::from_secs(octets / rate),
        }
    }
}
