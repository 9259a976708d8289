//! What is done now and then, off everyone's way: giving disk space back.

use service::drain::Shutdown;
use tokio::task::spawn_blocking;

use crate::events::Events;
use crate::spool::JournalSpool;

/// Reclaims the space of messages that have left and of old events, until the shutdown starts.
pub(crate) async fn keep_house(spool: JournalSpool, events: Events, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(spool.reclaim_every()) => {}
            () = shutdown.started() => return,
        }
        let (spool, events) = (spool.clone(), events.clone());
        let done = spawn_blocking(move || {
            if let Err(error) = spool.reclaim() {
                tracing::error!(%error, "cannot reclaim the spool's disk space");
            }
            if let Err(error) = events.trim() {
                tracing::error!(%error, "cannot reclaim the events' disk space");
            }
        });
        if let Err(error) = done.await {
            tracing::error!(%error, "housekeeping failed");
        }
    }
}
