//! What is known of one site.

use std::fmt;
use std::sync::Arc;

use crate::bucket::Bucket;
use crate::line::Line;
use crate::minute::Minute;
use crate::outage::Outage;
use crate::window::Window;
use crate::{Config, Millis, SiteLimits};

/// The name of a site: whatever names the same hosts in the same way has the same name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteName(Arc<str>);

impl SiteName {
    /// From what stands for the set of hosts.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A site's number. Good for as long as something is in line, waits, or is under way there, or a session to it is open;
/// for a place of our own, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteId(pub(crate) u32);

/// What an attempt showed about its site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// It took the message.
    Taken,
    /// It answered, and refused this message or its recipients: no sign of too much load.
    Refused,
    /// It turned the session away for now (421, 4xx to the session), or timed out, or broke off.
    Pushback,
    /// None of its hosts could be connected to.
    Unreachable,
    /// The attempt came to nothing for reasons of our own.
    Nothing,
}

/// The last refusal or failure of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The SMTP code.
    pub code: u32,
    /// The enhanced status code; may be empty.
    pub enhanced: String,
    /// What was said.
    pub text: String,
}

/// Why a site starts nothing although units are in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Suspended,
    /// Left alone until then; with `probing`, until the probe under way has come to its end.
    Down {
        until: Millis,
        probing: bool,
    },
    /// As many units are under way as may be.
    Connections,
    /// The rate of messages, or of connections, is used up until then.
    Rate(Millis),
}

/// One site.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) name: SiteName,
    pub(crate) limits: SiteLimits,
    pub(crate) line: Line,
    /// Units in somebody's hands.
    pub(crate) busy: u32,
    /// Open sessions that nobody uses now.
    pub(crate) idle: u32,
    /// Units that wait for their time and stood here last.
    pub(crate) scheduled: usize,
    /// Units that were in line here and are kept aside for a suspension.
    pub(crate) aside: usize,
    /// Units that name this site, wherever they are.
    pub(crate) uses: usize,
    /// Since when nothing has used it, as the sweep found it.
    pub(crate) unused_since: Option<Millis>,
    pub(crate) window: Window,
    pub(crate) outage: Outage,
    pub(crate) messages: Option<Bucket>,
    pub(crate) connections: Option<Bucket>,
    pub(crate) suspended: bool,
    pub(crate) delivered: Minute,
    pub(crate) deferred: Minute,
    pub(crate) last_failure: Option<Failure>,
    /// It stands among those that may start something.
    pub(crate) startable: bool,
    /// When it is looked at again, if it is.
    pub(crate) wake_at: Option<Millis>,
}

impl Site {
    pub(crate) fn new(name: SiteName, limits: SiteLimits, suspended: bool) -> Self {
        Self {
            name,
            limits,
            line: Line::default(),
            busy: 0,
            idle: 0,
            scheduled: 0,
            aside: 0,
            uses: 0,
            unused_since: None,
            window: Window::new(&limits),
            outage: Outage::default(),
            messages: limits.messages.map(Bucket::new),
            connections: limits.connections.map(Bucket::new),
            suspended,
            delivered: Minute::default(),
            deferred: Minute::default(),
            last_failure: None,
            startable: false,
            wake_at: None,
        }
    }

    /// Takes over limits that were changed.
    pub(crate) fn set_limits(&mut self, limits: SiteLimits) {
        if self.limits != limits {
            self.limits = limits;
            self.window.fit(&limits);
            self.messages = Bucket::adjusted(self.messages, limits.messages);
            self.connections = Bucket::adjusted(self.connections, limits.connections);
        }
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.uses == 0 && self.busy == 0 && self.idle == 0
    }

    /// How many units may be under way now.
    pub(crate) fn limit(&self, now: Millis) -> u32 {
        match self.outage.until() {
            None => self.window.limit(),
            Some(until) => u32::from(until <= now),
        }
    }

    /// Why nothing more can be started now, if so. With `has_session`, by somebody who is counted as busy already and has
    /// a connection.
    pub(crate) fn block(&self, now: Millis, has_session: bool) -> Option<Block> {
        if self.suspended {
            return Some(Block::Suspended);
        }
        let busy = self.busy - u32::from(has_session && self.busy > 0);
        if busy >= self.limit(now) {
            return Some(match self.outage.until() {
                Some(until) => Block::Down { until, probing: until <= now },
                None => Block::Connections,
            });
        }
        let connects = !has_session && self.idle == 0;
        let connection = self.connections.filter(|_| connects).map_or(now, |bucket| bucket.next(now));
        let message = self.messages.map_or(now, |bucket| bucket.next(now));
        let free = connection.max(message);
        (free > now).then_some(Block::Rate(free))
    }

    /// A unit is started. Keeps the rates.
    pub(crate) fn note_start(&mut self, now: Millis, has_session: bool) {
        if !has_session
            && self.idle == 0
            && let Some(bucket) = &mut self.connections
        {
            bucket.take(now);
        }
        if let Some(bucket) = &mut self.messages {
            bucket.take(now);
        }
    }

    /// Learns from an attempt that was started at `started`.
    pub(crate) fn learn(
        &mut self,
        feedback: Feedback,
        started: Millis,
        now: Millis,
        random: f64,
        config: &Config,
    ) {
        match feedback {
            Feedback::Nothing => return,
            Feedback::Taken => {
                self.delivered.add(now);
                self.answered();
                let in_use = !self.line.is_empty() || self.busy >= self.window.limit();
                self.window.grow(in_use, &self.limits);
            }
            Feedback::Refused => self.answered(),
            Feedback::Pushback => {
                self.answered();
                self.window.halve(started, now, &self.limits);
            }
            Feedback::Unreachable => {
                self.window.halve(started, now, &self.limits);
                if self.outage.failed(started, now, random, &config.outage) {
                    self.window = Window::new(&self.limits);
                }
            }
        }
        if feedback != Feedback::Taken {
            self.deferred.add(now);
        }
    }

    fn answered(&mut self) {
        self.outage.end();
    }
}
