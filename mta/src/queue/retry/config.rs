//! `[retry]` and `[[retry.rule]]`: the time table as it is written.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use service::config::HumanDuration;

use super::{Rule, Times};
use crate::routing::{AccountSet, DomainSet};

/// Rules at most: each recipient is held against them in order.
const MOST_RULES: usize = 1_000;

/// How often and for how long a recipient is tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// The wait after the first failed attempt; it doubles with each further one. Default 5m.
    pub first: HumanDuration,
    /// The longest wait. Default 4h.
    pub longest: HumanDuration,
    /// Each wait is changed at random by up to this share of itself, so that mail which failed together does not come
    /// back together. 0 to 1, default 0.2.
    pub jitter: f64,
    /// The wait after a service of our own (the MDA, the directory) did not answer; it doubles each time in a row. Such
    /// waits are no attempts. Default 1s.
    pub stall_first: HumanDuration,
    /// The longest such wait: how late mail may be once the service is back. Default 15s.
    pub stall_longest: HumanDuration,
    /// How long a recipient is tried after the message was received. Default 5d.
    pub lifetime: HumanDuration,
    /// The same for mail with the null reverse-path. Default 2d.
    pub bounce_lifetime: HumanDuration,
    /// The sender is told once of a message that is still here after this time. Default 4h.
    pub delay_after: HumanDuration,
    /// `[[retry.rule]]`, other times for some recipients: the first rule that matches a recipient decides. None by
    /// default.
    pub rule: Vec<RetryRuleConfig>,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            first: HumanDuration::from_mins(5),
            longest: HumanDuration::from_hours(4),
            jitter: 0.2,
            stall_first: HumanDuration::from_secs(1),
            stall_longest: HumanDuration::from_secs(15),
            lifetime: HumanDuration::from_days(5),
            bounce_lifetime: HumanDuration::from_days(2),
            delay_after: HumanDuration::from_hours(4),
            rule: Vec::new(),
        }
    }
}

/// Other times for some recipients. All that it asks for (`recipient_domain`, `account`) must hold; of each list, one
/// entry. Times that it does not name are those of `[retry]`, never those of another rule: one that names none keeps its
/// recipients from the rules behind it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryRuleConfig {
    /// Domains of recipients: `example.org` itself, `.example.org` for every domain below it.
    pub recipient_domain: Vec<String>,
    /// Accounts that submitted the message; `*` for any. Mail from other MTAs and reports have none.
    pub account: Vec<String>,
    /// As in `[retry]`.
    pub first: Option<HumanDuration>,
    /// As in `[retry]`.
    pub longest: Option<HumanDuration>,
    /// As in `[retry]`.
    pub jitter: Option<f64>,
    /// As in `[retry]`. It holds for messages that are received from now on: a recipient that waits keeps the deadline
    /// with which it came.
    pub lifetime: Option<HumanDuration>,
    /// As in `[retry]`; for messages that are received from now on.
    pub bounce_lifetime: Option<HumanDuration>,
    /// As in `[retry]`.
    pub delay_after: Option<HumanDuration>,
}

/// A part of the time table that is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {problem}")]
pub struct RetryError {
    part: String,
    problem: String,
}

impl RetryError {
    fn new(part: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { part: part.into(), problem: problem.into() }
    }
}

impl RetryConfig {
    /// The times of recipients that no rule matches.
    pub(super) fn times(&self) -> Result<Times, RetryError> {
        if self.stall_first.is_zero() {
            return Err(RetryError::new("retry", "stall_first must be longer than 0"));
        }
        if self.stall_longest < self.stall_first {
            return Err(RetryError::new("retry", "stall_longest must not be shorter than stall_first"));
        }
        let times = Times {
            first: *self.first,
            longest: *self.longest,
            jitter: self.jitter,
            lifetime: *self.lifetime,
            bounce_lifetime: *self.bounce_lifetime,
            delay_after: *self.delay_after,
        };
        times.checked().map_err(|problem| RetryError::new("retry", problem))
    }

    /// The rules, with `times` where they say nothing.
    pub(super) fn rules(&self, times: &Times) -> Result<Box<[Rule]>, RetryError> {
        if self.rule.len() > MOST_RULES {
            let problem = format!("there are {} rules, at most {MOST_RULES} are allowed", self.rule.len());
            return Err(RetryError::new("retry.rule", problem));
        }
        let parse = |(rule, place): (&RetryRuleConfig, usize)| {
            let described = |problem| RetryError::new(format!("[[retry.rule]] number {place}"), problem);
            rule.parse(times).map_err(described)
        };
        self.rule.iter().zip(1..).map(parse).collect()
    }
}

impl RetryRuleConfig {
    fn parse(&self, times: &Times) -> Result<Rule, String> {
        if self.recipient_domain.is_empty() && self.account.is_empty() {
            return Err("it needs recipient_domain or account; what holds for all stands in [retry]".into());
        }
        if self.account.iter().any(String::is_empty) {
            return Err("account: a name is empty".into());
        }
        let domains = DomainSet::parse(&self.recipient_domain)
            .map_err(|(pattern, error)| format!("recipient_domain: {pattern:?}: {error}"))?;
        let or = |own: Option<HumanDuration>, general| own.map_or(general, Duration::from);
        let times = Times {
            first: or(self.first, times.first),
            longest: or(self.longest, times.longest),
            jitter: self.jitter.unwrap_or(times.jitter),
            lifetime: or(self.lifetime, times.lifetime),
            bounce_lifetime: or(self.bounce_lifetime, times.bounce_lifetime),
            delay_after: or(self.delay_after, times.delay_after),
        };
        Ok(Rule {
            recipient_domain: (!self.recipient_domain.is_empty()).then_some(domains),
            account: (!self.account.is_empty()).then(|| AccountSet::new(&self.account)),
            times: times.checked()?,
        })
    }
}

impl Times {
    /// The same, if it can be kept.
    fn checked(self) -> Result<Self, String> {
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(format!("jitter must be between 0 and 1, and is {}", self.jitter));
        }
        if self.first.is_zero() {
            return Err("first must be longer than 0".into());
        }
        if self.longest < self.first {
            let (first, longest) = (HumanDuration(self.first), HumanDuration(self.longest));
            return Err(format!("longest ({longest}) must not be shorter than first ({first})"));
        }
        Ok(self)
    }
}
