//! Far more than the services can take: they put off what they cannot, hold no more memory than they may, and are as fast
//! as before once it is over.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use pipeline_tests::load::{self, Door, Fate, Load, Mix, RECIPIENTS, Sent};
use pipeline_tests::{Failure, Options, Pipeline, Session, Tally, eventually};

use super::guests::Guests;
use super::trial::assert_no_errors;
use super::watch::Watch;
use crate::{Form, Outcome, Promise, Scenario};

pub(crate) const TEN_TIMES: Scenario = Scenario {
    name: "overload",
    proves: "Overload ends at worst in temporary errors, never in a loss, and leaves no service slow or large",
    how: "Eight clients that send without a pause say how fast the services are. Then eighty do, for five minutes in the long \
          form; 5,000 others are connected that never speak or say an octet now and then; and 100 clients send a message \
          of 49 MiB each. Whoever is refused must be asked to come again. What each service may hold of messages in memory \
          is set to 64 MiB, and its memory must stay below 768 MiB, which leaves 64 KiB for each connection and the rest \
          for caches. When all is over the eight clients measure again, and must find at least half of the speed before: at \
          once in the long form, within some looks in the short one, which shares the machine with other tests. In the long \
          form some messages and some of the large ones must have been taken under overload.",
    promises: &[Promise::Bounded, Promise::Kept, Promise::Once],
    run: ten_times,
};

/// What the services can take is taken by these.
const FULL_SPEED: Mix = Mix { smtp: 4, submissions: 4, reports: false, remote: false };
/// Ten times as many.
const FAR_TOO_MANY: Mix = Mix { smtp: 40, submissions: 40, reports: false, remote: false };
/// Octets of memory that a service may ever hold.
const MOST_MEMORY: u64 = 768 << 20;
/// What it may hold more of afterwards.
const MORE_MEMORY: u64 = 384 << 20;
const MORE_DESCRIPTORS: usize = 24;
/// Octets of a line of a message.
const LINE: usize = 96;

/// The sizes of a form.
struct Plan {
    /// How long the speed is measured, before and afterwards.
    measure: Duration,
    /// How often it may be measured afterwards until it is back: other tests run beside the short form.
    looks: u32,
    /// How long there is too much.
    overload: Duration,
    /// Silent clients of each listener, and as many slow ones.
    guests: usize,
    /// Large messages at the same time, and their octets.
    large: usize,
    octets: usize,
}

fn ten_times(form: &Form) -> Outcome {
    let plan = form.pick(
        Plan {
            measure: Duration::from_secs(2),
            looks: 20,
            overload: Duration::from_secs(4),
            guests: 50,
            large: 8,
            octets: 5 << 20,
        },
        Plan {
            measure: Duration::from_secs(20),
            looks: 1,
            overload: form.duration.unwrap_or(Duration::from_mins(5)),
            guests: 625,
            large: 100,
            octets: 49 << 20,
        },
    );
    let limits = ["WAYPOST_MSA__LIMITS__IN_MEMORY_TOTAL", "WAYPOST_MTA__LIMITS__IN_MEMORY_TOTAL"];
    let environment = limits.map(|name| (name, "64MiB".to_owned())).to_vec();
    let pipeline = form.pipeline(Options { environment, ..Options::default() });
    let mut clients = load::Outcome::default();
    let mut outcome = Outcome { rounds: 1, ..Outcome::default() };

    let before = speed(&pipeline, plan.measure, &mut clients);
    let watch = Watch::begin(&pipeline);
    let under = overload(&pipeline, &plan, &mut clients, &mut outcome);
    if form.is_long {
        under.must_have_taken_some(&mut outcome);
    }
    let over = Instant::now();
    let calm = Load::flood(&pipeline, FULL_SPEED);
    for door in [Door::Smtp, Door::Submissions] {
        eventually("mail to be taken again", || (calm.acknowledged(door) > 0).then_some(()));
    }
    let taken_again = over.elapsed();
    let after = speed_again(&calm, &plan, &before);
    clients.add(calm.stop());

    outcome.add_load(&clients);
    outcome.add_verdict(&Tally::when_settled(&pipeline).verdict(&clients.sent));
    outcome.figure("at full speed before", &before);
    if after.is_slower_than_half(&before) {
        outcome.wrong.push(format!("afterwards {after}, where there were {before}"));
    }
    outcome.figure("at full speed afterwards", after);
    outcome.figure("until both doors took mail again", format!("{:.1} s", taken_again.as_secs_f64()));
    watch.at_most(MOST_MEMORY, &mut outcome);
    watch.end(&pipeline, MORE_MEMORY, MORE_DESCRIPTORS, &mut outcome);
    assert_no_errors(&pipeline);
    outcome
}

/// What became of the mail under overload.
struct Under {
    flood: Speed,
    large_taken: usize,
}

impl Under {
    fn must_have_taken_some(&self, outcome: &mut Outcome) {
        if self.flood.taken == 0 {
            outcome.wrong.push("no message was taken under overload".to_owned());
        }
        if self.large_taken == 0 {
            outcome.wrong.push("no large message was taken under overload".to_owned());
        }
    }
}

/// All at once: too many clients, slow ones, large messages.
fn overload(pipeline: &Pipeline, plan: &Plan, clients: &mut load::Outcome, outcome: &mut Outcome) -> Under {
    let addresses = [("mta", "smtp"), ("msa", "submission"), ("mda", "imap"), ("mda", "pop3")];
    let addresses = addresses.map(|(service, listener)| pipeline.address(service, listener));
    let guests = Guests::invite(&addresses, plan.guests, b"NOOP NOOP NOOP ");
    let flood = Load::flood(pipeline, FAR_TOO_MANY);
    let (during, large) = thread::scope(|scope| {
        let senders: Vec<_> = (0..plan.large)
            .map(|number| scope.spawn(move || send_large(pipeline, number, plan.octets)))
            .collect();
        let during = Speed::of(&flood, plan.overload);
        let large = senders.into_iter().map(|sender| sender.join().expect("a sender"));
        (during, large.collect::<Vec<Sent>>())
    });
    outcome.figure(format!("under overload, for {} s", plan.overload.as_secs()), &during);
    let taken = large.iter().filter(|sent| sent.fate == Fate::Acknowledged).count();
    outcome.figure(
        format!("messages of {} MiB at the same time, taken", plan.octets >> 20),
        format!("{taken} of {}", plan.large),
    );
    outcome.figure("clients that never spoke or hardly did", addresses.len() * plan.guests * 2);
    clients.sent.extend(large);
    clients.add(flood.stop());
    outcome.figure("of these, sent away by the server", guests.leave());
    Under { flood: during, large_taken: taken }
}

/// Messages that were taken and refused.
struct Speed {
    taken: u64,
    refused: u64,
    time: Duration,
}

impl Speed {
    fn of(load: &Load, time: Duration) -> Self {
        let count = || load.acknowledged(Door::Smtp) + load.acknowledged(Door::Submissions);
        let (taken, refused, began) = (count(), load.refused(), Instant::now());
        thread::sleep(time);
        Self { taken: count() - taken, refused: load.refused() - refused, time: began.elapsed() }
    }

    /// How many of what was counted came in a second.
    fn each_second(&self, count: u64) -> f64 {
        count as f64 / self.time.as_secs_f64()
    }

    fn is_slower_than_half(&self, other: &Self) -> bool {
        self.each_second(self.taken) < other.each_second(other.taken) / 2.0
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} messages a second", self.each_second(self.taken))?;
        if self.refused > 0 {
            write!(f, ", {:.0} put off", self.each_second(self.refused))?;
        }
        Ok(())
    }
}

fn speed(pipeline: &Pipeline, time: Duration, clients: &mut load::Outcome) -> Speed {
    let load = Load::flood(pipeline, FULL_SPEED);
    let speed = Speed::of(&load, time);
    clients.add(load.stop());
    speed
}

/// The speed as soon as it is half of what it was, else as it is in the end.
fn speed_again(load: &Load, plan: &Plan, before: &Speed) -> Speed {
    let mut speed = Speed::of(load, plan.measure);
    for _ in 1..plan.looks {
        if !speed.is_slower_than_half(before) {
            break;
        }
        speed = Speed::of(load, plan.measure);
    }
    speed
}

fn send_large(pipeline: &Pipeline, number: usize, octets: usize) -> Sent {
    let message = Sent {
        token: format!("load-large-{number}-{}", octets / LINE),
        door: Door::Submissions,
        recipients: vec![RECIPIENTS[number % RECIPIENTS.len()]],
        wants_report: false,
        fate: Fate::Acknowledged,
    };
    let sent = Session::submission(pipeline).and_then(|mut session| session.send(&message));
    let fate = match sent {
        Ok(()) => Fate::Acknowledged,
        Err(Failure::Refused(reply)) => Fate::Refused(reply),
        Err(Failure::Lost(error)) => Fate::Unknown(error.kind()),
    };
    Sent { fate, ..message }
}
