//! Whether an address exists, as its next hop says: asked once, and remembered.

mod probe;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use message::Address;
use parking_lot::Mutex;
use smtp::Reply;
use tokio::sync::Semaphore;

pub(crate) use probe::Prober;

use super::config::VerifyConfig;
use super::metrics::Metrics;
use super::recent::Recent;

/// What a next hop says of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Probed {
    /// It would take mail for it.
    Exists,
    /// It never will, and says why.
    Unknown(Reply),
    /// Nobody knows now.
    Unclear(String),
}

/// Tries addresses out. An address that is being asked for is not asked for again at the same time.
pub(super) struct Verifier {
    config: VerifyConfig,
    metrics: Metrics,
    prober: Arc<Prober>,
    turns: Arc<Semaphore>,
    known: Mutex<Recent<String, Known>>,
    /// No more than there are sessions.
    asked: Mutex<HashMap<String, Shared<BoxFuture<'static, Probed>>>>,
}

/// What was found, and until when it is believed.
#[derive(Clone, Debug)]
struct Known {
    probed: Probed,
    until: Instant,
}

impl Verifier {
    pub(super) fn new(config: &VerifyConfig, prober: Prober, metrics: Metrics) -> Self {
        Self {
            config: config.clone(),
            metrics,
            prober: Arc::new(prober),
            turns: Arc::new(Semaphore::new(config.probes)),
            known: Mutex::new(Recent::new(config.entries)),
            asked: Mutex::default(),
        }
    }

    /// Whether recipients of relayed domains are verified.
    pub(super) fn is_for_recipients(&self) -> bool {
        self.config.recipients
    }

    /// Whether senders are verified.
    pub(super) fn is_for_senders(&self) -> bool {
        self.config.senders
    }

    /// What the next hop says of an address, now or a while ago.
    pub(super) async fn probe(&self, address: &Address) -> Probed {
        let key = address.to_string();
        if let Some(known) = self.known.lock().get(&key).filter(|known| known.until > Instant::now()) {
            return known.probed.clone();
        }
        let asking = {
            let mut asked = self.asked.lock();
            asked.entry(key.clone()).or_insert_with(|| self.ask(address.clone()).boxed().shared()).clone()
        };
        // Whoever goes away meanwhile leaves the question to the others; the last one takes it along.
        let leave = Leave { asked: &self.asked, key: &key, asking: asking.clone() };
        let probed = asking.await;
        drop(leave);
        let known = Known { until: Instant::now() + self.believed(&probed), probed: probed.clone() };
        self.known.lock().insert(key, known);
        probed
    }

    fn ask(&self, address: Address) -> impl Future<Output = Probed> + Send + 'static {
        let (prober, turns, metrics) =
            (Arc::clone(&self.prober), Arc::clone(&self.turns), self.metrics.clone());
        let within = *self.config.timeout;
        async move {
            let asking = async {
                let Ok(_turn) = turns.acquire().await else {
                    return Probed::Unclear("the node is stopping".into());
                };
                metrics.probed();
                prober.probe(&address).await
            };
            let asked = tokio::time::timeout(within, asking).await;
            asked.unwrap_or_else(|_| Probed::Unclear("the next hop took too long".into()))
        }
    }

    fn believed(&self, probed: &Probed) -> Duration {
        match probed {
            Probed::Exists => *self.config.remember_good,
            Probed::Unknown(_) => *self.config.remember_bad,
            Probed::Unclear(_) => *self.config.remember_unknown,
        }
    }
}

/// Takes a question off the list when whoever asked it has the answer, or has gone away as the last one.
struct Leave<'a> {
    asked: &'a Mutex<HashMap<String, Shared<BoxFuture<'static, Probed>>>>,
    key: &'a str,
    asking: Shared<BoxFuture<'static, Probed>>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut asked = self.asked.lock();
        // The list and this hold it; anyone else still waits.
        let is_last = self.asking.strong_count().is_none_or(|holders| holders <= 2);
        let is_answered = self.asking.peek().is_some();
        let is_same = asked.get(self.key).is_some_and(|listed| listed.ptr_eq(&self.asking));
        if is_same && (is_last || is_answered) {
            asked.remove(self.key);
        }
    }
}
