//! Whatever holds a unit up: at its deadline it comes out, and not before.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;

use message::MessageId;
use scheduler::{
    Config, Feedback, NewUnit, OutageConfig, Rate, Recipients, Scheduler, Scope, SiteId, SiteLimits, SiteName,
};

const DEADLINE: u64 = 1_000_000;
/// What a unit gets that comes into line at its deadline.
const LAST_TRY: u64 = 60_000;
const LIMITS: SiteLimits =
    SiteLimits { initial: 1, min: 1, max: 1, messages: None, connections: None, counted: true };

struct World {
    scheduler: Scheduler,
    site: SiteId,
}

impl World {
    fn new() -> Self {
        // A site that is down is left alone until long after the deadline.
        let outage = OutageConfig { after: 1, first: 9 * DEADLINE, longest: 9 * DEADLINE, jitter: 0.0 };
        let config = Config { sessions: 1, turn: 10, weights: HashMap::new(), burst: 100, outage };
        let mut scheduler = Scheduler::new(config, SiteLimits::fixed(1));
        let site = scheduler.site(&SiteName::new("mx"), LIMITS);
        Self { scheduler, site }
    }

    fn unit(deadline: u64) -> NewUnit<'static> {
        NewUnit {
            message: MessageId::new(),
            recipients: Recipients::new(vec![0]),
            account: "account",
            domain: "domain.test",
            priority: 0,
            deadline,
            tag: 0,
        }
    }

    /// Puts a unit in line whose deadline is far away, and starts it.
    fn occupy(&mut self, site: SiteId) {
        self.scheduler.push(Self::unit(u64::MAX), site, 0);
        assert!(self.scheduler.start(0).is_some());
    }

    /// When the unit comes out, if nothing else ever does.
    fn out_at(mut self) -> u64 {
        let mut now = 0;
        loop {
            assert!(self.scheduler.start(now).is_none());
            while self.scheduler.advance(now, 10) {}
            assert!(self.scheduler.start(now).is_none(), "it is held up");
            if self.scheduler.next_overdue(now).is_some() {
                return now;
            }
            now = self.scheduler.next_time().unwrap();
        }
    }
}

#[test]
fn whatever_holds_up_a_line_its_units_come_out_at_their_deadline() {
    type HoldUp = (&'static str, fn(&mut World));
    let suspend = |world: &mut World, scope| world.scheduler.suspend(scope);
    let hold_ups: [HoldUp; 7] = [
        ("its site is suspended", |world| world.scheduler.suspend(Scope::Site(SiteName::new("mx")))),
        ("its account is suspended", |world| world.scheduler.suspend(Scope::Account("account".into()))),
        ("its domain is suspended", |world| world.scheduler.suspend(Scope::Domain("domain.test".into()))),
        ("its site is down", |world| world.scheduler.learn(world.site, Feedback::Unreachable, 1, 2, 0.5)),
        ("its site is busy", |world| world.occupy(world.site)),
        ("its site has used up its rate", |world| {
            let rate = Some(Rate { count: 1, per: 9 * DEADLINE });
            let limits = SiteLimits { messages: rate, initial: 9, max: 9, ..LIMITS };
            world.scheduler.site(&SiteName::new("mx"), limits);
            world.occupy(world.site);
        }),
        ("all sessions are busy", |world| {
            let other = world.scheduler.site(&SiteName::new("other"), LIMITS);
            world.occupy(other);
        }),
    ];
    for (what, hold_up) in hold_ups {
        let mut world = World::new();
        hold_up(&mut world);
        world.scheduler.push(World::unit(DEADLINE), world.site, 0);
        assert_eq!(world.out_at(), DEADLINE, "{what}");

        // It came from waiting for its last attempt.
        let mut world = World::new();
        hold_up(&mut world);
        world.scheduler.push(World::unit(0), world.site, 0);
        assert_eq!(world.out_at(), LAST_TRY, "{what}");
    }
    let mut world = World::new();
    suspend(&mut world, Scope::Account("account".into()));
    world.scheduler.push(World::unit(DEADLINE), world.site, 0);
    // Kept aside, and back in line: the deadline stays.
    assert!(world.scheduler.start(0).is_none());
    assert!(world.scheduler.resume(&Scope::Account("account".into()), 1));
    suspend(&mut world, Scope::Site(SiteName::new("mx")));
    assert_eq!(world.out_at(), DEADLINE);
}

#[test]
fn what_waits_to_be_routed_comes_out_at_its_deadline() {
    let mut world = World::new();
    world.occupy(Scheduler::ROUTING);
    world.scheduler.schedule(World::unit(DEADLINE), DEADLINE / 2, None);
    assert_eq!(world.out_at(), DEADLINE);
}
