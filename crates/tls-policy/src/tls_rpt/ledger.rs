//! The counting: by day, recipient's domain and policy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::day::Day;
use super::outcome::{Failure, PolicyUsed};

#[cfg(test)]
mod tests;

/// Domains that are counted on one day.
const MOST_DOMAINS: usize = 20_000;
/// Policies of one domain that are told apart on one day.
const MOST_POLICIES: usize = 20;
/// Kinds of failures of one policy that are told apart on one day; others are counted without their details.
const MOST_FAILURES: usize = 100;
/// Characters of a reason that are kept.
const MOST_OF_REASON: usize = 200;

/// What sessions came to. A value: kept, saved and read back by its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    days: BTreeMap<Day, BTreeMap<String, Vec<Tally>>>,
}

/// What the sessions under one policy came to on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The policy.
    pub policy: PolicyUsed,
    /// Sessions that met it.
    pub successful: u64,
    /// Sessions that did not.
    pub failed: u64,
    /// What was wrong with them, and how often; may be fewer than `failed`.
    pub failures: Vec<(Failure, u64)>,
}

impl Ledger {
    /// Counts one session to hosts of `domain`. `false`: there is no room for another domain or policy today.
    pub fn record(
        &mut self,
        day: Day,
        domain: &str,
        policy: &PolicyUsed,
        result: Result<(), Failure>,
    ) -> bool {
        let domains = self.days.entry(day).or_default();
        if domains.len() >= MOST_DOMAINS && !domains.contains_key(domain) {
            return false;
        }
        let tallies = domains.entry(domain.to_owned()).or_default();
        let place = tallies.iter().position(|tally| tally.policy == *policy);
        let place = match place {
            Some(place) => place,
            None if tallies.len() >= MOST_POLICIES => return false,
            None => {
                tallies.push(Tally::new(policy.clone()));
                tallies.len() - 1
            }
        };
        tallies[place].count(result);
        true
    }

    /// The domains with results of days that are over, oldest first.
    pub fn due(&self, today: Day) -> Vec<(Day, String)> {
        let over = self.days.range(..today);
        over.flat_map(|(day, domains)| domains.keys().map(|domain| (*day, domain.clone()))).collect()
    }

    /// The results of one domain on one day.
    pub fn tallies(&self, day: Day, domain: &str) -> &[Tally] {
        self.days.get(&day).and_then(|domains| domains.get(domain)).map_or(&[], Vec::as_slice)
    }

    /// Forgets the results of one domain on one day: they were reported, or nobody wants them.
    pub fn settle(&mut self, day: Day, domain: &str) {
        let Some(domains) = self.days.get_mut(&day) else { return };
        domains.remove(domain);
        if domains.is_empty() {
            self.days.remove(&day);
        }
    }

    /// Forgets everything before a day; returns how many domains that were.
    pub fn forget_before(&mut self, day: Day) -> usize {
        let kept = self.days.split_off(&day);
        let forgotten = std::mem::replace(&mut self.days, kept);
        forgotten.values().map(BTreeMap::len).sum()
    }
}

impl Tally {
    fn new(policy: PolicyUsed) -> Self {
        Self { policy, successful: 0, failed: 0, failures: Vec::new() }
    }

    fn count(&mut self, result: Result<(), Failure>) {
        let Err(mut failure) = result else {
            self.successful += 1;
            return;
        };
        self.failed += 1;
        if let Some((cut, _)) = failure.failure_reason_code.char_indices().nth(MOST_OF_REASON) {
            failure.failure_reason_code.truncate(cut);
        }
        if let Some((_, count)) = self.failures.iter_mut().find(|(known, _)| *known == failure) {
            *count += 1;
        } else if self.failures.len() < MOST_FAILURES {
            self.failures.push((failure, 1));
        }
    }
}
