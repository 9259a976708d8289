//! Steps of one client, each measured by itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::cases::{Bed, Extent};
use crate::cost::Meter;
use crate::load::{Answer, Imap};
use crate::report::Figures;

/// A client, and what its steps came to.
pub(crate) struct Steps<'a> {
    bed: &'a Bed<'a>,
    pub(super) imap: Imap,
    figures: Vec<Figures>,
}

/// How often a step is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Often {
    /// Once: it is not the same the second time.
    Once,
    /// As often as it can be in a second.
    Again,
    /// So many times, however long that takes: it changes what it is done to.
    Times(u64),
}

impl<'a> Steps<'a> {
    pub(crate) fn new(bed: &'a Bed<'a>, mut imap: Imap) -> Self {
        imap.expect_much();
        Self { bed, imap, figures: Vec::new() }
    }

    /// A step: so many of `what` are done by `action` each time.
    pub(crate) async fn step(
        &mut self,
        name: &str,
        often: Often,
        (count, what): (u64, &str),
        action: impl AsyncFn(&mut Imap) -> anyhow::Result<u64>,
    ) -> anyhow::Result<()> {
        let (least, lasting) = match (often, self.bed.extent) {
            (Often::Once, _) => (1, Duration::ZERO),
            (Often::Times(times), _) => (times, Duration::ZERO),
            (Often::Again, Extent::Quick) => (1, Duration::from_millis(100)),
            (Often::Again, Extent::Whole) => (1, Duration::from_secs(1)),
        };
        let (meter, began) = (Meter::start(self.bed.system), Instant::now());
        let (mut times, mut octets, mut latencies) = (0, 0, Vec::new());
        while times < least || began.elapsed() < lasting {
            let beginning = Instant::now();
            octets += action(&mut self.imap).await.context(name.to_owned())?;
            latencies.push(beginning.elapsed());
            times += 1;
        }
        let (took, cost) = (began.elapsed(), meter.stop());
        let mut figures = Figures::new(times * count, cost).step(name).rate(what, times * count, took);
        if octets > 0 {
            figures = figures.rate("octets", octets, took);
        }
        self.figures.push(figures.latency(&latencies));
        Ok(())
    }

    /// A command that is answered by a FETCH response for each of so many messages.
    pub(crate) async fn fetch(
        &mut self,
        name: &str,
        often: Often,
        messages: u64,
        command: &str,
    ) -> anyhow::Result<()> {
        self.step(name, often, (messages, "messages"), async |imap| {
            Ok(fetched(imap, command, messages).await?.octets)
        })
        .await
    }

    /// A search through so many messages, of which it has to find some.
    pub(crate) async fn search(
        &mut self,
        name: &str,
        often: Often,
        messages: u64,
        (criteria, expected): (&str, u64),
    ) -> anyhow::Result<()> {
        self.step(name, often, (messages, "messages"), async |imap| {
            let found = imap.search(criteria).await?;
            ensure!(found == expected, "SEARCH {criteria} found {found} messages, not {expected}");
            Ok(0)
        })
        .await
    }

    pub(crate) fn figures(self) -> Vec<Figures> {
        self.figures
    }
}

/// Gives a command that has to be answered by so many FETCH responses.
pub(crate) async fn fetched(imap: &mut Imap, command: &str, messages: u64) -> anyhow::Result<Answer> {
    let answer = imap.count(command, " FETCH (").await?;
    ensure!(answer.found == messages, "{command} told of {} messages, not {messages}", answer.found);
    Ok(answer)
}
