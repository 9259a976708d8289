//! Emptying this node: everything that waits here goes to other nodes, which answer for it from then on.
//!
//! A hand-over is three steps, each on stable storage before the next: it is on record here that it begins, and with
//! whom; the other node takes the message, with the same id; it is on record here that it ended. Whatever is cut off
//! between them, this node knows after a restart that the other one may have the message, neither tries it nor hands it
//! to a third, and asks that one again: the number of the hand-over makes the repetition harmless.

mod hand_over;
mod nodes;
mod unclear;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use message::MessageId;
use parking_lot::Mutex;
use proto::mta::DrainResponse;
use service::drain::Shutdown;
use service::grpc::client::ClientError;
use service::grpc::server::Health;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Status;

pub(crate) use nodes::Nodes;

use crate::events::Events;
use crate::intake::Gate;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::spool::Spool;
use hand_over::Ended;
use nodes::Node;

/// The service that is reported as not serving while this node is emptied.
const TRANSFER: &str = "waypost.mta.v1.Transfer";
/// Messages that are looked at together.
const PAGE: usize = 1_000;
/// Hand-overs at a time.
const AT_ONCE: usize = 64;
/// How often the caller is told how far it has come.
const TELLING: Duration = Duration::from_millis(500);
/// The pause before what is left is looked at again: after something could be handed over, and at most.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What emptying works with.
pub(crate) struct Parts {
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
    pub(crate) gate: Gate,
    pub(crate) health: Health,
    pub(crate) nodes: Nodes,
    /// This node's name.
    pub(crate) node: String,
    /// What has to end before the storage is closed.
    pub(crate) work: Shutdown,
}

/// Empties this node when it is told to. One per node; shared by reference.
pub(crate) struct Emptying {
    parts: Parts,
    under_way: AtomicBool,
    /// Messages that were handed over since it began.
    handed_over: AtomicU64,
    /// What kept the first message that could not go.
    problem: Mutex<Option<String>>,
    /// Messages of which another node has not said whether it took them.
    unclear: Mutex<BTreeSet<MessageId>>,
    /// One was added.
    added: Notify,
}

/// Why this node cannot be emptied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EmptyingError {
    /// It is at it.
    #[error("this node is being emptied already")]
    UnderWay,
    /// Nobody would take over.
    #[error("to: name at least one node that takes over, as host:port")]
    NoNodes,
    /// Not an address.
    #[error("to: {0}")]
    Node(#[from] ClientError),
}

impl Emptying {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            under_way: AtomicBool::new(false),
            handed_over: AtomicU64::new(0),
            problem: Mutex::default(),
            unclear: Mutex::default(),
            added: Notify::new(),
        })
    }

    /// Begins to hand everything to the nodes at these addresses. It ends when nothing is left, or when the one who is
    /// told how far it has come goes away.
    pub(crate) fn begin(
        self: &Arc<Self>,
        to: &[String],
    ) -> Result<mpsc::Receiver<Result<DrainResponse, Status>>, EmptyingError> {
        if to.is_empty() {
            return Err(EmptyingError::NoNodes);
        }
        let nodes = to.iter().map(|address| self.parts.nodes.at(address)).collect::<Result<Vec<_>, _>>()?;
        let Some(closed) = Closed::close(self) else { return Err(EmptyingError::UnderWay) };
        let (sender, told) = mpsc::channel(1);
        self.parts.work.spawn(Arc::clone(self).empty(closed, nodes, sender));
        Ok(told)
    }

    async fn empty(
        self: Arc<Self>,
        closed: Closed,
        nodes: Vec<Node>,
        told: mpsc::Sender<Result<DrainResponse, Status>>,
    ) {
        tracing::info!(
            messages = self.parts.spool.len(),
            "this node hands its mail to others and takes none"
        );
        let (done, over) = (CancellationToken::new(), CancellationToken::new());
        let listening = done.run_until_cancelled(async {
            tokio::select! {
                () = told.closed() => {}
                () = self.parts.work.started() => {}
            }
            over.cancel();
        });
        let telling = async {
            while done.run_until_cancelled(tokio::time::sleep(TELLING)).await.is_some() {
                if told.send(Ok(self.progress())).await.is_err() {
                    return;
                }
            }
        };
        let passes = async {
            let is_empty = self.make_passes(&nodes, &over).await;
            done.cancel();
            is_empty
        };
        let (is_empty, ..) = tokio::join!(passes, telling, listening);
        let (handed_over, left) = (self.handed_over.load(Ordering::Relaxed), self.parts.spool.len());
        if is_empty {
            closed.stay();
            tracing::info!(handed_over, "this node is empty, and takes no mail until it is started again");
        } else {
            tracing::info!(
                handed_over,
                left,
                takes_mail = !closed.stays,
                "the emptying of this node is over"
            );
            drop(closed);
        }
        let last = if is_empty { Ok(self.progress()) } else { Err(Status::unavailable("this node ends")) };
        // Whoever went away is told nothing.
        let _ = told.send(last).await;
    }

    /// Goes over what waits until nothing is left; `false` if it is `over` before.
    async fn make_passes(&self, nodes: &[Node], over: &CancellationToken) -> bool {
        let mut pause = PAUSE;
        while !over.is_cancelled() {
            // In this order: what comes through the gate is in the spool when it is clear.
            if self.parts.gate.is_clear() && self.parts.spool.len() == 0 {
                return true;
            }
            let before = self.handed_over.load(Ordering::Relaxed);
            let problem = self.make_pass(nodes, over).await;
            *self.problem.lock() = problem;
            let went_on = self.handed_over.load(Ordering::Relaxed) > before;
            pause = if went_on { PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            let _ = over.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        false
    }

    /// Goes over all that waits, once; returns what kept the first message that is left, if anything did.
    async fn make_pass(&self, nodes: &[Node], over: &CancellationToken) -> Option<String> {
        let problem = Mutex::new(None);
        let note = |text: String| {
            problem.lock().get_or_insert(text);
        };
        let stopped = AtomicBool::new(false);
        let mut after = None;
        loop {
            let page = self.parts.spool.page(after, PAGE);
            let Some(last) = page.last() else { return problem.into_inner() };
            after = Some(last.id);
            stream::iter(page)
                .for_each_concurrent(AT_ONCE, async |message| {
                    if over.is_cancelled() || stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    match self.hand_over(&message, nodes, over).await {
                        Ended::Left => {}
                        Ended::Kept(why) => note(format!("{}: {why}", message.id)),
                        // Neither would the next one be taken.
                        Ended::NobodyTakes(why) => {
                            note(why);
                            stopped.store(true, Ordering::Relaxed);
                        }
                    }
                })
                .await;
            if over.is_cancelled() || stopped.load(Ordering::Relaxed) {
                return problem.into_inner();
            }
        }
    }

    fn progress(&self) -> DrainResponse {
        DrainResponse {
            handed_over: self.handed_over.load(Ordering::Relaxed),
            left: self.parts.spool.len() as u64,
            problem: self.problem.lock().clone().unwrap_or_default(),
        }
    }
}

/// This node takes no mail for as long as this lives, or until it is started again.
struct Closed {
    emptying: Arc<Emptying>,
    stays: bool,
}

impl Closed {
    /// `None` if it is closed already by somebody who is at it.
    fn close(emptying: &Arc<Emptying>) -> Option<Self> {
        if emptying.under_way.swap(true, Ordering::SeqCst) {
            return None;
        }
        emptying.handed_over.store(0, Ordering::Relaxed);
        *emptying.problem.lock() = None;
        // It was emptied before, if the gate is closed, and stays so whoever goes away now.
        let stays = emptying.parts.gate.close();
        emptying.parts.health.set_serving(TRANSFER, false);
        Some(Self { emptying: Arc::clone(emptying), stays })
    }

    /// What was emptied stays empty.
    fn stay(mut self) {
        self.stays = true;
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        if !self.stays {
            self.emptying.parts.gate.open();
            self.emptying.parts.health.set_serving(TRANSFER, true);
        }
        self.emptying.under_way.store(false, Ordering::SeqCst);
    }
}
