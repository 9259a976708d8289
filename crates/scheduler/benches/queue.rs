//! What the order of the queue costs for each message in CPU time, by how many are queued.
//!
//! `cargo bench -p scheduler`

#![allow(clippy::expect_used, reason = "a benchmark stops at the first failure")]

use std::collections::HashMap;

use cpu_time::CpuTime;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use message::MessageId;
use scheduler::{
    Config, Feedback, NewUnit, OutageConfig, Recipients, Scheduler, SiteId, SiteLimits, SiteName,
};

const SITES: usize = 1_000;
const ACCOUNTS: usize = 100;
/// Messages of a queue that is filled or emptied as a whole.
const FILLED: usize = 10_000;

fn main() {
    let mut criterion = cpu_time::criterion();
    cycles(&mut criterion);
    wholes(&mut criterion);
    criterion.final_summary();
}

/// One message comes in and another goes out.
fn cycles(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("cycle");
    group.throughput(Throughput::Elements(1));
    for queued in [1_000, 100_000, 1_000_000] {
        // Half of them in line, half waiting for their time, as after an hour of a busy node.
        let mut queue = Queue::new();
        (0..queued / 2).for_each(|_| _ = queue.schedule());
        (0..queued / 2).for_each(|_| queue.push());
        group.bench_function(BenchmarkId::from_parameter(queued), |bencher| bencher.iter(|| queue.cycle()));
    }
    group.finish();
}

/// Many messages come, become due, or are taken away.
fn wholes(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("10,000 messages");
    group.throughput(Throughput::Elements(FILLED as u64)).sample_size(50);
    group.bench_function("come", |bencher| {
        let fill = |mut queue: Queue| {
            (0..FILLED / 2).for_each(|_| _ = queue.schedule());
            (0..FILLED / 2).for_each(|_| queue.push());
            queue
        };
        bencher.iter_batched(Queue::new, fill, BatchSize::LargeInput);
    });
    let waiting = || {
        let mut queue = Queue::new();
        let messages: Vec<MessageId> = (0..FILLED).map(|_| queue.schedule()).collect();
        (queue, messages)
    };
    group.bench_function("become due", |bencher| {
        let advance = |(mut queue, _): (Queue, Vec<MessageId>)| {
            while queue.scheduler.advance(u64::MAX / 2, 1_000) {}
            queue
        };
        bencher.iter_batched(waiting, advance, BatchSize::LargeInput);
    });
    group.bench_function("are taken away", |bencher| {
        let withdraw = |(mut queue, messages): (Queue, Vec<MessageId>)| {
            for message in messages {
                queue.scheduler.withdraw(message, |_| true);
            }
            queue
        };
        bencher.iter_batched(waiting, withdraw, BatchSize::LargeInput);
    });
    group.finish();
}

struct Queue {
    scheduler: Scheduler,
    sites: Vec<SiteId>,
    accounts: Vec<String>,
    random: fastrand::Rng,
    now: u64,
    /// Messages that came so far.
    came: usize,
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
        Self { scheduler, sites, accounts, random: fastrand::Rng::with_seed(5), now: 1_000_000, came: 0 }
    }

    /// The next message's number and id.
    fn next(&mut self) -> (usize, MessageId) {
        self.came += 1;
        (self.came, message_id(self.came as u64, self.random.u64(..)))
    }

    fn push(&mut self) {
        let (number, message) = self.next();
        let unit = unit(&self.accounts[number % ACCOUNTS], message);
        self.scheduler.push(unit, self.sites[number * 7 % SITES], self.now);
    }

    fn schedule(&mut self) -> MessageId {
        let (number, message) = self.next();
        let due = self.now + 1_000 + self.random.u64(0..14_400_000);
        let unit = unit(&self.accounts[number % ACCOUNTS], message);
        self.scheduler.schedule(unit, due, Some(self.sites[number * 7 % SITES]));
        message
    }

    /// One message comes in, one goes out, and its result is learned.
    fn cycle(&mut self) {
        self.push();
        let started = self.scheduler.start(self.now).expect("a message in line");
        self.scheduler.learn(started.site, Feedback::Taken, started.at, self.now, 0.5);
        self.scheduler.finish(started.id);
        self.scheduler.end(started.site, self.now);
    }
}

fn unit(account: &str, message: MessageId) -> NewUnit<'_> {
    NewUnit {
        message,
        recipients: Recipients::new(vec![0]),
        account,
        domain: "",
        priority: 0,
        deadline: 432_000_000,
        tag: 0,
    }
}

/// As `MessageId::new` makes them, of a time and chance.
fn message_id(time: u64, chance: u64) -> MessageId {
    let id = u128::from(time) << 80 | 0x7 << 76 | 0b10 << 62 | u128::from(chance >> 2);
    MessageId::from_bytes(id.to_be_bytes()).expect("a UUID of version 7")
}
