//! Clients that mean harm, or nothing at all, at every listener: each session comes to an end, and nobody else notices.

mod attacks;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pipeline_tests::load::{Load, Mix};
use pipeline_tests::{Ended, Leave, Options, Pipeline, Service, Tally, Tls, client_hello, provoke};

use self::attacks::{Protocol, VICTIM};
use super::guests::Guests;
use super::trial::assert_no_errors;
use super::watch::Watch;
use crate::{Form, Outcome, Promise, Scenario};

pub(crate) const AT_EVERY_LISTENER: Scenario = Scenario {
    name: "hostile",
    proves: "Whatever is sent to any listener ends in a reply, a bounded wait or a close",
    how: "Four clients at a time connect to a listener (SMTP, submission, IMAP, POP3, gRPC, HTTP; in clear, under TLS, with \
          an operator's certificate) and send noise, lines without end, NULs, literals and frames of absurd sizes, pieces \
          of TLS handshakes, floods of commands, the session of another protocol, or a valid session at random mutated, \
          cut, repeated and spliced. Others connect and never speak, or send an octet now and then. Meanwhile ordinary mail \
          has to be taken and delivered. Afterwards no service was started again or has logged an error, and each \
          holds about the memory and descriptors that it held before.",
    promises: &[Promise::Bounded, Promise::Kept],
    run: at_every_listener,
};

/// Attacks before the services' memory counts as what they need.
const WARM_UP: u32 = 60;
/// Attacks under way at a time.
const ATTACKERS: u32 = 4;
/// Clients of each listener that never speak, and as many that hardly do.
const GUESTS: usize = 10;
/// What a service may hold more of afterwards: caches of mail that came meanwhile.
const MORE_MEMORY: u64 = 192 << 20;
/// Likewise: connections of the ordinary mail come and go.
const MORE_DESCRIPTORS: usize = 24;
/// The longest that any listener lets a client be silent.
const LONGEST_SILENCE: Duration = Duration::from_mins(6);

/// All listeners.
const LISTENERS: [(Service, &str, Protocol); 13] = [
    ("msa", "submission", Protocol::Smtp),
    ("msa", "submissions", Protocol::Smtp),
    ("mta", "smtp", Protocol::Smtp),
    ("mda", "imap", Protocol::Imap),
    ("mda", "imaps", Protocol::Imap),
    ("mda", "pop3", Protocol::Pop3),
    ("mda", "pop3s", Protocol::Pop3),
    ("msa", "grpc", Protocol::Grpc),
    ("mta", "grpc", Protocol::Grpc),
    ("mda", "grpc", Protocol::Grpc),
    ("msa", "http", Protocol::Http),
    ("mta", "http", Protocol::Http),
    ("mda", "http", Protocol::Http),
];

fn at_every_listener(form: &Form) -> Outcome {
    let pipeline = form.pipeline(Options {
        arguments: vec!["--account".to_owned(), format!("{VICTIM}=secret")],
        environment: patience(),
        ..Options::default()
    });
    let attackers = Attackers::new(&pipeline);
    let load = Load::start(&pipeline, Mix { smtp: 1, submissions: 1, reports: false, remote: false });
    attackers.attack(WARM_UP);
    let addresses = LISTENERS.map(|(service, listener, _)| pipeline.address(service, listener));
    let watch = Watch::begin(&pipeline);
    let guests = Guests::invite(&addresses, GUESTS, attacks::GREETING);

    let rounds = form.rounds(160, 20_000);
    attackers.attack(rounds);

    let mut outcome = Outcome { rounds: rounds.into(), ..Outcome::default() };
    if form.is_long {
        guests.wait_until_the_silent_are_gone(LONGEST_SILENCE);
    }
    let gone = guests.leave();
    outcome.figure("clients that never spoke or hardly did", addresses.len() * GUESTS * 2);
    outcome.figure("of these, sent away by the server before the end", gone);
    let clients = load.stop();
    outcome.add_load(&clients);
    // What they sent to nowhere would wait for days.
    drop(pipeline.waypost(&["queue", "drop", "--sender", VICTIM, "--reason", "the trial is over", "--yes"]));
    outcome.add_verdict(&Tally::when_settled(&pipeline).verdict(&clients.sent));
    outcome.wrong.extend(attackers.hung.into_inner());
    let answered = attackers.answered.into_inner();
    if answered == 0 {
        outcome.wrong.push("no attack was answered: none has met a server".to_owned());
    }
    outcome.figure("attacks that the server answered before it closed", answered);
    watch.end(&pipeline, MORE_MEMORY, MORE_DESCRIPTORS, &mut outcome);
    assert_no_errors(&pipeline);
    outcome
}

/// More patience with wrong passwords than the attackers, who all come from one network, can exhaust.
fn patience() -> Vec<(&'static str, String)> {
    [
        ("WAYPOST_MDA__PASSWORDS__FAILURES_PER_NETWORK", "1000000"),
        ("WAYPOST_MDA__PASSWORDS__FAILURES_PER_USER", "1000000"),
        ("WAYPOST_MDA__PASSWORDS__FAILURE_DELAY", "1ms"),
        ("WAYPOST_MDA__PASSWORDS__MAX_FAILURE_DELAY", "10ms"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

struct Attackers<'a> {
    pipeline: &'a Pipeline,
    tls: Tls,
    operator: Tls,
    hello: Vec<u8>,
    answered: AtomicU64,
    /// What did not end, in words.
    hung: Mutex<Vec<String>>,
}

impl<'a> Attackers<'a> {
    fn new(pipeline: &'a Pipeline) -> Self {
        let tls = pipeline.tls();
        Self {
            pipeline,
            hello: client_hello(&tls),
            tls,
            operator: pipeline.tls_as("operator"),
            answered: AtomicU64::new(0),
            hung: Mutex::default(),
        }
    }

    fn attack(&self, count: u32) {
        thread::scope(|scope| {
            for _ in 0..ATTACKERS {
                let seed = fastrand::u64(..);
                scope.spawn(move || {
                    fastrand::seed(seed);
                    for _ in 0..count.div_ceil(ATTACKERS) {
                        self.attack_once();
                    }
                });
            }
        });
    }

    fn attack_once(&self) {
        let (service, listener, protocol) = LISTENERS[fastrand::usize(..LISTENERS.len())];
        let steps = attacks::steps(protocol, &self.hello);
        let leave = if fastrand::u8(..4) == 0 { Leave::Abruptly } else { Leave::Politely };
        let address = self.pipeline.address(service, listener);
        let began = Instant::now();
        match provoke(address, self.tls(listener, protocol), &steps, leave) {
            Ended::Closed(answer) => {
                self.answered.fetch_add(u64::from(!answer.is_empty()), Ordering::Relaxed);
            }
            Ended::Hung => self.hung.lock().push(format!(
                "{service} {listener} did not end a session in {:.0} s: {}",
                began.elapsed().as_secs_f64(),
                shown(&steps)
            )),
        }
    }

    /// Mostly what the listener expects.
    fn tls(&self, listener: &str, protocol: Protocol) -> Option<&Tls> {
        let expected = match protocol {
            Protocol::Grpc => Some(&self.operator),
            _ if listener.ends_with('s') => Some(&self.tls),
            _ => None,
        };
        match fastrand::u8(..16) {
            0 => None,
            1 => Some(&self.tls),
            _ => expected,
        }
    }
}

/// The beginning of each step.
fn shown(steps: &[Vec<u8>]) -> String {
    let steps: Vec<String> =
        steps.iter().map(|step| step[..step.len().min(80)].escape_ascii().to_string()).collect();
    steps.join(" | ")
}
