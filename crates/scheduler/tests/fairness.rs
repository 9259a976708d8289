//! What a tenant feels of the others, in simulated time.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use message::MessageId;
use scheduler::{
    Config, Feedback, NewUnit, OutageConfig, Rate, Recipients, Scheduler, SiteId, SiteLimits, SiteName,
    Started,
};

/// How long the slow site takes for a message.
const SERVICE: u64 = 1_000;

struct World {
    scheduler: Scheduler,
    site: SiteId,
    now: u64,
    pushed: HashMap<MessageId, u64>,
    waits: HashMap<MessageId, u64>,
    /// By when they end.
    under_way: BinaryHeap<Reverse<(u64, usize)>>,
    started: Vec<Started>,
}

impl World {
    fn new(weights: &[(&str, u32)], burst: u32) -> Self {
        let outage = OutageConfig { after: 3, first: 30_000, longest: 900_000, jitter: 0.2 };
        let weights = weights.iter().map(|&(account, weight)| (account.to_owned(), weight)).collect();
        let config = Config { sessions: 100, turn: 10, weights, burst, outage };
        let mut scheduler = Scheduler::new(config, SiteLimits::fixed(16));
        let limits = SiteLimits { counted: true, ..SiteLimits::fixed(5) };
        let site = scheduler.site(&SiteName::new("slow"), limits);
        Self {
            scheduler,
            site,
            now: 0,
            pushed: HashMap::new(),
            waits: HashMap::new(),
            under_way: BinaryHeap::new(),
            started: Vec::new(),
        }
    }

    fn push(&mut self, account: &str, priority: i8) -> MessageId {
        let message = MessageId::new();
        let recipients = Recipients::new(vec![0]);
        let unit = NewUnit { message, recipients, account, domain: "", priority, deadline: u64::MAX, tag: 0 };
        self.scheduler.push(unit, self.site, self.now);
        self.pushed.insert(message, self.now);
        message
    }

    /// Lets the site work until `messages` have been started; returns how long each waited, in the order given.
    fn waits(&mut self, messages: &[MessageId]) -> Vec<u64> {
        loop {
            while let Some(unit) = self.scheduler.start(self.now) {
                self.waits.insert(unit.message, self.now - self.pushed[&unit.message]);
                self.under_way.push(Reverse((self.now + SERVICE, self.started.len())));
                self.started.push(unit);
            }
            if messages.iter().all(|message| self.waits.contains_key(message)) {
                return messages.iter().map(|message| self.waits[message]).collect();
            }
            let Reverse((end, which)) = self.under_way.pop().unwrap();
            self.now = end;
            let done = &self.started[which];
            self.scheduler.learn(done.site, Feedback::Taken, done.at, self.now, 0.5);
            self.scheduler.finish(done.id);
            self.scheduler.end(done.site, self.now);
        }
    }
}

fn p99(mut waits: Vec<u64>) -> u64 {
    waits.sort_unstable();
    waits[waits.len() * 99 / 100]
}

#[test]
fn two_hundred_thousand_of_one_account_do_not_delay_a_hundred_of_another() {
    let mut alone = World::new(&[], 100);
    let messages: Vec<_> = (0..100).map(|_| alone.push("other", 0)).collect();
    let alone = p99(alone.waits(&messages));

    let mut crowded = World::new(&[], 100);
    let bulk: Vec<_> = (0..200_000).map(|_| crowded.push("bulk", 0)).collect();
    // It is well under way.
    crowded.waits(&bulk[..500]);
    let messages: Vec<_> = (0..100).map(|_| crowded.push("other", 0)).collect();
    let crowded = p99(crowded.waits(&messages));
    assert!(crowded < alone + 2_000, "{crowded} ms instead of {alone} ms");
}

#[test]
fn weights_divide_what_a_site_takes() {
    let mut world = World::new(&[("heavy", 3)], 0);
    let heavy: Vec<_> = (0..3_000).map(|_| world.push("heavy", 0)).collect();
    let light: Vec<_> = (0..3_000).map(|_| world.push("light", 0)).collect();
    let heavy_waits = world.waits(&heavy);
    let last_of_heavy = *heavy_waits.last().unwrap();
    let started_meanwhile = world.waits(&light).iter().filter(|wait| **wait <= last_of_heavy).count();
    assert!((900..1_100).contains(&started_meanwhile), "{started_meanwhile}");
}

/// Accounts that send a little again and again have no more of a site in the end than one that has always something
/// in line.
#[test]
fn bursts_do_not_starve_who_is_steady() {
    let mut world = World::new(&[], 100);
    let steady: Vec<_> = (0..20_000).map(|_| world.push("steady", 0)).collect();
    for _ in 0..40 {
        let round: Vec<Vec<_>> =
            (0..4).map(|n| (0..100).map(|_| world.push(&format!("burst{n}"), 0)).collect()).collect();
        world.waits(&round.concat());
    }
    let started = steady.iter().filter(|message| world.waits.contains_key(message)).count();
    // 16,000 of the others have gone, by four accounts: its share is 4,000.
    assert!(started >= 3_500, "{started}");
}

#[test]
fn inside_an_account_the_higher_priority_goes_first() {
    let mut world = World::new(&[], 100);
    let bulk: Vec<_> = (0..500).map(|_| world.push("a", -5)).collect();
    let urgent = world.push("a", 4);
    assert_eq!(world.waits(&[urgent]), [0]);
    assert!(world.waits(&bulk).iter().all(|wait| *wait <= 500 * SERVICE));
}

#[test]
fn a_rate_is_kept_and_the_wait_is_known() {
    let mut world = World::new(&[], 100);
    let rate = Some(Rate { count: 2, per: 1_000 });
    let limits = SiteLimits { initial: 5, max: 20, messages: rate, counted: true, ..SiteLimits::fixed(1) };
    world.site = world.scheduler.site(&SiteName::new("rated"), limits);
    for _ in 0..5 {
        world.push("a", 0);
    }
    let mut times = Vec::new();
    for _ in 0..10 {
        while let Some(started) = world.scheduler.start(world.now) {
            times.push(world.now);
            world.scheduler.finish(started.id);
            world.scheduler.end(started.site, world.now);
        }
        if world.scheduler.is_empty() {
            break;
        }
        world.now = world.scheduler.next_time().unwrap();
        world.scheduler.advance(world.now, 100);
    }
    assert_eq!(times, [0, 0, 500, 1_000, 1_500]);
}

#[test]
fn a_site_that_is_down_is_probed_by_one_unit_at_a_time() {
    let mut world = World::new(&[], 100);
    let messages: Vec<_> = (0..50).map(|_| world.push("a", 0)).collect();
    let mut attempts = 0;
    while world.now < 600_000 {
        let mut started = Vec::new();
        started.extend(std::iter::from_fn(|| world.scheduler.start(world.now)));
        assert!(started.len() <= if attempts > 3 { 1 } else { 5 });
        attempts += started.len();
        for unit in started {
            world.scheduler.learn(world.site, Feedback::Unreachable, unit.at, world.now + 1, 0.5);
            world.scheduler.finish(unit.id);
            world.scheduler.end(unit.site, world.now + 1);
        }
        assert!(world.scheduler.start(world.now + 1).is_none() || attempts <= 5);
        world.now = world.scheduler.next_time().unwrap().max(world.now + 1);
        world.scheduler.advance(world.now, 100);
    }
    // Five at first, then after 30, 60, 120, 240 s: not fifty.
    assert!((8..=10).contains(&attempts), "{attempts}");
    let waiting = messages.iter().filter(|&&message| !world.scheduler.explain(message, world.now).is_empty());
    assert_eq!(waiting.count(), 50 - attempts);
}
