//! What is measured.

mod disk;
mod generator;
mod growth;
mod imap;
mod into_mailboxes;
mod latency;
mod mail;
mod pop3;
pub(crate) mod raw;
mod relay;

use std::future::Future;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use crate::interruption::Interruption;
use crate::load::block_on;
use crate::report::{Figures, Measured, Point};
use crate::system::System;

/// What is measured once a round, before all cases.
pub(crate) const BOUNDS: [Bound; 2] = [
    Bound {
        name: disk::NAME,
        about: disk::ABOUT,
        measure: |ground| disk::measure(ground.dir, ground.extent, ground.round),
    },
    Bound { name: generator::NAME, about: generator::ABOUT, measure: generator::measure },
];

/// All cases, in the order in which they run and are told of.
pub(crate) fn all() -> Vec<Box<dyn Case>> {
    vec![
        Box::new(into_mailboxes::SUBMISSION),
        Box::new(latency::Latency),
        Box::new(into_mailboxes::INBOUND),
        Box::new(relay::Relay),
        Box::new(imap::Login),
        Box::new(imap::Appending),
        Box::new(imap::Mailbox),
        Box::new(imap::Resynchronisation),
        Box::new(imap::Idling),
        Box::new(pop3::Retrieval),
        Box::new(into_mailboxes::BY_SIZE),
        Box::new(into_mailboxes::BY_SESSIONS),
        Box::new(growth::Queue),
        Box::new(growth::MailboxSize),
    ]
}

/// The names of all that can be measured, in that order, and what each is about.
pub(crate) fn catalogue() -> Vec<(&'static str, &'static str)> {
    let bounds = BOUNDS.iter().map(|bound| (bound.name, bound.about));
    bounds.chain(all().iter().map(|case| (case.name(), case.about()))).collect()
}

/// What is measured without any mail system, and bounds what is measured with one.
pub(crate) struct Bound {
    /// How it is called on the command line and in tables.
    pub(crate) name: &'static str,
    /// What is done and counted, in one line.
    pub(crate) about: &'static str,
    /// Measures all of it.
    pub(crate) measure: fn(&Ground<'_>) -> anyhow::Result<Vec<Measured>>,
}

/// What a bound is measured on.
pub(crate) struct Ground<'a> {
    /// A folder on the disk that the systems use.
    pub(crate) dir: &'a Path,
    /// How much is measured.
    pub(crate) extent: Extent,
    /// The round, from 1 on.
    pub(crate) round: u32,
    /// How long a point may take.
    pub(crate) limit: Duration,
    /// Whether the run was asked to stop.
    pub(crate) interruption: &'a Interruption,
}

/// A load that is put on each of the systems in turns.
pub(crate) trait Case {
    /// How it is called on the command line and in tables.
    fn name(&self) -> &'static str;

    /// What is done and counted, in one line.
    fn about(&self) -> &'static str;

    /// Whether it takes so long that it is measured only if it is asked for by name.
    fn is_asked_for_only(&self) -> bool {
        false
    }

    /// The points at which it is measured, in this order, all over one system that was just started.
    fn points(&self, extent: Extent) -> Vec<Point>;

    /// Measures one point: warms up, puts the load on with a [`Meter`](crate::cost::Meter) running, and looks whether all is
    /// there that has to be. Ends within `bed.limit`, and fails if not all was done by then. Where one load has several
    /// steps, each has figures of its own.
    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>>;
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Little of everything, in seconds: whether it works.
    Quick,
    /// What the figures are told of.
    Whole,
}

/// What a case runs on.
pub(crate) struct Bed<'a> {
    /// The system, which nothing else uses.
    pub(crate) system: &'a dyn System,
    /// Where it sends mail for relay.test: bound, and nobody accepts yet.
    pub(crate) sink: &'a TcpListener,
    /// Accounts that there are, from number 0 on.
    pub(crate) accounts: u32,
    /// How much is measured.
    pub(crate) extent: Extent,
    /// How long a point may take.
    pub(crate) limit: Duration,
    /// Whether the run was asked to stop.
    pub(crate) interruption: &'a Interruption,
}

impl Bed<'_> {
    /// Runs a load to its end. It fails if it takes longer than `limit`, or if the run is asked to stop.
    pub(crate) fn block_on<T>(&self, load: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        block_on(self.limit, self.interruption.unless_asked(load))
    }
}
