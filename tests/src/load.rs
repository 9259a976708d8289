//! A load of mail over several connections that remembers what became of every message.
//!
//! Each message carries a token in its Subject and in each line of its body. The load is bounded: a client has one
//! message under way at a time.

use std::io::ErrorKind;
use std::iter;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ClientConfig;

use crate::Pipeline;
use crate::session::{Failure, Session};
use crate::wire::trust;

/// Who gets the mail.
pub const RECIPIENTS: [&str; 2] = ["alice@example.test", "bob@example.test"];
/// Who gets it at [`Remote`](crate::Remote): two addresses of one host, and so two sites.
pub const REMOTE: [&str; 2] = ["carol@[127.0.0.1]", "dave@[127.0.0.2]"];

/// Messages that one session carries, so that there are new ones all the time.
const MESSAGES_PER_SESSION: usize = 20;
/// The longest pause of a client between two messages: what bounds the rate of the load.
const LONGEST_PAUSE: Duration = Duration::from_millis(60);

/// Where a message goes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// An MTA's port 25, in clear.
    Smtp,
    /// The MSA's port 465, logged in.
    Submissions,
}

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What tells it from all others.
    pub token: String,
    /// Where it went in.
    pub door: Door,
    /// The addresses that it was for.
    pub recipients: Vec<&'static str>,
    /// Whether the sender asked for a report of success.
    pub wants_report: bool,
    /// What the client knows of it.
    pub fate: Fate,
}

/// What a client knows of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It got its 250.
    Acknowledged,
    /// The server said no.
    Refused(String),
    /// There was no answer: the connection was lost, or timed out.
    Unknown(ErrorKind),
}

/// What the clients went through.
#[derive(Debug, Default)]
pub struct Outcome {
    /// All messages.
    pub sent: Vec<Sent>,
    /// What went wrong with sessions while no message was under way: at their beginning, mostly.
    pub broken: Vec<Failure>,
}

impl Outcome {
    /// Adds what others went through.
    pub fn add(&mut self, other: Self) {
        self.sent.extend(other.sent);
        self.broken.extend(other.broken);
    }
}

/// What a load is made of.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Clients of port 25, that of the first MTA node.
    pub smtp: usize,
    /// Clients of port 465.
    pub submissions: usize,
    /// Whether some submissions ask for a report of success. Such mail cannot go straight to the MDA.
    pub reports: bool,
    /// Whether most submissions are for people elsewhere.
    pub remote: bool,
}

/// Loads that this process has started: no two may have a token in common.
static LOADS: AtomicU64 = AtomicU64::new(0);

/// Clients that send until they are told to stop, or it is dropped.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Outcome>>,
}

struct Shared {
    /// Which load of this process it is.
    number: u64,
    mix: Mix,
    longest_pause: Duration,
    smtp: SocketAddr,
    submissions: SocketAddr,
    tls: Arc<ClientConfig>,
    stop: AtomicBool,
    acknowledged: [AtomicU64; 2],
    refused: AtomicU64,
}

impl Load {
    /// Starts the clients.
    pub fn start(pipeline: &Pipeline, mix: Mix) -> Self {
        Self::with_pauses(pipeline, mix, LONGEST_PAUSE)
    }

    /// Starts clients that never pause.
    pub fn flood(pipeline: &Pipeline, mix: Mix) -> Self {
        Self::with_pauses(pipeline, mix, Duration::ZERO)
    }

    fn with_pauses(pipeline: &Pipeline, mix: Mix, longest_pause: Duration) -> Self {
        let shared = Arc::new(Shared {
            number: LOADS.fetch_add(1, Ordering::Relaxed),
            mix,
            longest_pause,
            smtp: pipeline.address("mta", "smtp"),
            submissions: pipeline.address("msa", "submissions"),
            tls: trust(Path::new(&pipeline.ca())),
            stop: AtomicBool::new(false),
            acknowledged: Default::default(),
            refused: AtomicU64::new(0),
        });
        let doors = [(Door::Smtp, mix.smtp), (Door::Submissions, mix.submissions)];
        let doors = doors.into_iter().flat_map(|(door, clients)| iter::repeat_n(door, clients));
        let clients = doors.enumerate().map(|(number, door)| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || Client { shared, number, door, outcome: Outcome::default() }.run())
        });
        Self { clients: clients.collect(), shared }
    }

    /// Messages that got their 250 at a door so far.
    pub fn acknowledged(&self, door: Door) -> u64 {
        self.shared.acknowledged[door as usize].load(Ordering::Relaxed)
    }

    /// Messages that were refused so far.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Lets each client finish its message, and tells what they went through.
    ///
    /// # Panics
    /// If a client did.
    pub fn stop(mut self) -> Outcome {
        let mut all = Outcome::default();
        for outcome in self.end() {
            all.add(outcome.expect("a client"));
        }
        all
    }

    /// What each client's thread ended with.
    fn end(&mut self) -> Vec<thread::Result<Outcome>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.clients.drain(..).map(JoinHandle::join).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Who drops a load without asking what came of it has failed already.
        drop(self.end());
    }
}

/// The body of the message with this token: its last part says how many lines there are.
///
/// # Panics
/// If the load made no such token.
pub fn body(token: &str) -> String {
    lines(token).collect()
}

/// The lines of that body.
pub(crate) fn lines(token: &str) -> impl Iterator<Item = String> {
    let lines: u32 = token.rsplit('-').next().and_then(|lines| lines.parse().ok()).expect("a token");
    (0..lines).map(move |line| format!("{token} {line:06} {:.>60}\r\n", ""))
}

struct Client {
    shared: Arc<Shared>,
    number: usize,
    door: Door,
    outcome: Outcome,
}

impl Client {
    fn run(mut self) -> Outcome {
        while !self.is_stopped() {
            if let Err(failure) = self.session() {
                self.outcome.broken.push(failure);
            }
            self.pause();
        }
        self.outcome
    }

    /// One session. The error is what went wrong with it while no message was under way.
    fn session(&mut self) -> Result<(), Failure> {
        let mut session = match self.door {
            Door::Smtp => Session::open(self.shared.smtp)?,
            Door::Submissions => Session::log_in(self.shared.submissions, &self.shared.tls)?,
        };
        for _ in 0..MESSAGES_PER_SESSION {
            if self.is_stopped() {
                break;
            }
            let message = self.message();
            let answer = session.send(&message);
            let is_over = matches!(answer, Err(Failure::Lost(_)));
            let fate = match answer {
                Ok(()) => Fate::Acknowledged,
                Err(Failure::Refused(reply)) => Fate::Refused(reply),
                Err(Failure::Lost(error)) => Fate::Unknown(error.kind()),
            };
            let was_refused = matches!(fate, Fate::Refused(_));
            if was_refused {
                self.shared.refused.fetch_add(1, Ordering::Relaxed);
            }
            if fate == Fate::Acknowledged {
                self.shared.acknowledged[self.door as usize].fetch_add(1, Ordering::Relaxed);
            }
            self.outcome.sent.push(Sent { fate, ..message });
            if is_over {
                return Ok(());
            }
            if was_refused {
                session.reset()?;
            }
            self.pause();
        }
        session.quit()
    }

    /// A message like none before: mostly small, now and then one that does not fit in the MTA's memory; mostly for
    /// one recipient.
    fn message(&self) -> Sent {
        let lines = if fastrand::u8(..100) == 0 { 4_000 } else { fastrand::u32(1..40) };
        let (load, count) = (self.shared.number, self.outcome.sent.len());
        let token = format!("load-{load}-{}-{count}-{lines}", self.number);
        let recipients = match fastrand::u8(..10) {
            0 if self.shared.mix.remote && self.door == Door::Submissions => [RECIPIENTS, REMOTE].concat(),
            other @ 1..8 if self.shared.mix.remote && self.door == Door::Submissions => {
                vec![REMOTE[usize::from(other % 2)]]
            }
            0 => RECIPIENTS.to_vec(),
            other => vec![RECIPIENTS[usize::from(other % 2)]],
        };
        let may_want_report = self.shared.mix.reports && self.door == Door::Submissions;
        let wants_report = may_want_report && fastrand::u8(..5) == 0;
        let fate = Fate::Unknown(ErrorKind::NotConnected);
        Sent { token, door: self.door, recipients, wants_report, fate }
    }

    fn is_stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    fn pause(&self) {
        thread::sleep(self.shared.longest_pause.mul_f32(fastrand::f32()));
    }
}
