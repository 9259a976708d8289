//! What a scenario came to.

use std::fmt;
use std::io::ErrorKind;

use pipeline_tests::load::{self, Fate};
use pipeline_tests::{Failure, Verdict};
use serde::{Deserialize, Serialize};

/// What is counted in every scenario, and what else it has to tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Faults that were brought about.
    pub rounds: u64,
    /// Messages that got their 250.
    pub acknowledged: u64,
    /// Messages that were refused with a temporary error.
    pub refused_for_now: u64,
    /// Messages without an answer.
    pub unknown: u64,
    /// Copies that came, one for each recipient of a message.
    pub delivered: u64,
    /// Copies that came again and should not have.
    pub duplicated: u64,
    /// Copies of acknowledged messages that did not come.
    pub lost: u64,
    /// What else is worth knowing.
    pub figures: Vec<Figure>,
    /// What is wrong, in words. Empty if nothing is.
    pub wrong: Vec<String>,
}

/// Something that a scenario measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is.
    pub label: String,
    /// How much, with its unit.
    pub value: String,
}

impl Outcome {
    /// Counts what clients went through. For them a service that is away is a reason to come again: never to give up,
    /// and never to wait for ever.
    pub fn add_load(&mut self, clients: &load::Outcome) {
        for sent in &clients.sent {
            match &sent.fate {
                Fate::Acknowledged => self.acknowledged += 1,
                Fate::Refused(reply) => {
                    self.refused_for_now += u64::from(reply.starts_with('4'));
                    self.see_reply(reply);
                }
                Fate::Unknown(error) => {
                    self.unknown += 1;
                    self.see_loss(*error);
                }
            }
        }
        for failure in &clients.broken {
            match failure {
                Failure::Refused(reply) => self.see_reply(reply),
                Failure::Lost(error) => self.see_loss(error.kind()),
            }
        }
    }

    /// Counts what has come.
    pub fn add_verdict(&mut self, verdict: &Verdict) {
        self.delivered += verdict.delivered;
        self.duplicated += verdict.duplicated;
        self.lost += verdict.lost;
        self.wrong.extend_from_slice(verdict.wrong());
    }

    /// Adds what another trial of the same scenario came to; figures are the last one's.
    pub fn add(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.acknowledged += other.acknowledged;
        self.refused_for_now += other.refused_for_now;
        self.unknown += other.unknown;
        self.delivered += other.delivered;
        self.duplicated += other.duplicated;
        self.lost += other.lost;
        self.figures = other.figures;
        self.wrong.extend(other.wrong);
    }

    /// Adds a figure.
    pub fn figure(&mut self, label: impl Into<String>, value: impl fmt::Display) {
        self.figures.push(Figure { label: label.into(), value: value.to_string() });
    }

    /// Whether all is as it was promised.
    pub fn is_right(&self) -> bool {
        self.wrong.is_empty() && self.lost == 0 && self.duplicated == 0
    }

    fn see_reply(&mut self, reply: &str) {
        if !reply.starts_with('4') {
            self.wrong.push(format!("refused for good: {reply}"));
        }
    }

    fn see_loss(&mut self, error: ErrorKind) {
        if matches!(error, ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            self.wrong.push("no answer for far too long".to_owned());
        }
    }
}
