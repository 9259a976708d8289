//! The order of a mail queue: what goes next, where and when. No I/O, no clock, no chance: the time comes in as
//! milliseconds and random numbers as arguments, so that the same calls give the same order.
//!
//! A **unit** is the recipients of one message that go in one transaction. It waits for its time ([`Scheduler::schedule`]),
//! or stands in line at a **site** ([`Scheduler::push`]): a place that mail goes to, with limits of its own, so that a slow
//! site holds up only its own mail. In a line the accounts take turns by weight, and inside an account the higher priority
//! goes first and then who came first.
//!
//! How many units of a site may be under way adapts to what the site takes ([`Feedback`]): one more for each window of
//! successes, half after it turned a session away, and one probe at a time after it could not be reached at all.
//! Rates of messages and connections are token buckets.
//!
//! Every operation costs O(log n) in the number of units at most, each look-up by message id O(1) and the units of that
//! message; what concerns many units at once (a million due together, a suspension that ends) is done a bounded part at
//! a time by [`Scheduler::advance`].
//!
//! Nothing here is durable: all of it is made anew from the spool when a node starts.

mod bucket;
mod config;
mod explain;
mod line;
mod minute;
mod names;
mod outage;
mod recipients;
mod scheduler;
mod site;
mod sites;
mod snapshot;
mod steering;
mod suspension;
mod timers;
mod turns;
mod unit;
mod units;
mod window;

pub use config::{Config, OutageConfig, Rate, SiteLimits};
pub use explain::{Explanation, Wait};
pub use recipients::Recipients;
pub use scheduler::Scheduler;
pub use site::{Failure, Feedback, SiteId, SiteName};
pub use snapshot::SiteView;
pub use steering::Withdrawn;
pub use suspension::Scope;
pub use turns::Started;
pub use unit::{NewUnit, UnitId};

/// A point in time: milliseconds since a beginning that the caller chooses, the same for all calls. Should not go back;
/// if it does, waits grow by as much and nothing worse happens.
pub type Millis = u64;
