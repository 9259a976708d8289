//! SIGTERM and SIGINT drain, SIGHUP reloads.

use std::{fmt, io, path::Path, sync::Arc};

use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::{AnyError, Context, RUN_FAILED, notify};
use crate::{config, drain::Shutdown};

type Callback = Box<dyn Fn() -> Result<(), AnyError> + Send>;

/// What is read again at SIGHUP. Clones are the same.
#[derive(Clone, Default)]
pub struct Reload {
    callbacks: Arc<Mutex<Vec<(&'static str, Callback)>>>,
    /// Where the configuration was read from.
    file: Option<Arc<Path>>,
}

impl Reload {
    /// For a service whose configuration is in `file`.
    pub(super) fn of(file: &Path) -> Self {
        Self { file: Some(file.into()), ..Self::default() }
    }

    /// Calls `apply` at every SIGHUP with the configuration that the file and the environment make then; `program` is the
    /// service's name. What `apply` does not take from it stays as it was. Does nothing in a service that has no file.
    pub fn on_config<C, E>(
        &self,
        what: &'static str,
        program: &'static str,
        apply: impl Fn(C) -> Result<(), E> + Send + 'static,
    ) where
        C: Default + Serialize + DeserializeOwned,
        E: Into<AnyError>,
    {
        let Some(file) = self.file.clone() else { return };
        self.on(what, move || -> Result<(), AnyError> {
            apply(config::load(&file, program)?).map_err(Into::into)
        });
    }

    /// Calls `reload` at every SIGHUP, such as `reload.on("certificate", move || identity.reload())`. It runs on a
    /// thread that may block. After an error everything stays as it was, and the error is logged.
    pub fn on<E: Into<AnyError>>(
        &self,
        what: &'static str,
        reload: impl Fn() -> Result<(), E> + Send + 'static,
    ) {
        self.callbacks.lock().push((what, Box::new(move || reload().map_err(Into::into))));
    }

    /// Calls everything once.
    pub fn run(&self) {
        for (what, callback) in &*self.callbacks.lock() {
            match callback() {
                Ok(()) => info!(what, "reloaded"),
                Err(error) => error!(what, %error, "cannot reload; what was loaded stays in use"),
            }
        }
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.callbacks.lock().iter().map(|(what, _)| what)).finish()
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
