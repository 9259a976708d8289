//! SIGTERM and SIGINT drain, SIGHUP reloads.

use std::{fmt, io, sync::Arc};

use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::{AnyError, Context, RUN_FAILED, notify};
use crate::drain::Shutdown;

type Callback = Box<dyn Fn() -> Result<(), AnyError> + Send>;

/// What is read again at SIGHUP. Clones are the same.
#[derive(Clone, Default)]
pub struct Reload(Arc<Mutex<Vec<(&'static str, Callback)>>>);

impl Reload {
    /// Calls `reload` at every SIGHUP, such as `reload.on("certificate", move || identity.reload())`. It runs on a
    /// thread that may block. After an error everything stays as it was, and the error is logged.
    pub fn on<E: Into<AnyError>>(
        &self,
        what: &'static str,
        reload: impl Fn() -> Result<(), E> + Send + 'static,
    ) {
        self.0.lock().push((what, Box::new(move || reload().map_err(Into::into))));
    }

    /// Calls everything once.
    pub fn run(&self) {
        for (what, callback) in &*self.0.lock() {
            match callback() {
                Ok(()) => info!(what, "reloaded"),
                Err(error) => error!(what, %error, "cannot reload; what was loaded stays in use"),
            }
        }
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.lock().iter().map(|(what, _)| what)).finish()
    }
}

/// Starts to act on signals.
pub(super) fn listen(context: &Context) -> io::Result<()> {
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    let hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(drain_on(terminate, interrupt, context.shutdown.clone()));
    tokio::spawn(reload_on(hang_up, context.reload.clone()));
    Ok(())
}

/// The first signal starts the drain, the second ends the process.
async fn drain_on(mut terminate: Signal, mut interrupt: Signal, shutdown: Shutdown) {
    wait_for_either(&mut terminate, &mut interrupt).await;
    info!("draining");
    notify(&sd_notify::NotifyState::Stopping);
    shutdown.start();
    wait_for_either(&mut terminate, &mut interrupt).await;
    warn!("ending at once");
    std::process::exit(RUN_FAILED.into());
}

async fn wait_for_either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn reload_on(mut hang_up: Signal, reload: Reload) {
    while hang_up.recv().await.is_some() {
        let reload = reload.clone();
        let done = tokio::task::spawn_blocking(move || reload.run()).await;
        if let Err(error) = done {
            error!(%error, "reloading failed");
        }
    }
}
