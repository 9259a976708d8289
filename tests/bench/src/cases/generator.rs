//! The load generator by itself: no mail system can be measured to do more than it can.

use std::net::TcpListener;
use std::time::Instant;

use anyhow::Context as _;

use super::Ground;
use super::mail::{lasting, plan, point};
use crate::cost::{Cost, own_cpu};
use crate::load::{Door, Manner, Plan, Sink, To, block_on};
use crate::report::{Figures, Measured};

/// How it is called.
pub(crate) const NAME: &str = "generator";
/// What is done and counted.
pub(crate) const ABOUT: &str = "mail from the load generator straight to its own sink, both on one thread: its own bound; no mail system";

/// Octets of a message, sessions at a time, and messages of a connection.
const LOADS: [(u64, u64, u64); 4] =
    [(4 << 10, 32, 1), (4 << 10, 32, 100), (4 << 10, 1_000, 100), (64 << 10, 32, 100)];

/// Measures it.
pub(crate) fn measure(ground: &Ground<'_>) -> anyhow::Result<Vec<Measured>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen")?;
    let door = Door::clear(listener.local_addr()?);
    let mut all = Vec::new();
    for (size, sessions, per_connection) in LOADS {
        let point = point(size, sessions, per_connection);
        let plan = plan(door.clone(), To::Elsewhere, &point, lasting(ground.extent) / 4);
        let load = ground.interruption.unless_asked(sunk(&plan, &listener));
        let figures = block_on(ground.limit, load)?;
        let (case, system) = (NAME.to_owned(), "generator and sink".to_owned());
        all.push(Measured { case, point, system, round: ground.round, figures });
    }
    Ok(all)
}

/// A load until all of it has reached a sink.
async fn sunk(plan: &Plan, listener: &TcpListener) -> anyhow::Result<Figures> {
    let sink = Sink::open(listener, Manner::Takes)?;
    let ready = plan.prepare().await?;
    let (before, began) = (own_cpu(), Instant::now());
    let sent = ready.run().await?;
    sink.reached(sent.operations).await;
    let all = began.elapsed();
    let cost = Cost { seconds: all.as_secs_f64(), own_cpu: own_cpu() - before, ..Cost::default() };
    Ok(Figures::new(sent.operations, cost).rate("messages", sent.operations, all).latency(&sent.latencies))
}
