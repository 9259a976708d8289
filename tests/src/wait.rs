//! Waiting for what another process does.

use std::time::{Duration, Instant};

/// How long anything may take before a scenario fails: generous, for machines that are busy with other tests.
const PATIENCE: Duration = Duration::from_secs(90);

/// Asks until there is an answer.
///
/// # Panics
/// If there is none for far too long; `what` says what was waited for.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, ask)
}

/// Like [`eventually`], for as long as the caller says.
///
/// # Panics
/// If there is no answer in that time.
pub fn eventually_within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {} s for: {what}", patience.as_secs());
        // Only how often to ask; nothing depends on its length.
        std::thread::sleep(Duration::from_millis(50));
    }
}
