//! The time table: when each recipient is tried again, and when it is given up.

mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use message::{Address, Domain};
use parking_lot::RwLock;
use proto::mail::Envelope;

use crate::clock;
use crate::routing::{AccountSet, DomainSet};
use crate::spool::{Deadlines, Message};
pub use config::{RetryConfig, RetryError, RetryRuleConfig};

/// The time table. Clones share it: reloading one reloads all.
#[derive(Clone, Debug)]
pub(crate) struct TimeTable(Arc<RwLock<Arc<Table>>>);

#[derive(Debug)]
struct Table {
    /// Of recipients that no rule matches.
    times: Times,
    rules: Box<[Rule]>,
    stall_first: Duration,
    stall_longest: Duration,
}

/// Other times for some recipients.
#[derive(Debug)]
struct Rule {
    recipient_domain: Option<DomainSet>,
    account: Option<AccountSet>,
    times: Times,
}

/// How often and for how long a recipient is tried, as [`RetryConfig`] says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Times {
    first: Duration,
    longest: Duration,
    jitter: f64,
    lifetime: Duration,
    bounce_lifetime: Duration,
    delay_after: Duration,
}

impl TimeTable {
    /// Reads the rules.
    ///
    /// # Errors
    /// Says what is of no use, and why.
    pub(crate) fn new(config: &RetryConfig) -> Result<Self, RetryError> {
        Ok(Self(Arc::new(RwLock::new(Arc::new(Table::new(config)?)))))
    }

    /// Puts other times in place of those that hold: for the next attempt of what waits, and for all that comes. Deadlines
    /// stay. After an error nothing has changed.
    ///
    /// # Errors
    /// As [`TimeTable::new`].
    pub(crate) fn reload(&self, config: &RetryConfig) -> Result<(), RetryError> {
        let table = Arc::new(Table::new(config)?);
        *self.0.write() = table;
        Ok(())
    }

    /// The times of a message's recipient.
    pub(crate) fn times(&self, message: &Message, index: u32) -> Times {
        self.table().times(&message.account, message.address(index))
    }

    /// When each recipient of a message that is taken now is given up.
    pub(crate) fn deadlines(&self, envelope: &Envelope) -> Deadlines {
        let (table, now) = (self.table(), clock::now());
        let deadlines = envelope.recipients.iter().map(|recipient| {
            let times = table.times(&envelope.account, &recipient.address);
            now.saturating_add(clock::millis(times.lifetime(envelope.reverse_path.is_empty())))
        });
        Deadlines::new(deadlines.collect())
    }

    /// The wait after a service of our own did not answer `stalls` times in a row (at least 1). `random` is a number from
    /// 0 up to 1.
    pub(crate) fn stall(&self, stalls: u32, random: f64) -> Duration {
        let table = self.table();
        let wait = doubled(table.stall_first, table.stall_longest, stalls);
        table.times.jittered(wait, random)
    }

    /// The longest that any recipient waits between two attempts.
    pub(crate) fn longest_wait(&self) -> Duration {
        let table = self.table();
        let all = [&table.times].into_iter().chain(table.rules.iter().map(|rule| &rule.times));
        all.map(Times::longest_wait).max().unwrap_or_default()
    }

    /// By how much waits differ that belong to no recipient, as a share of themselves: 0 to 1.
    pub(crate) fn jitter(&self) -> f64 {
        self.table().times.jitter
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.0.read())
    }
}

impl Table {
    fn new(config: &RetryConfig) -> Result<Self, RetryError> {
        let times = config.times()?;
        Ok(Self {
            times,
            rules: config.rules(&times)?,
            stall_first: *config.stall_first,
            stall_longest: *config.stall_longest,
        })
    }

    fn times(&self, account: &str, address: &str) -> Times {
        if self.rules.is_empty() {
            return self.times;
        }
        let address = Address::parse(address).ok();
        let domain = address.as_ref().map(Address::domain);
        let matching = self.rules.iter().find(|rule| rule.matches(account, domain));
        matching.map_or(self.times, |rule| rule.times)
    }
}

impl Rule {
    fn matches(&self, account: &str, domain: Option<&Domain>) -> bool {
        let is_in = |set: &DomainSet| domain.is_some_and(|domain| set.contains(domain));
        self.recipient_domain.as_ref().is_none_or(is_in)
            && self.account.as_ref().is_none_or(|set| set.contains(account))
    }
}

impl Times {
    /// The wait after `attempts` failed attempts (at least 1). `random` is a number from 0 up to 1.
    pub(crate) fn wait(&self, attempts: u32, random: f64) -> Duration {
        self.jittered(doubled(self.first, self.longest, attempts), random)
    }

    fn longest_wait(&self) -> Duration {
        self.jittered(self.longest, 1.0)
    }

    /// How long a recipient is tried after its message was received.
    pub(crate) fn lifetime(&self, null_reverse_path: bool) -> Duration {
        if null_reverse_path { self.bounce_lifetime } else { self.lifetime }
    }

    /// The sender is told of a message that is still here after this time.
    pub(crate) fn delay_after(&self) -> Duration {
        self.delay_after
    }

    fn jittered(&self, wait: Duration, random: f64) -> Duration {
        wait.mul_f64(1.0 + self.jitter * (2.0 * random - 1.0))
    }
}

/// `first`, doubled with each time after the first, up to `longest`.
fn doubled(first: Duration, longest: Duration, times: u32) -> Duration {
    first.saturating_mul(1 << times.saturating_sub(1).min(30)).min(longest)
}
