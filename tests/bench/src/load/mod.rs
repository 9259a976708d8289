//! The load generator: clients of every door of a mail system, and a sink for the mail that it sends on. All of it runs on
//! one thread, so that it never takes more than one core from what it measures.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::try_join_all;
use tokio::task::LocalSet;
use tokio::time::timeout;

mod imap;
mod message;
mod pace;
mod pop3;
mod sink;
mod smtp;
mod wire;

use self::pace::Pace;
pub(crate) use imap::{Answer, Append, Imap};
pub(crate) use message::{IN_SUBJECT, IN_TEXT, message, written};
pub(crate) use pop3::Pop3;
pub(crate) use sink::{Manner, Sink};
pub(crate) use smtp::{Plan, To};
pub(crate) use wire::Door;

/// When a load ends: whichever comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    /// No operation begins after so long.
    pub(crate) lasting: Duration,
    /// Operations.
    pub(crate) most: u64,
}

/// What a load came to. All operations succeeded, or there is none.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) operations: u64,
    /// Of content: messages, and answers to commands that read.
    pub(crate) octets: u64,
    /// From the first operation's beginning to the last one's end.
    pub(crate) took: Duration,
    /// How long each took. If they came at a steady pace: from when it was due.
    pub(crate) latencies: Vec<Duration>,
    /// At a steady pace, by how much each was woken late: what the generator itself adds to the latencies.
    pub(crate) late: Vec<Duration>,
}

/// Runs a load to its end on this thread alone. It fails if it takes longer than `limit`.
pub(crate) fn block_on<T>(
    limit: Duration,
    load: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    // Both ends of a thousand sessions with the sink are here.
    service::listen::raise_descriptor_limit()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let within = async { timeout(limit, load).await };
    let ended = LocalSet::new().block_on(&runtime, within);
    ended.with_context(|| format!("it did not end within {} s", limit.as_secs()))?
}

/// Lets each client do one operation after the other, all clients at once. `operation` is given the client and the
/// operation's number, and gives the octets that it moved. With a pace in operations a second, they are due at that pace
/// whether or not a client is free: none waits less because those before it were slow.
pub(crate) async fn run<C>(
    clients: &mut [C],
    amount: Amount,
    per_second: Option<f64>,
    operation: impl AsyncFn(&mut C, u64) -> anyhow::Result<u64>,
) -> anyhow::Result<Outcome> {
    let supply = Supply::new(amount, per_second)?;
    let (outcome, last) = (RefCell::new(Outcome::default()), Cell::new(supply.began));
    let each = clients.iter_mut().map(async |client| {
        while let Some(turn) = supply.next().await? {
            let octets = operation(client, turn.number).await?;
            let ended = Instant::now();
            last.set(ended);
            let mut outcome = outcome.borrow_mut();
            outcome.operations += 1;
            outcome.octets += octets;
            outcome.latencies.push(ended.saturating_duration_since(turn.due));
            outcome.late.extend(turn.late);
        }
        anyhow::Ok(())
    });
    try_join_all(each).await?;
    let took = last.get() - supply.began;
    Ok(Outcome { took, ..outcome.into_inner() })
}

/// What is still to be done.
struct Supply {
    amount: Amount,
    began: Instant,
    given: Cell<u64>,
    pace: Option<Pace>,
}

/// An operation to be done now.
struct Turn {
    number: u64,
    due: Instant,
    /// How late a client that waited for it was woken.
    late: Option<Duration>,
}

impl Supply {
    fn new(amount: Amount, per_second: Option<f64>) -> anyhow::Result<Self> {
        let began = Instant::now();
        let pace = per_second.map(|per_second| Pace::new(began, per_second)).transpose()?;
        Ok(Self { amount, began, given: Cell::new(0), pace })
    }

    async fn next(&self) -> anyhow::Result<Option<Turn>> {
        let (number, now) = (self.given.get(), Instant::now());
        let due = self.pace.as_ref().map_or(now, |pace| pace.due(number));
        if number >= self.amount.most || due >= self.began + self.amount.lasting {
            return Ok(None);
        }
        self.given.set(number + 1);
        let late = match &self.pace {
            Some(pace) if due > now => {
                pace.until(due).await?;
                Some(due.elapsed())
            }
            _ => None,
        };
        Ok(Some(Turn { number, due, late }))
    }
}

#[cfg(test)]
mod tests;
