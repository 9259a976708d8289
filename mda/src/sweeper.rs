//! Ends in the background what is over: messages past their mailbox's retention, expunged ones past their time.

use std::time::Duration;

use jiff::Timestamp;
use service::drain::Shutdown;

use crate::metrics::Metrics;
use crate::store::{LocalStore, MailboxId, Swept};

/// How often some mailboxes are looked at.
const EVERY: Duration = Duration::from_mins(1);

/// How soon again, if there was more in them than could go: where much is expunged, as much has to go.
const AGAIN: Duration = Duration::from_secs(1);

/// How many: of a store with a million mailboxes each is looked at some times a day.
const MAILBOXES: usize = 5_000;

/// Sweeps until the shutdown starts.
pub(crate) async fn run(store: LocalStore, metrics: Metrics, shutdown: &Shutdown) {
    let (mut after, mut pause) = (MailboxId(0), EVERY);
    loop {
        tokio::select! {
            () = shutdown.started() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = EVERY;
        match store.sweep(Timestamp::now(), after, MAILBOXES).await {
            Ok(Swept { next, has_more, retired, ended }) => {
                if has_more {
                    pause = AGAIN;
                } else {
                    after = next.unwrap_or(MailboxId(0));
                }
                metrics.retired.inc_by(retired);
                metrics.ended.inc_by(ended);
                if retired + ended > 0 {
                    tracing::info!(
                        retired,
                        ended,
                        "messages were over: retired from mailboxes, or expunged for good"
                    );
                }
            }
            Err(error) => {
                tracing::warn!(%error, "looking for messages that are over broke off, the rest is left for later");
            }
        }
    }
}
