//! Any sequence of calls, beside a list that is searched from its beginning.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, HashMap, HashSet};

use message::MessageId;
use proptest::prelude::*;
use scheduler::{
    Config, Feedback, NewUnit, OutageConfig, Recipients, Scheduler, Scope, SiteId, SiteLimits, SiteName,
    Started,
};

const SITES: usize = 3;
const ACCOUNTS: usize = 3;
const SESSIONS: u32 = 5;
const MAX: u32 = 3;
/// Beyond any deadline that the tests set.
const LATER: u64 = 10_000_000;

#[derive(Clone, Debug)]
enum Call {
    Push {
        account: usize,
        site: usize,
        priority: i8,
        recipients: u32,
    },
    Schedule {
        account: usize,
        wait: u64,
    },
    Start,
    /// The `which`-th unit in somebody's hands ends; its worker takes the next one.
    Finish {
        which: usize,
        feedback: Feedback,
    },
    End {
        which: usize,
    },
    Advance(u64),
    Suspend(usize),
    Resume(usize),
    Withdraw {
        which: usize,
        odd: bool,
    },
}

fn call() -> impl Strategy<Value = Call> {
    let feedback = prop_oneof![
        4 => Just(Feedback::Taken),
        1 => Just(Feedback::Refused),
        1 => Just(Feedback::Pushback),
        1 => Just(Feedback::Unreachable),
        1 => Just(Feedback::Nothing),
    ];
    prop_oneof![
        6 => (0..ACCOUNTS, 0..SITES, -1..=1_i8, 1..4_u32)
            .prop_map(|(account, site, priority, recipients)| Call::Push { account, site, priority, recipients }),
        3 => (0..ACCOUNTS, 0..50_000_u64).prop_map(|(account, wait)| Call::Schedule { account, wait }),
        6 => Just(Call::Start),
        4 => (0..20_usize, feedback).prop_map(|(which, feedback)| Call::Finish { which, feedback }),
        3 => (0..20_usize).prop_map(|which| Call::End { which }),
        3 => (0..40_000_u64).prop_map(Call::Advance),
        1 => (0..3_usize).prop_map(Call::Suspend),
        1 => (0..3_usize).prop_map(Call::Resume),
        2 => (0..50_usize, any::<bool>()).prop_map(|(which, odd)| Call::Withdraw { which, odd }),
    ]
}

fn scopes() -> [Scope; 3] {
    [Scope::Site(site_name(0)), Scope::Account("account0".into()), Scope::Domain("domain1.test".into())]
}

fn site_name(site: usize) -> SiteName {
    SiteName::new(format!("site{site}"))
}

/// A unit as the list has it.
struct Known {
    account: usize,
    /// `None`: to be routed.
    site: Option<usize>,
    priority: i8,
    recipients: Vec<u32>,
    /// When it came into line; none while it waits for its time.
    in_line: Option<u64>,
    due: u64,
}

struct Model {
    scheduler: Scheduler,
    now: u64,
    calls: u64,
    waiting: BTreeMap<MessageId, Known>,
    in_flight: Vec<Started>,
    busy: HashMap<SiteId, u32>,
    suspended: HashSet<usize>,
    /// No unit went aside and came back to the end of its line.
    in_order: bool,
}

impl Model {
    fn new() -> Self {
        let outage = OutageConfig { after: 2, first: 10_000, longest: 60_000, jitter: 0.2 };
        let weights = HashMap::from([("account1".to_owned(), 2)]);
        let config = Config { sessions: SESSIONS, turn: 2, weights, burst: 3, outage };
        Self {
            scheduler: Scheduler::new(config, SiteLimits::fixed(2)),
            now: 1_000,
            calls: 0,
            waiting: BTreeMap::new(),
            in_flight: Vec::new(),
            busy: HashMap::new(),
            suspended: HashSet::new(),
            in_order: true,
        }
    }

    fn site(&mut self, site: usize) -> SiteId {
        let limits = SiteLimits { initial: 2, min: 1, max: MAX, counted: true, ..SiteLimits::fixed(1) };
        self.scheduler.site(&site_name(site), limits)
    }

    fn push(
        &mut self,
        account: usize,
        site: Option<usize>,
        priority: i8,
        recipients: u32,
        wait: Option<u64>,
    ) {
        let message = MessageId::new();
        let recipients: Vec<u32> = (0..recipients).map(|n| n * 2).collect();
        let (account_name, domain) =
            (format!("account{account}"), format!("domain{}.test", site.unwrap_or(9)));
        let unit = NewUnit {
            message,
            recipients: Recipients::new(recipients.clone()),
            account: &account_name,
            domain: if site.is_some() { &domain } else { "" },
            priority,
            deadline: LATER,
            tag: 0,
        };
        let due = self.now + wait.unwrap_or(0);
        if let Some(site) = site {
            let id = self.site(site);
            self.scheduler.push(unit, id, self.now);
        } else {
            self.scheduler.schedule(unit, due, None);
        }
        let in_line = site.map(|_| self.calls);
        self.waiting.insert(message, Known { account, site, priority, recipients, in_line, due });
    }

    fn call(&mut self, call: &Call) {
        self.calls += 1;
        match *call {
            Call::Push { account, site, priority, recipients } => {
                self.push(account, Some(site), priority, recipients, None);
            }
            Call::Schedule { account, wait } => self.push(account, None, 0, 1, Some(wait)),
            Call::Start => {
                if let Some(started) = self.scheduler.start(self.now) {
                    *self.busy.entry(started.site).or_default() += 1;
                    self.started(started);
                }
            }
            Call::Finish { which, feedback } if !self.in_flight.is_empty() => {
                let done = self.in_flight.swap_remove(which % self.in_flight.len());
                self.scheduler.learn(done.site, feedback, done.at, self.now, 0.5);
                self.scheduler.finish(done.id);
                match self.scheduler.take(done.site, 1, self.now) {
                    Some(next) => self.started(next),
                    None => self.end(done.site),
                }
            }
            Call::End { which } if !self.in_flight.is_empty() => {
                let done = self.in_flight.swap_remove(which % self.in_flight.len());
                self.scheduler.finish(done.id);
                self.end(done.site);
            }
            Call::Finish { .. } | Call::End { .. } => {}
            Call::Advance(time) => {
                self.now += time;
                self.advance(3);
            }
            Call::Suspend(which) => {
                self.suspended.insert(which);
                self.in_order &= which == 0;
                self.scheduler.suspend(scopes()[which].clone());
            }
            Call::Resume(which) => {
                let was_suspended = self.suspended.remove(&which);
                assert_eq!(self.scheduler.resume(&scopes()[which], self.now), was_suspended);
            }
            Call::Withdraw { which, odd } => self.withdraw(which, odd),
        }
        assert_eq!(self.scheduler.len(), self.waiting.len());
        let counted = self.busy.iter().filter(|(site, _)| **site != Scheduler::ROUTING);
        assert!(counted.map(|(_, busy)| busy).sum::<u32>() <= SESSIONS);
    }

    fn advance(&mut self, budget: usize) {
        while self.scheduler.advance(self.now, budget) {}
        for known in self.waiting.values_mut() {
            if known.due <= self.now && known.site.is_none() {
                // Those due together come in the order of their time.
                known.in_line.get_or_insert(known.due);
            }
        }
    }

    /// A unit was handed out: that it was its turn.
    fn started(&mut self, started: Started) {
        let known = self.waiting.remove(&started.message).unwrap();
        assert_eq!(started.recipients.iter().collect::<Vec<_>>(), known.recipients);
        assert!(known.in_line.is_some(), "its time had come");
        assert!(!(self.suspended.contains(&0) && known.site == Some(0)), "its site is suspended");
        assert!(!(self.suspended.contains(&1) && known.account == 0), "its account is suspended");
        assert!(!(self.suspended.contains(&2) && known.site == Some(1)), "its domain is suspended");
        if let Some(site) = known.site {
            assert_eq!(self.scheduler.site_name(started.site), &site_name(site));
            assert!(self.busy[&started.site] <= MAX);
        } else {
            assert_eq!(started.site, Scheduler::ROUTING);
        }
        if self.in_order && known.site.is_some() {
            let same_line = self.waiting.values().filter(|other| {
                other.in_line.is_some() && (other.site, other.account) == (known.site, known.account)
            });
            for other in same_line {
                assert!(other.priority <= known.priority, "the higher priority goes first");
                assert!(
                    other.priority < known.priority || other.in_line >= known.in_line,
                    "who came first goes first"
                );
            }
        }
        self.in_flight.push(started);
    }

    fn end(&mut self, site: SiteId) {
        *self.busy.get_mut(&site).unwrap() -= 1;
        self.scheduler.end(site, self.now);
    }

    fn withdraw(&mut self, which: usize, odd: bool) {
        let Some(&message) = self.waiting.keys().nth(which % self.waiting.len().max(1)) else { return };
        let known = self.waiting.get_mut(&message).unwrap();
        let chosen = |index: u32| !odd || index % 4 == 2;
        let (taken, left): (Vec<u32>, Vec<u32>) = known.recipients.iter().partition(|&&index| chosen(index));
        known.recipients = left;
        if known.recipients.is_empty() {
            self.waiting.remove(&message);
        }
        let withdrawn = self.scheduler.withdraw(message, chosen);
        assert_eq!(withdrawn.taken, taken);
        assert!(withdrawn.busy.is_empty());
    }

    /// Lets everything come to its end: every unit comes out, once.
    fn drain(mut self) {
        for scope in &scopes() {
            self.scheduler.resume(scope, self.now);
        }
        self.suspended.clear();
        for _ in 0..10_000 {
            for done in std::mem::take(&mut self.in_flight) {
                self.scheduler.learn(done.site, Feedback::Taken, done.at, self.now, 0.5);
                self.scheduler.finish(done.id);
                self.end(done.site);
            }
            self.now += 10_000;
            self.advance(3);
            while let Some(started) = self.scheduler.start(self.now) {
                *self.busy.entry(started.site).or_default() += 1;
                self.started(started);
            }
            if self.waiting.is_empty() && self.in_flight.is_empty() {
                assert!(self.scheduler.is_empty());
                return;
            }
        }
        panic!("{} units never came out", self.waiting.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_unit_comes_out_once_in_its_turn_and_within_the_limits(
        calls in proptest::collection::vec(call(), 1..250)
    ) {
        let mut model = Model::new();
        for call in &calls {
            model.call(call);
        }
        model.drain();
    }
}
