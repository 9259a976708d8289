//! Ends in the background what is over: messages past their mailbox's retention, expunged ones past their time.

use std::time::Duration;

use jiff::Timestamp;
use service::drain::Shutdown;

use crate::metrics::Metrics;
use crate::store::{LocalStore, MailboxId, Swept};

/// How often some mailboxes are looked at.
const EVERY: Duration = Duration::from_mins(1);

/// How soon the next are, if there was more in some of them than could go: where much is expunged, as much has to go.
const AGAIN: Duration = Duration::from_secs(1);

/// How many: of a store with a million mailboxes each is looked at some times a day.
const MAILBOXES: usize = 5_000;

/// Sweeps until the shutdown starts.
pub(crate) async fn run(store: LocalStore, metrics: Metrics, shutdown: &Shutdown) {
    let mut after = MailboxId(0);
    // In one of the mailboxes since the first.
    let mut is_more_left = false;
    let mut pause = EVERY;
    loop {
        tokio::select! {
            () = shutdown.started() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = EVERY;
        match store.sweep(Timestamp::now(), after, MAILBOXES).await {
            Ok(Swept { next, has_more, retired, ended }) => {
                is_more_left |= has_more;
                if is_more_left {
                    pause = AGAIN;
                }
                is_more_left &= next.is_some();
                after = next.unwrap_or(MailboxId(0));
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
