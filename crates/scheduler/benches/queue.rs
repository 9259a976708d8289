//! What the order of the queue costs: time per message and memory per unit, by how many are queued.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and may fail loudly"
)]

use std::collections::HashMap;
use std::time::Instant;

use message::MessageId;
use scheduler::{
    Config, Feedback, NewUnit, OutageConfig, Recipients, Scheduler, SiteId, SiteLimits, SiteName,
};

const SITES: usize = 1_000;
const ACCOUNTS: usize = 100;
const CYCLES: usize = 200_000;

fn main() {
    println!("nanoseconds for each message, and octets for each that is queued:");
    println!(
        "{:>9}  {:>12}  {:>12}  {:>12}  {:>10}  {:>10}",
        "queued", "fill", "cycle", "release", "withdraw", "bytes"
    );
    for queued in [1_000, 100_000, 1_000_000] {
        measure(queued);
    }
}

fn measure(queued: usize) {
    let before = resident();
    let mut queue = Queue::new();
    // Half of them in line, half waiting for their time, as after an hour of a busy node.
    let start = Instant::now();
    let waiting: Vec<MessageId> = (0..queued / 2).map(|n| queue.schedule(n)).collect();
    (0..queued / 2).for_each(|n| queue.push(n));
    let fill = per(start, queued);
    let bytes =
        resident().saturating_sub(before) as f64 / queued as f64 - size_of::<MessageId>() as f64 / 2.0;

    let start = Instant::now();
    for n in 0..CYCLES {
        queue.cycle(n);
    }
    let cycle = per(start, CYCLES);

    let chosen = waiting.len().min(100_000);
    let start = Instant::now();
    for &message in &waiting[..chosen] {
        queue.scheduler.withdraw(message, |_| true);
    }
    let withdraw = per(start, chosen);

    let left = waiting.len() - chosen;
    let start = Instant::now();
    while queue.scheduler.advance(u64::MAX / 2, 1_000) {}
    let release = if left == 0 { 0.0 } else { per(start, queued - chosen) };
    println!(
        "{queued:>9}  {fill:>9.0} ns  {cycle:>9.0} ns  {release:>9.0} ns  {withdraw:>7.0} ns  {bytes:>10.0}"
    );
}

struct Queue {
    scheduler: Scheduler,
    sites: Vec<SiteId>,
    accounts: Vec<String>,
    now: u64,
}

impl Queue {
    fn new() -> Self {
        let outage = OutageConfig { after: 3, first: 30_000, longest: 900_000, jitter: 0.2 };
        let config = Config { sessions: 500, turn: 10, weights: HashMap::new(), burst: 100, outage };
        let mut scheduler = Scheduler::new(config, SiteLimits::fixed(16));
        let limits = SiteLimits { initial: 5, max: 20, counted: true, ..SiteLimits::fixed(1) };
        let sites =
            (0..SITES).map(|n| scheduler.site(&SiteName::new(format!("mx.site{n}.test")), limits)).collect();
        let accounts = (0..ACCOUNTS).map(|n| format!("account{n}@example.test")).collect();
        Self { scheduler, sites, accounts, now: 1_000_000 }
    }

    fn unit(accounts: &[String], n: usize) -> NewUnit<'_> {
        NewUnit {
            message: MessageId::new(),
            recipients: Recipients::new(vec![0]),
            account: &accounts[n % ACCOUNTS],
            domain: "",
            priority: 0,
            deadline: 432_000_000,
            tag: 0,
        }
    }

    fn push(&mut self, n: usize) {
        let site = self.sites[n * 7 % SITES];
        self.scheduler.push(Self::unit(&self.accounts, n), site, self.now);
    }

    fn schedule(&mut self, n: usize) -> MessageId {
        let unit = Self::unit(&self.accounts, n);
        let message = unit.message;
        let due = self.now + 1_000 + fastrand::u64(0..14_400_000);
        self.scheduler.schedule(unit, due, Some(self.sites[n * 7 % SITES]));
        message
    }

    /// One message comes in, one goes out, and its result is learned.
    fn cycle(&mut self, n: usize) {
        self.push(n);
        let started = self.scheduler.start(self.now).unwrap();
        self.scheduler.learn(started.site, Feedback::Taken, started.at, self.now, 0.5);
        self.scheduler.finish(started.id);
        self.scheduler.end(started.site, self.now);
    }
}

/// Nanoseconds for each.
fn per(start: Instant, count: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / count.max(1) as f64
}

/// Octets of memory that this process has in use.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}
