//! What a site, and all sites together, may have at a time.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::sync::Arc;

use message::MessageId;
use scheduler::{
    Config, Feedback, NewUnit, OutageConfig, Rate, Recipients, Scheduler, Scope, SiteId, SiteLimits,
    SiteName, Started,
};

fn scheduler(sessions: u32) -> Scheduler {
    let outage = OutageConfig { after: 3, first: 30_000, longest: 900_000, jitter: 0.2 };
    let config = Config { sessions, turn: 2, weights: HashMap::new(), burst: 0, outage };
    Scheduler::new(config, SiteLimits::fixed(16))
}

fn limits(initial: u32, max: u32) -> SiteLimits {
    SiteLimits { initial, min: 1, max, counted: true, ..SiteLimits::fixed(1) }
}

/// A site with so many units in line.
fn site(scheduler: &mut Scheduler, name: impl Into<Arc<str>>, limits: SiteLimits, units: usize) -> SiteId {
    let site = scheduler.site(&SiteName::new(name), limits);
    for _ in 0..units {
        let unit = NewUnit {
            message: MessageId::new(),
            recipients: Recipients::new(vec![0]),
            account: "account",
            domain: "",
            priority: 0,
            deadline: u64::MAX,
            tag: 0,
        };
        scheduler.push(unit, site, 0);
    }
    site
}

fn start_all(scheduler: &mut Scheduler, now: u64) -> Vec<Started> {
    std::iter::from_fn(|| scheduler.start(now)).collect()
}

fn end(scheduler: &mut Scheduler, unit: &Started, feedback: Feedback, now: u64) {
    scheduler.learn(unit.site, feedback, unit.at, now, 0.5);
    scheduler.finish(unit.id);
    scheduler.end(unit.site, now);
}

#[test]
fn a_site_gets_more_while_it_takes_what_it_gets_and_half_once_it_turns_away() {
    let mut scheduler = scheduler(100);
    site(&mut scheduler, "mx", limits(2, 6), 1_000);
    let (mut now, mut at_a_time) = (0, Vec::new());
    for feedback in [Feedback::Taken; 6].into_iter().chain([Feedback::Pushback, Feedback::Taken]) {
        let started = start_all(&mut scheduler, now);
        at_a_time.push(started.len());
        now += 1_000;
        for unit in &started {
            end(&mut scheduler, unit, feedback, now);
        }
    }
    // What was turned away together halves once.
    assert_eq!(at_a_time, [2, 3, 4, 5, 6, 6, 6, 3]);
}

#[test]
fn a_refusal_of_recipients_says_nothing_about_load() {
    let mut scheduler = scheduler(100);
    site(&mut scheduler, "mx", limits(4, 6), 100);
    for unit in start_all(&mut scheduler, 0) {
        end(&mut scheduler, &unit, Feedback::Refused, 1);
    }
    assert_eq!(start_all(&mut scheduler, 2).len(), 4);
}

#[test]
fn only_new_connections_count_towards_their_rate() {
    let mut scheduler = scheduler(100);
    let rate = Some(Rate { count: 1, per: 1_000 });
    let mx = site(&mut scheduler, "mx", SiteLimits { connections: rate, ..limits(5, 5) }, 100);
    assert_eq!(start_all(&mut scheduler, 0).len(), 1);
    // Over the same session.
    for done in 1..10 {
        assert!(scheduler.take(mx, done, 1).is_some());
    }
    assert_eq!(start_all(&mut scheduler, 999).len(), 0);
    // Over one that waits to be used again.
    scheduler.set_idle(&SiteName::new("mx"), 1, 999);
    assert_eq!(start_all(&mut scheduler, 999).len(), 1);
    scheduler.advance(1_000, 10);
    assert_eq!(start_all(&mut scheduler, 1_000).len(), 1);
}

#[test]
fn while_sessions_are_short_the_sites_take_turns() {
    let mut scheduler = scheduler(1);
    let one = site(&mut scheduler, "one", limits(5, 5), 100);
    let first = scheduler.start(0).unwrap();
    assert_eq!(first.site, one);
    // Nobody waits: it goes on for as long as it likes.
    assert!((1..9).all(|done| scheduler.take(one, done, 0).is_some()));
    let two = site(&mut scheduler, "two", limits(5, 5), 100);
    assert!(scheduler.start(0).is_none() && scheduler.take(one, 1, 0).is_some());
    assert!(scheduler.take(one, 2, 0).is_none(), "it had its turn");
    scheduler.end(one, 0);
    let mut turns = HashMap::new();
    for _ in 0..10 {
        let site = scheduler.start(0).unwrap().site;
        *turns.entry(site).or_insert(0) += 1;
        assert!(scheduler.take(site, 1, 0).is_some() && scheduler.take(site, 2, 0).is_none());
        scheduler.end(site, 0);
    }
    assert_eq!(turns, HashMap::from([(one, 5), (two, 5)]));
}

#[test]
fn a_place_of_our_own_keeps_its_limits_and_no_host_has_its_name() {
    let mut scheduler = scheduler(1);
    let own = site(&mut scheduler, "<own>", SiteLimits::fixed(3), 10);
    assert_eq!(scheduler.site(&SiteName::new("<own>"), limits(1, 1)), own);
    // They still count towards no limit but that.
    assert_eq!(start_all(&mut scheduler, 0).len(), 3);
    assert_ne!(scheduler.site(&SiteName::new("routing"), limits(1, 1)), Scheduler::ROUTING);
}

#[test]
fn one_call_sets_only_so_many_aside_however_many_sites_they_wait_for() {
    const SITES: usize = 20;
    let mut scheduler = scheduler(100);
    for n in 0..SITES {
        site(&mut scheduler, format!("mx{n}"), limits(1, 1), 999);
    }
    scheduler.suspend(Scope::Account("account".into()));
    let mut calls = 0;
    loop {
        assert!(scheduler.start(0).is_none());
        calls += 1;
        if scheduler.next_time() > Some(0) {
            break;
        }
        scheduler.advance(0, 10);
    }
    assert!(calls >= SITES, "{calls}");
}
