//! When to stop, and when to stop waiting for that.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Ctrl-C, SIGTERM and a closed terminal: the first one stops the pipeline, the second one stops it at once.
#[derive(Debug)]
pub(super) struct Signals {
    /// The pipeline is to drain.
    pub(super) stop: CancellationToken,
    /// What has not drained yet is to be killed.
    pub(super) force: CancellationToken,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        let signals = Self { stop: CancellationToken::new(), force: CancellationToken::new() };
        let (stop, force) = (signals.stop.clone(), signals.force.clone());
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::task::spawn_local(async move {
            any(&mut interrupt, &mut terminate, &mut hangup).await;
            stop.cancel();
            any(&mut interrupt, &mut terminate, &mut hangup).await;
            force.cancel();
        });
        Ok(signals)
    }
}

async fn any(interrupt: &mut Signal, terminate: &mut Signal, hangup: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
