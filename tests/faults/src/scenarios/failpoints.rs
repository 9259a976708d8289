//! Deaths at named points: before and behind each durable step of each service.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use failpoint::Point;
use pipeline_tests::load::{Mix, RECIPIENTS};
use pipeline_tests::{Options, Pipeline, Remote, Service, churn, eventually};
use tempfile::TempDir;

use super::kill_any::SERVICES;
use super::kill_mta::relaying_to;
use super::trial::{SMALL_SEGMENTS, Trial};
use crate::{Form, Outcome, Promise, Scenario};

pub(crate) const AT_NAMED_POINTS: Scenario = Scenario {
    name: "failpoints",
    proves: "No acknowledged message is lost when a service dies right before or behind a durable step",
    how: "Each service that keeps something has points before and behind each write, sync, segment that is begun, sealed, \
          copied from and removed, each hand-over and its receipt, each attempt and its result. A service dies there as \
          by `kill -9` at the first or a later time that it comes to the point; then so does another, or two or three at \
          once. Mail goes to mailboxes and to another mail system; a client appends and expunges, so that space is given \
          back. The scenario fails if a point is never reached, if no service dies \
          and, in the long form, if none dies at one of the points.",
    promises: &[Promise::Kept, Promise::Once],
    run: at_named_points,
};

/// How long a service that is to die may live: the point may be one that it comes to now and then.
const PATIENCE: Duration = Duration::from_secs(20);
/// The latest time of coming to a point at which a service dies there.
const LATEST: u32 = 40;
/// The same, of points that are rare: where segments begin and end.
const LATEST_RARE: u32 = 2;

/// A service, and the point at which it is to die.
type Death = (Service, Point);

fn at_named_points(form: &Form) -> Outcome {
    let (remote, orders) = (Remote::start(), Orders::new());
    let mut environment = relaying_to(&remote);
    environment.extend(SMALL_SEGMENTS.map(|(name, value)| (name, value.to_owned())));
    environment.extend([
        (failpoint::FOLDER, orders.folder.path().display().to_string()),
        ("WAYPOST_MTA__SPOOL__RECLAIM_EVERY", "1s".to_owned()),
        ("WAYPOST_MDA__STORE__RECLAIM_EVERY", "1s".to_owned()),
        // Else what was expunged still takes its space.
        ("WAYPOST_MDA__STORE__KEEP_EXPUNGED", "0s".to_owned()),
    ]);
    let pipeline = form.pipeline(Options { environment, ..Options::default() });
    let mix = Mix { smtp: 2, submissions: 4, reports: true, remote: true };
    let mut trial = Trial::of(pipeline, mix, Some(remote));
    let mut deaths = Deaths::default();
    let mut left = Vec::new();
    for _ in 0..form.rounds(3, 300) {
        trial.go_on();
        wear_out(trial.pipeline());
        let round = draw(&mut left);
        for died in orders.carry_out(trial.pipeline(), &round) {
            deaths.note(died);
            trial.count_round();
        }
    }
    until_all_are_reached(&trial, &orders);
    let mut outcome = trial.end();
    outcome.figure("points of all services", all_deaths().len());
    outcome.figure("points at which a service died", deaths.points.len());
    outcome.figure("deaths there", deaths.count);
    if deaths.count == 0 {
        outcome.wrong.push("no service died where it was told to".to_owned());
    }
    // So many rounds come to each several times.
    if form.is_long && form.rounds.is_none() {
        let spared = all_deaths()
            .into_iter()
            .filter(|(service, point)| !deaths.points.contains(&(*service, point.name())));
        outcome
            .wrong
            .extend(spared.map(|(service, point)| format!("{service} never died at {}", point.name())));
    }
    outcome
}

/// Deaths for one round: of one service mostly, else of two or three. All points come before any comes again.
fn draw(left: &mut Vec<Death>) -> Vec<Death> {
    let services = match fastrand::u8(..10) {
        0 => 3,
        1..4 => 2,
        _ => 1,
    };
    let mut round: Vec<Death> = Vec::new();
    while round.len() < services {
        if left.is_empty() {
            *left = all_deaths();
            fastrand::shuffle(left);
        }
        let is_other = |death: &Death| round.iter().all(|(service, _)| *service != death.0);
        match left.iter().position(is_other) {
            Some(place) => round.push(left.swap_remove(place)),
            None => break,
        }
    }
    round
}

/// Each point with each service that comes to it.
fn all_deaths() -> Vec<Death> {
    let of = |service: Service| {
        let its_own = format!("{service}.");
        let comes_to = move |point: &&Point| {
            point.name().starts_with(&its_own) || service != "msa" && point.name().starts_with("journal.")
        };
        Point::ALL.iter().filter(comes_to).map(move |&point| (service, point)).collect::<Vec<_>>()
    };
    SERVICES.into_iter().flat_map(of).collect()
}

fn is_rare(point: Point) -> bool {
    ["journal.seal", "journal.create", "journal.copy", "journal.remove", "mda.checkpoint"]
        .iter()
        .any(|step| point.name().starts_with(step))
}

/// Leaves the MDA dead space to give back.
fn wear_out(pipeline: &Pipeline) {
    eventually("messages to be appended and expunged", || churn(pipeline, RECIPIENTS[0], 12, 200_000).ok());
}

/// Sees to it that a service has come to each of its points at some time.
fn until_all_are_reached(trial: &Trial, orders: &Orders) {
    let end = Instant::now() + PATIENCE * 3;
    loop {
        let missing: Vec<Death> =
            all_deaths().into_iter().filter(|&(service, point)| !orders.is_reached(service, point)).collect();
        if missing.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "never reached: {missing:?}");
        wear_out(trial.pipeline());
    }
}

/// Where services died.
#[derive(Default)]
struct Deaths {
    count: u64,
    points: BTreeSet<(Service, &'static str)>,
}

impl Deaths {
    fn note(&mut self, (service, point): Death) {
        self.count += 1;
        self.points.insert((service, point.name()));
    }
}

/// The folder in which services are told where to die.
struct Orders {
    folder: TempDir,
}

impl Orders {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Has services start anew, die where they are told, and start again. Returns those that came to die in time.
    fn carry_out(&self, pipeline: &Pipeline, round: &[Death]) -> Vec<Death> {
        for &(service, point) in round {
            let latest = if is_rare(point) { LATEST_RARE } else { LATEST };
            let time = fastrand::u32(1..=latest);
            // One that came too late in an earlier round.
            let _ = fs::remove_file(self.file(service, ".died"));
            fs::write(self.file(service, ""), format!("{} {time}", point.name())).expect("an order");
        }
        let killed: Vec<(Service, Option<u32>)> =
            round.iter().map(|&(service, _)| (service, pipeline.pid(service))).collect();
        for &(service, _) in &killed {
            pipeline.kill(service);
        }
        let end = Instant::now() + PATIENCE;
        let died = round.iter().copied().filter(|&(service, _)| self.dies(pipeline, service, end)).collect();
        for (service, old) in killed {
            eventually("the service to be started again", || {
                pipeline.pid(service).filter(|&pid| Some(pid) != old)
            });
        }
        died
    }

    /// Waits until a service has died where it was told and is there again; `false` if it does not come there in time.
    fn dies(&self, pipeline: &Pipeline, service: Service, end: Instant) -> bool {
        let file = self.file(service, ".died");
        let pid: u32 = loop {
            if let Some(pid) = fs::read_to_string(&file).ok().and_then(|text| text.parse().ok()) {
                break pid;
            }
            if Instant::now() > end {
                return false;
            }
            // So that each point comes: space to be given back, for one. It is away now and then.
            let _ = churn(pipeline, RECIPIENTS[0], 4, 200_000);
            // Only how often to look.
            thread::sleep(Duration::from_millis(50));
        };
        fs::remove_file(&file).expect("what it left");
        eventually("the service to be started again", || pipeline.pid(service).filter(|&now| now != pid));
        true
    }

    fn is_reached(&self, service: Service, point: Point) -> bool {
        self.file(service, &format!(".reached.{}", point.name())).exists()
    }

    fn file(&self, service: Service, what: &str) -> PathBuf {
        self.folder.path().join(format!("waypost-{service}{what}"))
    }
}
