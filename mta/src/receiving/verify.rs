//! Whether an address exists, as its next hop says: asked once, and remembered.
//!
//! Whoever sends mail chooses whose server is asked for the sender, and how slowly that answers. So senders have turns of
//! their own, of which one network has a few only; where none is free, a sender is not asked for. Recipients are asked
//! for at next hops of ours, and wait for their turn.

mod probe;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use message::Address;
use parking_lot::Mutex;
use service::listen::Network;
use smtp::Reply;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

impl Probed {
    fn no_turn() -> Self {
        Self::Unclear("too many addresses are being asked for".into())
    }
}

/// Networks whose clients can have their senders asked for at the same time, when each has as many as it may.
const NETWORKS: usize = 5;

/// Tries addresses out. An address that is being asked for is not asked for again at the same time.
pub(super) struct Verifier {
    config: VerifyConfig,
    metrics: Metrics,
    prober: Arc<Prober>,
    recipients: Arc<Semaphore>,
    senders: Arc<Semaphore>,
    /// Turns for senders that each network has.
    networks: Arc<Mutex<HashMap<Network, usize>>>,
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
            recipients: Arc::new(Semaphore::new(config.probes)),
            senders: Arc::new(Semaphore::new(config.probes)),
            networks: Arc::default(),
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

    /// What the next hop says of a recipient, now or a while ago.
    pub(super) async fn probe_recipient(&self, address: &Address) -> Probed {
        let turns = Arc::clone(&self.recipients);
        let within = *self.config.timeout;
        let turn = async move { tokio::time::timeout(within, turns.acquire_owned()).await.ok()?.ok() };
        self.probe(address, || Some(turn)).await.unwrap_or_else(Probed::no_turn)
    }

    /// What the next hop says of a sender, now or a while ago; `None` if it cannot be asked without taking its turn from
    /// others.
    pub(super) async fn probe_sender(&self, address: &Address, client: IpAddr) -> Option<Probed> {
        let turn = || self.sender_turn(client).map(|turn| std::future::ready(Some(turn)));
        self.probe(address, turn).await
    }

    fn sender_turn(&self, client: IpAddr) -> Option<SenderTurn> {
        let network = Network::of_client(client);
        let turn = Arc::clone(&self.senders).try_acquire_owned().ok()?;
        let mut networks = self.networks.lock();
        let taken = networks.get(&network).copied().unwrap_or(0);
        if taken >= (self.config.probes / NETWORKS).max(1) {
            return None;
        }
        networks.insert(network, taken + 1);
        Some(SenderTurn { networks: Arc::clone(&self.networks), network, _turn: turn })
    }

    /// What the next hop says of an address. If somebody is asking for it already, that is waited for; else `turn` says
    /// what is to be waited for before, or that it is not to be asked for.
    async fn probe<Turn: Send + 'static, Wait: Future<Output = Option<Turn>> + Send + 'static>(
        &self,
        address: &Address,
        turn: impl FnOnce() -> Option<Wait>,
    ) -> Option<Probed> {
        let key = address.to_string();
        if let Some(known) = self.known.lock().get(&key).filter(|known| known.until > Instant::now()) {
            return Some(known.probed.clone());
        }
        let asking = {
            let mut asked = self.asked.lock();
            if let Some(asking) = asked.get(&key) {
                asking.clone()
            } else {
                let asking = self.ask(address.clone(), turn()?).boxed().shared();
                asked.insert(key.clone(), asking.clone());
                asking
            }
        };
        // Whoever goes away meanwhile leaves the question to the others; the last one takes it along.
        let leave = Leave { asked: &self.asked, key: &key, asking: asking.clone() };
        let probed = asking.await;
        drop(leave);
        let known = Known { until: Instant::now() + self.believed(&probed), probed: probed.clone() };
        self.known.lock().insert(key, known);
        Some(probed)
    }

    /// The attempt has its time from its turn on.
    fn ask<Turn: Send + 'static>(
        &self,
        address: Address,
        turn: impl Future<Output = Option<Turn>> + Send + 'static,
    ) -> impl Future<Output = Probed> + Send + 'static {
        let (prober, metrics) = (Arc::clone(&self.prober), self.metrics.clone());
        let within = *self.config.timeout;
        async move {
            let Some(_turn) = turn.await else { return Probed::no_turn() };
            metrics.probed();
            let asked = tokio::time::timeout(within, prober.probe(&address)).await;
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

/// The turn of a sender, which is also one of its client's network.
struct SenderTurn {
    networks: Arc<Mutex<HashMap<Network, usize>>>,
    network: Network,
    _turn: OwnedSemaphorePermit,
}

impl Drop for SenderTurn {
    fn drop(&mut self) {
        let mut networks = self.networks.lock();
        if let Some(taken) = networks.get_mut(&self.network) {
            *taken -= 1;
            if *taken == 0 {
                networks.remove(&self.network);
            }
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
