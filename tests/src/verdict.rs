//! What was sent, held against what has come.

use std::fmt;

/// The most that is told in words: if all is lost, nobody reads of each message.
const MOST_TOLD: usize = 20;

/// What has become of mail, counted in copies: a message for two people is two.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Copies that came as they should.
    pub delivered: u64,
    /// Copies that came again and should not have.
    pub duplicated: u64,
    /// Copies of acknowledged messages that did not come.
    pub lost: u64,
    /// Copies that came again as SMTP cannot prevent: the reply to the one before was cut off.
    pub repeated: u64,
    /// What is wrong, in words: the first of it.
    wrong: Vec<String>,
}

impl Verdict {
    /// Notes something that is not right.
    pub fn note(&mut self, wrong: impl fmt::Display) {
        if self.wrong.len() < MOST_TOLD {
            self.wrong.push(wrong.to_string());
        }
    }

    /// What is wrong, in words; if there is much of it, the first.
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    /// Notes that of the copies that must be there, and of those that may, so many are.
    pub(crate) fn count(&mut self, copies: u32, least: u32, most: u32, what: impl FnOnce() -> String) {
        self.delivered += u64::from(copies.min(most));
        self.lost += u64::from(least.saturating_sub(copies));
        self.duplicated += u64::from(copies.saturating_sub(most));
        if copies < least || copies > most {
            self.note(what());
        }
    }

    /// # Panics
    /// If anything is wrong.
    pub fn check(&self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }
}
