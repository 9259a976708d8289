//! Being asked to stop, by Ctrl-C or by SIGTERM: a run still stops what it has started, and removes what it has made.

use std::future::Future;
use std::process;
use std::thread;

use anyhow::{Context as _, bail, ensure};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// What work ends with that is given up.
const REASON: &str = "interrupted";

/// Whether a run was asked to stop, and the exit status that tells of it: 128 and the signal's number.
#[derive(Clone, Debug)]
pub(crate) struct Interruption(watch::Receiver<Option<u8>>);

impl Interruption {
    /// Awaits it from now on. To be asked a second time ends the program at once.
    pub(crate) fn watch() -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build().context("cannot wait for signals")?;
        let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()];
        let signals = [(listen(&runtime, interrupt)?, interrupt), (listen(&runtime, terminate)?, terminate)];
        let (asked, is_asked) = watch::channel(None);
        thread::spawn(move || runtime.block_on(pass_on(signals, &asked)));
        Ok(Self(is_asked))
    }

    /// What the program is to end with, once it was asked.
    pub(crate) fn status(&self) -> Option<u8> {
        *self.0.borrow()
    }

    /// Fails once it was asked.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.status().is_none(), REASON);
        Ok(())
    }

    /// Works, and gives that up when it is asked.
    pub(crate) async fn unless_asked<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let mut asked = self.0.clone();
        tokio::select! {
            biased;
            Ok(_) = asked.wait_for(Option::is_some) => bail!(REASON),
            ended = work => ended,
        }
    }
}

fn listen(runtime: &Runtime, kind: SignalKind) -> anyhow::Result<Signal> {
    let _within = runtime.enter();
    signal(kind).context("cannot wait for signals")
}

async fn pass_on([mut one, mut other]: [(Signal, SignalKind); 2], asked: &watch::Sender<Option<u8>>) {
    loop {
        let kind = tokio::select! {
            _ = one.0.recv() => one.1,
            _ = other.0.recv() => other.1,
        };
        let status = u8::try_from(128 + kind.as_raw_value()).unwrap_or(u8::MAX);
        if asked.send_replace(Some(status)).is_some() {
            eprintln!("bench: ended at once; what it has started may still run");
            process::exit(status.into());
        }
        eprintln!("bench: interrupted; it stops what it has started (once more ends it at once)");
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;
    use crate::load::block_on;

    #[test]
    fn work_is_given_up_when_the_run_is_asked_to_stop() {
        let (asked, is_asked) = watch::channel(None);
        let interruption = Interruption(is_asked);
        let limit = Duration::from_mins(1);
        assert_eq!(block_on(limit, interruption.unless_asked(ready(Ok(7)))).unwrap(), 7);
        assert!(interruption.check().is_ok());
        asked.send_replace(Some(130));
        let given_up = block_on::<()>(limit, interruption.unless_asked(pending()));
        assert_eq!(given_up.unwrap_err().root_cause().to_string(), REASON);
        assert!(interruption.check().is_err());
    }
}
