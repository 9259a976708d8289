//! Telling a client that waits long how far its command is (RFC 9585).

use std::time::Duration;

use tokio::time::Instant;

use crate::imap::response::Responses;

/// How often a client hears of a command that takes long: RFC 9585 §4 wants it not too often, and before the client
/// takes the connection for dead.
const INTERVAL: Duration = Duration::from_secs(10);

/// How far a command is.
pub(super) struct Progress {
    tag: String,
    told: Instant,
    done: u64,
    goal: u64,
}

impl Progress {
    pub(super) fn begin(tag: &str, goal: u64) -> Self {
        Self { tag: tag.to_owned(), told: Instant::now(), done: 0, goal }
    }

    /// More is done. Says whether something was told, which should be sent at once.
    pub(super) fn add(&mut self, done: u64, responses: &mut Responses) -> bool {
        self.done += done;
        if self.told.elapsed() < INTERVAL {
            return false;
        }
        self.told = Instant::now();
        responses.raw("* OK [INPROGRESS (").string(self.tag.as_bytes()).raw(" ");
        responses.number(self.done.min(self.goal)).raw(" ").number(self.goal).raw(")] still at it").crlf();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_told_now_and_then() {
        let mut responses = Responses::default();
        let mut progress = Progress::begin("a1", 1_000);
        assert!(!progress.add(100, &mut responses));
        tokio::time::advance(INTERVAL).await;
        assert!(progress.add(100, &mut responses));
        assert!(!progress.add(100, &mut responses));
        tokio::time::advance(INTERVAL).await;
        assert!(progress.add(5_000, &mut responses));
        let told = String::from_utf8(responses.take().into_bytes().to_vec()).unwrap();
        let told: Vec<&str> = told.lines().collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("* OK [INPROGRESS (\"a1\" 200 1000)] "), "{told:?}");
        assert!(told[1].starts_with("* OK [INPROGRESS (\"a1\" 1000 1000)] "), "{told:?}");
    }
}
