//! How messages come into the order, and out of it when an operator or a service of our own says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use message::MessageId;
use scheduler::{NewUnit, Recipients, Scheduler, SiteId, Started};

use super::Queue;
use crate::clock;
use crate::spool::Message;

/// What waits for its deadline alone is looked at at least so often: should the clock have been set forward since, its
/// deadline is nearer than it was when the wait began.
const LOOKED_AT: Duration = Duration::from_hours(6);

/// The account in whose turn mail from other servers goes.
const OTHERS: &str = "<others>";
/// The account in whose turn reports go, and all else with the null reverse-path.
const REPORTS: &str = "<reports>";

/// How long another node is asked whether it took a message whose time is over, if this one is up for as long.
const ASKED: Duration = Duration::from_mins(10);

/// What the queue remembers of a unit itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag {
    /// How often in a row it could not go on, because a service of our own was away or its site another one by then; not
    /// attempts.
    pub(super) stalls: u8,
    /// Its recipients have mailboxes here.
    pub(super) is_mailbox: bool,
}

impl Tag {
    const MAILBOX: u8 = 0x80;

    fn encode(self) -> u8 {
        self.stalls.min(Self::MAILBOX - 1) | if self.is_mailbox { Self::MAILBOX } else { 0 }
    }

    pub(super) fn of(unit: &Started) -> Self {
        Self { stalls: unit.tag & !Self::MAILBOX, is_mailbox: unit.tag & Self::MAILBOX != 0 }
    }
}

/// A unit in a worker's hands; in nobody's any more when this goes, however the worker ends.
pub(super) struct Hand {
    queue: Arc<Queue>,
    pub(super) unit: Started,
}

impl Hand {
    pub(super) fn new(queue: &Arc<Queue>, unit: Started) -> Self {
        Self { queue: Arc::clone(queue), unit }
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.queue.scheduler.lock().finish(self.unit.id);
    }
}

impl Queue {
    /// Puts each recipient of a message for which `chosen` holds, and to which something can still happen, where the
    /// spool says that it is: in line, or waiting for its time. One that is kept back waits for its deadline.
    pub(super) fn enter(&self, message: &Message, chosen: impl Fn(u32) -> bool) {
        let latest = self.latest_attempt();
        let mut due: BTreeMap<(u64, u64), Vec<u32>> = BTreeMap::new();
        for (status, index) in message.statuses().iter().zip(0..) {
            if status.is_final() || !chosen(index) {
                continue;
            }
            let deadline = message.deadline(index);
            let at = if status.is_kept_back() {
                self.ends_at(message, index).min(looked_at())
            } else {
                status.next_attempt_at.min(latest)
            };
            due.entry((at, deadline)).or_default().push(index);
        }
        let now = clock::now();
        for ((due, _), recipients) in due {
            if due <= now {
                self.push(message, &recipients, "", Tag::default(), |_| Scheduler::ROUTING);
            } else {
                self.wait(message, recipients, due, Tag::default());
            }
        }
    }

    /// When a recipient that waits is given up: at its deadline. One that was handed to another node has to be left the
    /// time in which that one is asked, for it may have delivered it.
    pub(super) fn ends_at(&self, message: &Message, index: u32) -> u64 {
        let deadline = message.deadline(index);
        match message.status(index) {
            Some(status) if status.handed_to().is_some() => {
                deadline.max(self.started).saturating_add(clock::millis(ASKED))
            }
            _ => deadline,
        }
    }

    /// The latest time that the time table has for an attempt. What is to be tried later was put off when the clock
    /// stood elsewhere, and must not wait for all the time by which it was set back.
    pub(super) fn latest_attempt(&self) -> u64 {
        clock::now().saturating_add(clock::millis(self.parts.retry.longest_wait()))
    }

    /// Puts recipients of a message in line at a site.
    pub(super) fn push(
        &self,
        message: &Message,
        recipients: &[u32],
        domain: &str,
        tag: Tag,
        site: impl FnOnce(&mut Scheduler) -> SiteId,
    ) {
        let now = self.pace.now();
        let mut scheduler = self.scheduler.lock();
        let site = site(&mut scheduler);
        // Only what goes to other servers goes in transactions of a limited size.
        let most = if site == Scheduler::ROUTING || site == self.mda {
            recipients.len()
        } else {
            self.parts.sites.recipients
        };
        for part in recipients.chunks(most.max(1)) {
            let unit = self.unit(message, part.iter().copied().collect(), domain, tag);
            scheduler.push(unit, site, now);
        }
        self.wake(&scheduler);
    }

    /// Lets recipients of a message wait until `due`, in milliseconds since the epoch.
    pub(super) fn wait(&self, message: &Message, recipients: Vec<u32>, due: u64, tag: Tag) {
        let Some(&first) = recipients.first() else { return };
        let due = self.pace.at_clock(due);
        let mut scheduler = self.scheduler.lock();
        let site = scheduler.site_in_flight(message.id, first);
        let unit = self.unit(message, Recipients::new(recipients), "", tag);
        scheduler.schedule(unit, due, site);
        self.wake(&scheduler);
    }

    /// Lets recipients wait because a service of our own did not answer. That is no attempt and leaves no record: after a
    /// restart they are simply tried.
    pub(super) fn stall(&self, message: &Message, recipients: Vec<u32>, tag: Tag) {
        let stalls = tag.stalls.saturating_add(1);
        let wait = self.parts.retry.stall(u32::from(stalls), fastrand::f64());
        let again = clock::now().saturating_add(clock::millis(wait));
        let deadlines = recipients.iter().map(|&index| message.deadline(index));
        let due = deadlines.fold(again, u64::min);
        self.wait(message, recipients, due, Tag { stalls, ..tag });
    }

    /// Puts recipients of a message back where the spool says that they are.
    pub(super) fn put_back(&self, message: MessageId, recipients: &[u32]) {
        if let Some(message) = self.parts.spool.get(message) {
            self.enter(&message, |index| recipients.contains(&index));
        }
    }

    fn unit<'a>(
        &self,
        message: &'a Message,
        recipients: Recipients,
        domain: &'a str,
        tag: Tag,
    ) -> NewUnit<'a> {
        let account = match &*message.account {
            "" if message.reverse_path_is_null => REPORTS,
            "" => OTHERS,
            account => account,
        };
        let deadline = recipients.iter().map(|index| message.deadline(index)).min();
        NewUnit {
            message: message.id,
            recipients,
            account,
            domain,
            priority: message.priority,
            deadline: self.pace.at_clock(deadline.unwrap_or(0).min(looked_at())),
            tag: tag.encode(),
        }
    }
}

/// When what comes into the order now is looked at, whatever its deadline, in milliseconds since the epoch.
fn looked_at() -> u64 {
    clock::now().saturating_add(clock::millis(LOOKED_AT))
}
