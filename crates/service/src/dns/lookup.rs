//! One question: from the cache, or by one query however many ask it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_resolver::proto::rr::RData;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::answer::{Outcome, host_text};
use super::cache::{Cache, FAILURE_TTL, Known, Question, STALE_TTL};
use super::metrics::{Metrics, Source};
use super::servers::Servers;
use super::{Answer, DnsError};
use crate::config::DnsConfig;

/// Queries under way at a time; others wait for their turn.
const QUERIES: usize = 1_000;
/// A query waits so many times the timeout for its turn, and is given up then.
const TURN: u32 = 4;

/// What came of a question, and for how long that holds.
type Told = (Outcome, Duration);

/// Answers questions.
pub(super) struct Lookup {
    servers: Servers,
    cache: Cache,
    /// What is being asked now.
    flights: Mutex<HashMap<Question, watch::Receiver<Option<Told>>>>,
    turns: Semaphore,
    /// How long a query waits for its turn.
    patience: Duration,
    metrics: Metrics,
    /// When a server last said anything.
    heard: Mutex<Instant>,
    /// The servers do not answer, and that was logged.
    away: AtomicBool,
}

impl Lookup {
    pub(super) fn new(servers: Servers, config: &DnsConfig) -> Arc<Self> {
        Arc::new(Self {
            servers,
            cache: Cache::new(usize::try_from(config.cache_size).unwrap_or(usize::MAX)),
            flights: Mutex::default(),
            turns: Semaphore::new(QUERIES),
            patience: *config.timeout * TURN,
            metrics: Metrics::default(),
            heard: Mutex::new(Instant::now()),
            away: AtomicBool::new(false),
        })
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) async fn ask(self: &Arc<Self>, question: Question) -> Result<Answer<RData>, DnsError> {
        match self.cache.look(&question, Instant::now()) {
            Known::Fresh(outcome, ttl) => {
                self.metrics.answered(question.kind, Source::Cache, &outcome);
                return answer(&question, outcome, ttl);
            }
            // Nobody need wait for servers of which it is known that they are away; they are asked all the same.
            Known::Stale(outcome) if self.away.load(Ordering::Relaxed) => {
                self.join(&question);
                self.metrics.answered(question.kind, Source::Stale, &outcome);
                return answer(&question, outcome, STALE_TTL);
            }
            Known::Stale(_) | Known::Nothing => {}
        }
        let mut flight = self.join(&question);
        let told = match flight.wait_for(Option::is_some).await {
            Ok(told) => told.clone(),
            Err(_) => None,
        };
        let interrupted = || (Outcome::failed("the query was broken off"), Duration::ZERO);
        let (outcome, ttl) = told.unwrap_or_else(interrupted);
        answer(&question, outcome, ttl)
    }

    /// Waits for the query that is under way, or starts one. It goes on if whoever asked first goes away.
    fn join(self: &Arc<Self>, question: &Question) -> watch::Receiver<Option<Told>> {
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.get(question) {
            return flight.clone();
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(question.clone(), receiver.clone());
        let landing = Landing { lookup: Arc::clone(self), question: question.clone() };
        tokio::spawn(async move {
            let told = landing.lookup.fetch(&landing.question).await;
            // Those who come now find it in the cache, if it may be kept at all.
            drop(landing);
            let _ = sender.send(Some(told));
        });
        receiver
    }

    async fn fetch(&self, question: &Question) -> Told {
        let (outcome, ttl) = match timeout(self.patience, self.turns.acquire()).await {
            Ok(Ok(_turn)) => self.servers.ask(question).await,
            Ok(Err(_)) | Err(_) => (Outcome::failed("too many queries are under way"), Duration::ZERO),
        };
        let now = Instant::now();
        self.note_silence(&outcome, now);
        if matches!(outcome, Outcome::Failed { .. })
            && let Known::Stale(stale) = self.cache.look(question, now)
        {
            self.cache.extend(question, now);
            self.metrics.answered(question.kind, Source::Stale, &stale);
            return (stale, STALE_TTL);
        }
        let ttl = if outcome.is_failure() { FAILURE_TTL } else { ttl };
        self.metrics.answered(question.kind, Source::Server, &outcome);
        self.cache.store(question.clone(), outcome.clone(), ttl, now);
        (outcome, ttl)
    }

    /// Says once when the servers fall silent, and once when they are back. Silence about one name alone says nothing
    /// about the servers: others are heard of meanwhile.
    fn note_silence(&self, outcome: &Outcome, now: Instant) {
        if let Outcome::Failed { reason, silence: true } = outcome {
            let since = *self.heard.lock();
            if now.saturating_duration_since(since) > self.patience
                && !self.away.swap(true, Ordering::Relaxed)
            {
                tracing::warn!(reason, "no name server answers; what is known is used for up to a day");
            }
        } else {
            *self.heard.lock() = now;
            if self.away.swap(false, Ordering::Relaxed) {
                tracing::info!("a name server answers again");
            }
        }
    }
}

/// Ends a flight, however its query ends.
struct Landing {
    lookup: Arc<Lookup>,
    question: Question,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.lookup.flights.lock().remove(&self.question);
    }
}

fn answer(question: &Question, outcome: Outcome, ttl: Duration) -> Result<Answer<RData>, DnsError> {
    let name = host_text(&question.name);
    match outcome {
        Outcome::Found { records, secure, canonical } => Ok(Answer { records, ttl, secure, canonical }),
        Outcome::NoSuchDomain => Err(DnsError::NoSuchDomain(name)),
        Outcome::NoData => Err(DnsError::NoData(name)),
        Outcome::Bogus => Err(DnsError::Bogus(name)),
        Outcome::Failed { reason, .. } => Err(DnsError::Temporary { name, reason }),
    }
}
