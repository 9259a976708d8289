//! Why a command failed, told in one line.

use std::error::Error;
use std::fmt;

/// A failure as the user reads it: `what failed: why (what to do)`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    what: String,
    why: String,
    advice: Option<String>,
}

impl Failure {
    /// `what` failed because of `why`.
    pub(crate) fn new(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { what: what.into(), why: why.to_string(), advice: None }
    }

    /// Adds what the user can do about it.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl fmt::Display for Failure {
    /// One line, whatever the cause's own text holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", one_line(&self.what), one_line(&self.why))?;
        match &self.advice {
            Some(advice) => write!(f, " ({})", one_line(advice)),
            None => Ok(()),
        }
    }
}

/// Turns an error of some library into a [`Failure`] that says what was being done.
pub(crate) trait Explain<T> {
    /// On an error: `what` failed, because of the error and all its sources.
    fn explain(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Error> Explain<T> for Result<T, E> {
    fn explain(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(what(), chain(&error)))
    }
}

/// An error with its sources, save those whose text the error already holds.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The text with every run of white space made one blank.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_with_its_advice() {
        let failure = Failure::new("cannot start msa", "first\n  second").advise("look there");
        assert_eq!(failure.to_string(), "cannot start msa: first second (look there)");
    }

    #[test]
    fn sources_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] Middle);
        #[derive(Debug, thiserror::Error)]
        #[error("middle: inner")]
        struct Middle(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("inner")]
        struct Inner;

        let failed: Result<(), _> = Err(Outer(Middle(Inner)));
        assert_eq!(
            failed.explain(|| "cannot do it".to_owned()),
            Err(Failure::new("cannot do it", "outer: middle: inner"))
        );
    }
}
