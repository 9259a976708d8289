//! Telling a client that waits long how far its command is (RFC 9585).

use std::time::Duration;

use tokio::time::Instant;

use crate::imap::response::Responses;

/// How often a client hears of a command that takes long (RFC 9585 §4).
const INTERVAL: Duration = Duration::from_secs(10);

/// How far a command is.
pub(super) struct Progress {
    /// None for one that cannot stand in a response code (RFC 9585 §4).
    tag: Option<String>,
    told: Instant,
    done: u64,
    goal: u64,
}

impl Progress {
    pub(super) fn begin(tag: &str, goal: u64) -> Self {
        let tag = (!tag.contains(']')).then(|| tag.to_owned());
        Self { tag, told: Instant::now(), done: 0, goal }
    }

    /// More is done. Says whether something was told, which should be sent at once.
    pub(super) fn add(&mut self, done: u64, responses: &mut Responses) -> bool {
        self.done += done;
        if self.told.elapsed() < INTERVAL {
            return false;
        }
        self.told = Instant::now();
        responses.raw("* OK [INPROGRESS (").nstring(self.tag.as_deref().map(str::as_bytes));
        responses.raw(" ").number(self.done).raw(" ");
        // The goal is above what is done; where there was more to do than was known it is not known any more.
        if self.done < self.goal {
            responses.number(self.goal);
        } else {
            responses.raw("NIL");
        }
        responses.raw(")] still at it").crlf();
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
        assert!(told[1].starts_with("* OK [INPROGRESS (\"a1\" 5300 NIL)] "), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_tag_that_would_end_the_code_is_not_told() {
        let mut responses = Responses::default();
        let mut progress = Progress::begin("a]1", 1_000);
        tokio::time::advance(INTERVAL).await;
        assert!(progress.add(1, &mut responses));
        let told = String::from_utf8(responses.take().into_bytes().to_vec()).unwrap();
        assert!(told.starts_with("* OK [INPROGRESS (NIL 1 1000)] "), "{told}");
    }
}
