//! A recipient as the index holds it, in 64 octets beside its address: there may be millions.

use std::sync::Arc;

use parking_lot::Mutex;
use proto::mail::DsnNotify;
use proto::mta::RecipientState;

use super::status::{Said, Status};
use super::steering::Steering;

/// A recipient.
#[derive(Debug)]
pub(super) struct Recipient {
    pub(super) address: Box<str>,
    /// When it is given up if it still waits, in milliseconds since the epoch.
    pub(super) deadline: u64,
    kept: Mutex<Kept>,
}

/// A [`Status`] in less space, and in the place that is left what else there is.
#[derive(Debug)]
struct Kept {
    next_attempt_at: u64,
    last: Option<Arc<Said>>,
    steering: Option<Box<Steering>>,
    attempts: u32,
    state: u8,
    delay_reported: bool,
    /// Never changes.
    notify: Notify,
}

/// The reports that were asked for (RFC 3461 §4.1), a bit for each [`DsnNotify`].
#[derive(Clone, Copy, Debug)]
struct Notify(u8);

impl Notify {
    fn new(asked: &[i32]) -> Self {
        let known = asked.iter().filter(|&&value| DsnNotify::try_from(value).is_ok());
        Self(known.fold(0, |bits, &value| bits | 1 << value))
    }

    fn has(self, notify: DsnNotify) -> bool {
        self.0 & 1 << notify as i32 != 0
    }
}

impl Recipient {
    /// `notify` are the reports that were asked for.
    pub(super) fn new(address: Box<str>, deadline: u64, notify: &[i32], status: Status) -> Self {
        let kept = Kept::new(status, Notify::new(notify));
        Self { address, deadline, kept: Mutex::new(kept) }
    }

    /// How far it has come.
    pub(super) fn status(&self) -> Status {
        self.kept.lock().status()
    }

    /// Takes over what is newer.
    pub(super) fn merge(&self, newer: Status) {
        let mut kept = self.kept.lock();
        let mut status = kept.status();
        status.merge(newer);
        *kept = Kept::new(status, kept.notify);
    }

    /// Whether nothing more will happen to it.
    pub(super) fn is_final(&self) -> bool {
        self.kept.lock().status().is_final()
    }

    /// Whether the sender asked for this report: in so many words, or by asking for nothing, which means failures and
    /// delays.
    pub(super) fn wants(&self, report: DsnNotify) -> bool {
        match self.kept.lock().notify {
            Notify(0) => matches!(report, DsnNotify::Failure | DsnNotify::Delay),
            notify => notify.has(report),
        }
    }
}

impl Kept {
    fn new(status: Status, notify: Notify) -> Self {
        let Status { state, attempts, next_attempt_at, last, delay_reported, steering } = status;
        // There are a dozen states.
        Self { next_attempt_at, last, steering, attempts, state: state as u8, delay_reported, notify }
    }

    fn status(&self) -> Status {
        Status {
            state: RecipientState::try_from(i32::from(self.state)).unwrap_or_default(),
            attempts: self.attempts,
            next_attempt_at: self.next_attempt_at,
            last: self.last.clone(),
            delay_reported: self.delay_reported,
            steering: self.steering.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_is_small() {
        assert!(size_of::<Recipient>() <= 64, "{}", size_of::<Recipient>());
    }

    #[test]
    fn every_status_comes_back_as_it_was() {
        for state in (0..=i32::from(u8::MAX)).filter_map(|number| RecipientState::try_from(number).ok()) {
            let status = Status { state, attempts: 7, next_attempt_at: 9, ..Status::default() };
            let status =
                Status { delay_reported: true, ..status.steered(true, Some("smart.test:25".into())) };
            assert_eq!(Recipient::new("a@b.test".into(), 1, &[], status.clone()).status(), status);
        }
        assert!(RecipientState::try_from(i32::from(u8::MAX)).is_err());
    }
}
