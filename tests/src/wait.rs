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
pub fn eventually_within<T>(patience: Duration, what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(patience, ask).unwrap_or_else(|| panic!("waited {} s for: {what}", patience.as_secs()))
}

/// Asks until there is an answer; `None` if there is none in that time.
pub fn within<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        let answer = ask();
        if answer.is_some() || Instant::now() >= end {
            return answer;
        }
        // Only how often to ask; nothing depends on its length.
        std::thread::sleep(Duration::from_millis(50));
    }
}
