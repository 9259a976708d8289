//! What is remembered of the DNS: bounded, fresh for the time to live, stale for a while after it.

use std::collections::HashMap;
use std::time::Duration;

use hickory_resolver::proto::rr::{Name, RData, RecordType};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::answer::Outcome;

/// How long an answer may be used after its time if nobody gives a newer one (RFC 8767 §5 allows one to three days).
const STALE: Duration = Duration::from_hours(24);
/// How long a stale answer holds before it is asked for again (RFC 8767 §5).
pub(super) const STALE_TTL: Duration = Duration::from_secs(30);
/// How long a failure is remembered (RFC 9520 §3.2: at least a second, at most five minutes).
pub(super) const FAILURE_TTL: Duration = Duration::from_secs(5);
/// Answers that are larger are not remembered, in octets of their records as they are held.
const LARGEST: usize = 4096;

/// A name and a type of record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// Absolute and in lower case.
    pub(super) name: Name,
    pub(super) kind: RecordType,
}

impl Question {
    pub(super) fn new(name: &Name, kind: RecordType) -> Self {
        Self { name: name.to_lowercase(), kind }
    }
}

/// What the cache knows about a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It holds for so long.
    Fresh(Outcome, Duration),
    /// Its time is over, and it may be used if nothing newer can be had.
    Stale(Outcome),
    Nothing,
}

/// Answers in two generations: a full one becomes the old one, and the old one before it is forgotten. What is asked for
/// meanwhile moves to the new one, so what is in use stays.
#[derive(Debug)]
pub(super) struct Cache {
    /// Answers in one generation at most.
    half: usize,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    new: HashMap<Question, Entry>,
    old: HashMap<Question, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    outcome: Outcome,
    expires: Instant,
    /// A stale answer holds until then.
    stale_until: Option<Instant>,
}

impl Cache {
    /// Remembers `capacity` answers at most.
    pub(super) fn new(capacity: usize) -> Self {
        Self { half: capacity.div_ceil(2), generations: Mutex::default() }
    }

    pub(super) fn look(&self, question: &Question, now: Instant) -> Known {
        let mut generations = self.generations.lock();
        let Some(entry) = generations.find(question, self.half) else { return Known::Nothing };
        let holds_until = entry.stale_until.unwrap_or(entry.expires);
        if now < holds_until {
            return Known::Fresh(entry.outcome.clone(), holds_until - now);
        }
        if now < entry.expires + STALE && may_be_stale(question, &entry.outcome) {
            return Known::Stale(entry.outcome.clone());
        }
        generations.forget(question);
        Known::Nothing
    }

    /// Remembers an answer, unless it holds no time at all.
    pub(super) fn store(&self, question: Question, outcome: Outcome, ttl: Duration, now: Instant) {
        let mut generations = self.generations.lock();
        generations.forget(&question);
        if !ttl.is_zero() && self.half > 0 && size(&outcome) <= LARGEST {
            let entry = Entry { outcome, expires: now + ttl, stale_until: None };
            generations.insert(question, entry, self.half);
        }
    }

    /// Lets a stale answer hold for a while longer.
    pub(super) fn extend(&self, question: &Question, now: Instant) {
        if let Some(entry) = self.generations.lock().find(question, self.half) {
            entry.stale_until = Some(now + STALE_TTL);
        }
    }
}

impl Generations {
    fn find(&mut self, question: &Question, half: usize) -> Option<&mut Entry> {
        if let Some((question, entry)) = self.old.remove_entry(question) {
            self.insert(question, entry, half);
        }
        self.new.get_mut(question)
    }

    fn insert(&mut self, question: Question, entry: Entry, half: usize) {
        if self.new.len() >= half {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(question, entry);
    }

    fn forget(&mut self, question: &Question) {
        self.new.remove(question);
        self.old.remove(question);
    }
}

/// Whether an answer may be used behind its time. Certificate associations may not: who relies on them has to wait
/// (RFC 7672 §2.1.1). That there is none may not, because mail would be given up for it; but that a domain has no MX
/// records may, because its addresses are looked up then.
fn may_be_stale(question: &Question, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Found { .. } => question.kind != RecordType::TLSA,
        Outcome::NoData => question.kind == RecordType::MX,
        Outcome::NoSuchDomain | Outcome::Bogus | Outcome::Failed { .. } => false,
    }
}

/// Octets that an answer takes, roughly.
fn size(outcome: &Outcome) -> usize {
    let Outcome::Found { records, .. } = outcome else { return 0 };
    let held = |data: &RData| match data {
        RData::TXT(txt) => txt.txt_data.iter().map(|text| text.len() + size_of::<Box<[u8]>>()).sum(),
        RData::TLSA(tlsa) => tlsa.cert_data.len(),
        _ => 0,
    };
    records.iter().map(|data| size_of::<RData>() + held(data)).sum()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::{A, TXT};

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const DAY: Duration = Duration::from_hours(24);

    fn question(name: &str, kind: RecordType) -> Question {
        Question::new(&Name::from_ascii(name).unwrap(), kind)
    }

    fn found(data: RData) -> Outcome {
        Outcome::Found { records: vec![data], secure: false, canonical: String::new() }
    }

    fn address() -> Outcome {
        found(RData::A(A::new(192, 0, 2, 1)))
    }

    #[test]
    fn an_answer_is_fresh_then_stale_then_forgotten() {
        let (cache, start) = (Cache::new(10), Instant::now());
        let asked = question("Host.test.", RecordType::A);
        cache.store(asked, address(), MINUTE, start);
        let asked = question("host.TEST.", RecordType::A);
        assert_eq!(cache.look(&asked, start + MINUTE / 4), Known::Fresh(address(), MINUTE * 3 / 4));
        assert_eq!(cache.look(&asked, start + MINUTE), Known::Stale(address()));
        assert_eq!(cache.look(&asked, start + MINUTE + DAY), Known::Nothing);
        assert_eq!(cache.look(&asked, start), Known::Nothing, "it was forgotten");
    }

    #[test]
    fn a_stale_answer_in_use_is_asked_for_again_soon_and_ends_all_the_same() {
        let (cache, start) = (Cache::new(10), Instant::now());
        let asked = question("host.test.", RecordType::A);
        cache.store(asked.clone(), address(), MINUTE, start);
        let later = start + MINUTE * 2;
        cache.extend(&asked, later);
        assert_eq!(cache.look(&asked, later), Known::Fresh(address(), STALE_TTL));
        assert_eq!(cache.look(&asked, later + STALE_TTL), Known::Stale(address()));
        cache.extend(&asked, start + MINUTE + DAY - STALE_TTL);
        assert_eq!(cache.look(&asked, start + MINUTE + DAY), Known::Nothing);
    }

    #[test]
    fn only_what_cannot_do_harm_is_stale() {
        let (cache, start) = (Cache::new(10), Instant::now());
        let stale = |kind, outcome: Outcome| {
            let asked = question("name.test.", kind);
            cache.store(asked.clone(), outcome.clone(), MINUTE, start);
            cache.look(&asked, start + MINUTE) == Known::Stale(outcome)
        };
        assert!(stale(RecordType::MX, Outcome::NoData));
        assert!(!stale(RecordType::A, Outcome::NoData));
        assert!(!stale(RecordType::MX, Outcome::NoSuchDomain));
        assert!(!stale(RecordType::TLSA, address()));
        assert!(!stale(RecordType::A, Outcome::failed("silence")));
    }

    #[test]
    fn what_is_in_use_stays_when_the_cache_is_full() {
        let (cache, now) = (Cache::new(10), Instant::now());
        let used = question("used.test.", RecordType::A);
        cache.store(used.clone(), address(), MINUTE, now);
        for index in 0..1_000 {
            cache.store(question(&format!("n{index}.test."), RecordType::A), address(), MINUTE, now);
            assert!(matches!(cache.look(&used, now), Known::Fresh(..)), "after {index}");
        }
        let generations = cache.generations.lock();
        assert!(generations.new.len() + generations.old.len() <= 10);
    }

    #[test]
    fn nothing_large_and_nothing_that_holds_no_time_is_kept() {
        let (cache, now) = (Cache::new(10), Instant::now());
        let asked = question("name.test.", RecordType::TXT);
        let large = found(RData::TXT(TXT::new(vec!["x".repeat(250); 40])));
        cache.store(asked.clone(), large, MINUTE, now);
        assert_eq!(cache.look(&asked, now), Known::Nothing);
        cache.store(asked.clone(), address(), Duration::ZERO, now);
        assert_eq!(cache.look(&asked, now), Known::Nothing);
    }
}
