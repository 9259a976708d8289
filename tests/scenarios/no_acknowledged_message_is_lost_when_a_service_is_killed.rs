//! Whichever service dies, at whatever moment: what got its 250 is in its mailboxes afterwards, whole and once.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use pipeline_tests::load::{Door, Fate, Load, Mix, Outcome, RECIPIENTS};
use pipeline_tests::{Failure, Options, Pipeline, Service, Stored, Tally, eventually, read_inbox};

use crate::WAYPOST;

/// `WAYPOST_KILL_ROUNDS` asks for more.
const ROUNDS: u32 = 6;
const SERVICES: [Service; 3] = ["msa", "mta", "mda"];
/// Messages that each door takes between two kills, at least: each round shows that the last one did no lasting harm.
const BETWEEN_KILLS: u64 = 10;
/// A kill comes at a moment within this time.
const MOMENTS: Duration = Duration::from_secs(1);

#[test]
fn at_random_moments_under_load() {
    let rounds = env::var("WAYPOST_KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let mut trial = Trial::begin();
    for _ in 0..rounds {
        trial.go_on();
        kill_some(&trial.pipeline);
    }
    trial.end();
}

/// As when the power fails, but for what the kernel has not yet written.
#[test]
fn all_at_once() {
    let mut trial = Trial::begin();
    for _ in 0..3 {
        trial.go_on();
        trial.pipeline.crash();
        trial.pipeline.up();
    }
    trial.end();
}

/// A pipeline under load, watched by a reader.
struct Trial {
    began: Instant,
    pipeline: Pipeline,
    load: Load,
    inboxes: Inboxes,
}

impl Trial {
    fn begin() -> Self {
        let pipeline = Pipeline::start(WAYPOST, &with_small_segments());
        let load = Load::start(&pipeline, Mix { smtp: 3, submissions: 3, reports: true, remote: false });
        Self { began: Instant::now(), pipeline, load, inboxes: Inboxes::default() }
    }

    /// Sees that everything works, and comes back at some moment.
    fn go_on(&mut self) {
        for door in [Door::Smtp, Door::Submissions] {
            let before = self.load.acknowledged(door);
            eventually("mail to be taken", || {
                (self.load.acknowledged(door) >= before + BETWEEN_KILLS).then_some(())
            });
        }
        self.inboxes.look(&self.pipeline);
        assert_no_faults(&self.pipeline);
        // No wait for anything: this is what makes the moment random.
        thread::sleep(MOMENTS.mul_f32(fastrand::f32()));
    }

    /// Holds what was promised against what is there.
    fn end(mut self) {
        self.go_on();
        let Self { began, pipeline, load, mut inboxes } = self;
        let outcome = load.stop();
        wait_until_all_serve(&pipeline);
        let tally = Tally::when_settled(&pipeline);
        tally.check(&outcome.sent);
        inboxes.look(&pipeline);
        assert_eq!(inboxes.seen, tally.subjects, "what was seen is there still, and everything was seen");
        assert_only_passing_trouble(&outcome);
        assert_no_faults(&pipeline);
        let with =
            |matches: fn(&Fate) -> bool| outcome.sent.iter().filter(|sent| matches(&sent.fate)).count();
        println!(
            "in {:.0} s: {} acknowledged, {} refused for the time being, {} without an answer; none lost, none twice; \
             {} repeated hand-overs recognised",
            began.elapsed().as_secs_f32(),
            with(|fate| *fate == Fate::Acknowledged),
            with(|fate| matches!(fate, Fate::Refused(_))),
            with(|fate| matches!(fate, Fate::Unknown(_))),
            repeats_recognised(&pipeline),
        );
    }
}

/// So that segments are begun and given back all the time, and a kill can meet that too.
fn with_small_segments() -> Options {
    let environment = ["WAYPOST_MTA__SPOOL__SEGMENT_SIZE", "WAYPOST_MDA__STORE__SEGMENT_SIZE"];
    let environment = environment.map(|name| (name, "1MiB".to_owned())).to_vec();
    Options { environment, ..Options::default() }
}

/// Kills a service, now and then two at once, and waits until the supervisor has started them again.
fn kill_some(pipeline: &Pipeline) {
    let mut services = SERVICES;
    fastrand::shuffle(&mut services);
    let count = if fastrand::u8(..4) == 0 { 2 } else { 1 };
    let victims: Vec<(Service, Option<u32>)> =
        services[..count].iter().map(|&service| (service, pipeline.pid(service))).collect();
    for &(service, _) in &victims {
        pipeline.kill(service);
    }
    for (service, old) in victims {
        eventually("the service to be started again", || {
            pipeline.pid(service).filter(|&pid| Some(pid) != old)
        });
    }
}

fn wait_until_all_serve(pipeline: &Pipeline) {
    for (service, listener) in
        [("msa", "submission"), ("msa", "submissions"), ("mta", "smtp"), ("mda", "imap"), ("mda", "pop3")]
    {
        let address = pipeline.address(service, listener);
        eventually("all services to listen", || TcpStream::connect(address).ok());
    }
}

/// A service that is away is a reason to come again: never to give up, and never to keep a client waiting for ever.
fn assert_only_passing_trouble(outcome: &Outcome) {
    let of_messages = outcome.sent.iter().filter_map(|sent| match &sent.fate {
        Fate::Acknowledged => None,
        Fate::Refused(reply) => Some(Err(reply)),
        Fate::Unknown(error) => Some(Ok(*error)),
    });
    let of_sessions = outcome.broken.iter().map(|failure| match failure {
        Failure::Refused(reply) => Err(reply),
        Failure::Lost(error) => Ok(error.kind()),
    });
    for trouble in of_messages.chain(of_sessions) {
        match trouble {
            Err(reply) => assert!(reply.starts_with('4'), "{reply}"),
            Ok(error) => {
                assert!(
                    !matches!(error, ErrorKind::WouldBlock | ErrorKind::TimedOut),
                    "no answer for far too long"
                );
            }
        }
    }
}

/// A killed service is nothing that the others should call an error, let alone break over.
fn assert_no_faults(pipeline: &Pipeline) {
    let found =
        Command::new("grep").args(["-raE", "(^| )ERROR |panicked"]).arg(pipeline.data().join("log")).output();
    let found = found.expect("grep starts").stdout;
    assert!(found.is_empty(), "{}", String::from_utf8_lossy(&found));
}

/// What a reader saw of the inboxes while services died: a UID, once seen, means its message for ever.
#[derive(Default)]
struct Inboxes {
    uid_validity: HashMap<&'static str, u32>,
    /// Subjects by account and UID.
    seen: HashMap<&'static str, BTreeMap<u32, String>>,
}

impl Inboxes {
    /// Looks at what is new.
    fn look(&mut self, pipeline: &Pipeline) {
        for account in RECIPIENTS {
            let seen = self.seen.entry(account).or_default();
            let uid_validity = eventually("the inbox to be read", || {
                let next = seen.last_key_value().map_or(1, |(uid, _)| uid + 1);
                let visit = |Stored { uid, octets }| {
                    let subject =
                        String::from_utf8_lossy(&octets).trim_start_matches("Subject: ").trim().to_owned();
                    let known = seen.entry(uid).or_insert_with(|| subject.clone());
                    assert_eq!(*known, subject, "UID {uid} of {account} is another message now");
                };
                read_inbox(pipeline, account, next, "BODY.PEEK[HEADER.FIELDS (SUBJECT)]", visit).ok()
            });
            assert_eq!(*self.uid_validity.entry(account).or_insert(uid_validity), uid_validity, "{account}");
        }
    }
}

/// How often the MDA was handed what it had: after a lost reply. Of its last logs, for they are rotated.
fn repeats_recognised(pipeline: &Pipeline) -> String {
    let counted = Command::new("grep")
        .args(["-ac", "duplicate=true"])
        .arg(pipeline.data().join("log/mda.log"))
        .output();
    String::from_utf8_lossy(&counted.expect("grep starts").stdout).trim().to_owned()
}
