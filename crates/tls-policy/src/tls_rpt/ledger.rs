//! The counting: by day, recipient's domain and policy.

use std::borrow::Cow;
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
/// Octets of a policy's text that are kept, and of its hosts: lines that fit in.
const MOST_OF_POLICY: usize = 2 << 10;
/// Octets that everything takes together. As JSON it may be several times as large.
const MOST_OCTETS: usize = 32 << 20;
/// Octets that a domain, a policy or a failure takes beside its texts.
const OVERHEAD: usize = 256;

/// What sessions came to. A value: kept, saved and read back by its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Kept")]
pub struct Ledger {
    days: Days,
    /// That `days` take; at most [`MOST_OCTETS`], unless more was read.
    #[serde(skip)]
    octets: usize,
}

type Days = BTreeMap<Day, BTreeMap<String, Vec<Tally>>>;

/// A [`Ledger`] as it is written.
#[derive(Deserialize)]
struct Kept {
    days: Days,
}

impl From<Kept> for Ledger {
    fn from(Kept { days }: Kept) -> Self {
        let octets = days.values().map(octets_of_day).sum();
        Self { days, octets }
    }
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
    /// Counts one session to hosts of `domain`. `false`: there is no room for another domain or policy. If there is none
    /// for another failure, it is counted without its details.
    pub fn record(
        &mut self,
        day: Day,
        domain: &str,
        policy: &PolicyUsed,
        result: Result<(), Failure>,
    ) -> bool {
        let policy = cut(policy);
        let known = self.days.get(&day);
        let is_known = known.is_some_and(|domains| domains.contains_key(domain));
        if !is_known && known.is_some_and(|domains| domains.len() >= MOST_DOMAINS) {
            return false;
        }
        let place = self.tallies(day, domain).iter().position(|tally| tally.policy == *policy);
        let place = if let Some(place) = place {
            place
        } else {
            let tally = Tally::new(policy.into_owned());
            let more = tally.octets() + if is_known { 0 } else { OVERHEAD + domain.len() };
            let place = self.tallies(day, domain).len();
            if place >= MOST_POLICIES || self.octets + more > MOST_OCTETS {
                return false;
            }
            self.octets += more;
            self.days.entry(day).or_default().entry(domain.to_owned()).or_default().push(tally);
            place
        };
        let tallies = self.days.get_mut(&day).and_then(|domains| domains.get_mut(domain));
        if let Some(tally) = tallies.and_then(|tallies| tallies.get_mut(place)) {
            self.octets += tally.count(result, MOST_OCTETS.saturating_sub(self.octets));
        }
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
        if let Some(tallies) = domains.remove(domain) {
            self.octets -= octets_of_domain(domain, &tallies);
        }
        if domains.is_empty() {
            self.days.remove(&day);
        }
    }

    /// Forgets everything before a day; returns how many domains that were.
    pub fn forget_before(&mut self, day: Day) -> usize {
        let kept = self.days.split_off(&day);
        let forgotten = std::mem::replace(&mut self.days, kept);
        self.octets -= forgotten.values().map(octets_of_day).sum::<usize>();
        forgotten.values().map(BTreeMap::len).sum()
    }
}

impl Tally {
    fn new(policy: PolicyUsed) -> Self {
        Self { policy, successful: 0, failed: 0, failures: Vec::new() }
    }

    /// Counts a session; returns how many octets more that takes, at most `room`.
    fn count(&mut self, result: Result<(), Failure>, room: usize) -> usize {
        let Err(mut failure) = result else {
            self.successful += 1;
            return 0;
        };
        self.failed += 1;
        if let Some((cut, _)) = failure.failure_reason_code.char_indices().nth(MOST_OF_REASON) {
            failure.failure_reason_code.truncate(cut);
        }
        if let Some((_, count)) = self.failures.iter_mut().find(|(known, _)| *known == failure) {
            *count += 1;
            return 0;
        }
        let more = octets_of_failure(&failure);
        if self.failures.len() >= MOST_FAILURES || more > room {
            return 0;
        }
        self.failures.push((failure, 1));
        more
    }

    fn octets(&self) -> usize {
        let PolicyUsed { text, domain, hosts, .. } = &self.policy;
        let lines = text.iter().chain(hosts).map(|line| size_of::<String>() + line.len());
        let failures = self.failures.iter().map(|(failure, _)| octets_of_failure(failure));
        OVERHEAD + domain.len() + lines.sum::<usize>() + failures.sum::<usize>()
    }
}

/// The policy, less what of its text and hosts is not kept.
fn cut(policy: &PolicyUsed) -> Cow<'_, PolicyUsed> {
    let fitting = |lines: &[String]| {
        let ends = lines.iter().scan(0, |end, line| {
            *end += line.len();
            Some(*end)
        });
        ends.take_while(|end| *end <= MOST_OF_POLICY).count()
    };
    let (text, hosts) = (fitting(&policy.text), fitting(&policy.hosts));
    if (text, hosts) == (policy.text.len(), policy.hosts.len()) {
        return Cow::Borrowed(policy);
    }
    let PolicyUsed { kind, domain, .. } = policy;
    Cow::Owned(PolicyUsed {
        text: policy.text[..text].to_vec(),
        hosts: policy.hosts[..hosts].to_vec(),
        ..PolicyUsed::new(*kind, domain)
    })
}

fn octets_of_day(domains: &BTreeMap<String, Vec<Tally>>) -> usize {
    domains.iter().map(|(domain, tallies)| octets_of_domain(domain, tallies)).sum()
}

fn octets_of_domain(domain: &str, tallies: &[Tally]) -> usize {
    OVERHEAD + domain.len() + tallies.iter().map(Tally::octets).sum::<usize>()
}

fn octets_of_failure(failure: &Failure) -> usize {
    let Failure { result_type: _, sending_mta_ip, receiving_mx_hostname, receiving_ip, failure_reason_code } =
        failure;
    let texts = [sending_mta_ip, receiving_mx_hostname, receiving_ip, failure_reason_code];
    OVERHEAD + texts.iter().map(|text| text.len()).sum::<usize>()
}
