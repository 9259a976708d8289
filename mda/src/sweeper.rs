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

/// Where sweeping has come to.
struct Round {
    /// The next mailboxes are those behind this one.
    after: MailboxId,
    /// More is over in mailboxes of this round than could go.
    is_more_left: bool,
}

impl Round {
    /// Notes what a sweep came to. Says how long to wait for the next.
    fn go_on(&mut self, next: Option<MailboxId>, has_more: bool) -> Duration {
        self.is_more_left |= has_more;
        let pause = if self.is_more_left { AGAIN } else { EVERY };
        self.after = next.unwrap_or(MailboxId(0));
        // All mailboxes have had their turn before the first has another.
        self.is_more_left &= next.is_some();
        pause
    }
}

/// Sweeps until the shutdown starts.
pub(crate) async fn run(store: LocalStore, metrics: Metrics, shutdown: &Shutdown) {
    let mut round = Round { after: MailboxId(0), is_more_left: false };
    let mut pause = EVERY;
    loop {
        tokio::select! {
            () = shutdown.started() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = EVERY;
        match store.sweep(Timestamp::now(), round.after, MAILBOXES).await {
            Ok(Swept { next, has_more, retired, ended }) => {
                pause = round.go_on(next, has_more);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_more_is_over_than_can_go_the_mailboxes_take_turns_soon() {
        let mut round = Round { after: MailboxId(0), is_more_left: false };
        let other = Some(MailboxId(7));
        assert_eq!((round.go_on(other, false), round.after), (EVERY, MailboxId(7)));
        assert_eq!((round.go_on(None, true), round.after), (AGAIN, MailboxId(0)));
        assert_eq!((round.go_on(other, true), round.after), (AGAIN, MailboxId(7)));
        assert_eq!((round.go_on(None, false), round.after), (AGAIN, MailboxId(0)));
        assert_eq!(round.go_on(other, false), EVERY);
        assert_eq!(round.go_on(None, false), EVERY);
    }
}
