//! Sites that nothing uses are forgotten after a while, and not before.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;

use message::MessageId;
use scheduler::{
    Config, Feedback, NewUnit, OutageConfig, Recipients, Scheduler, SiteId, SiteLimits, SiteName,
};

const MINUTE: u64 = 60_000;

fn mx() -> SiteName {
    SiteName::new("mx")
}

fn scheduler() -> Scheduler {
    let outage = OutageConfig { after: 1, first: MINUTE, longest: MINUTE, jitter: 0.0 };
    let config = Config { sessions: 1, turn: 10, weights: HashMap::new(), burst: 0, outage };
    Scheduler::new(config, SiteLimits::fixed(1))
}

/// Puts a unit in line at the site.
fn push(scheduler: &mut Scheduler, now: u64) -> (MessageId, SiteId) {
    let message = MessageId::new();
    let site = scheduler.site(&mx(), SiteLimits { counted: true, ..SiteLimits::fixed(1) });
    let unit = NewUnit {
        message,
        recipients: Recipients::new(vec![0]),
        account: "account",
        domain: "",
        priority: 0,
        deadline: u64::MAX,
        tag: 0,
    };
    scheduler.push(unit, site, now);
    (message, site)
}

/// Sends a unit to the site.
fn send(scheduler: &mut Scheduler, now: u64) {
    push(scheduler, now);
    let unit = scheduler.start(now).unwrap();
    scheduler.learn(unit.site, Feedback::Taken, now, now, 0.5);
    scheduler.finish(unit.id);
    scheduler.end(unit.site, now);
}

fn is_known(scheduler: &Scheduler) -> bool {
    scheduler.sites(1, 0).1 == 1
}

#[test]
fn a_site_is_remembered_for_a_while_after_its_last_use() {
    let mut scheduler = scheduler();
    send(&mut scheduler, 0);
    scheduler.advance(0, 10);
    // Nobody looks at it meanwhile.
    send(&mut scheduler, 9 * MINUTE);
    scheduler.advance(11 * MINUTE, 10);
    assert!(is_known(&scheduler));
    scheduler.advance(20 * MINUTE, 10);
    assert!(is_known(&scheduler));
    scheduler.advance(21 * MINUTE, 10);
    assert!(!is_known(&scheduler));
}

#[test]
fn a_site_that_was_forgotten_meanwhile_can_be_probed() {
    let mut scheduler = scheduler();
    let (message, site) = push(&mut scheduler, 0);
    scheduler.learn(site, Feedback::Unreachable, 1, 2, 0.5);
    let withdrawn = scheduler.withdraw(message, |_| true);
    assert_eq!(withdrawn.sites, [mx()]);
    assert!(scheduler.start(3).is_none());
    for minute in 0..30 {
        scheduler.advance(minute * MINUTE, 10);
    }
    assert!(!is_known(&scheduler));
    scheduler.probe(&withdrawn.sites[0], 30 * MINUTE);
    assert!(!is_known(&scheduler));
}
