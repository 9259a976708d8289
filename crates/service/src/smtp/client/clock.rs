//! Until when to wait for a server. Told the time, it only counts.

use smtp::client::Stage;
use tokio::time::Instant;

use super::Timeouts;

#[cfg(test)]
mod tests;

/// The deadlines of one connection.
pub(super) struct Clock {
    timeouts: Timeouts,
    /// Which reply is waited for, and until when: the stage, and the number of replies before it.
    awaited: Option<((Stage, u64), Instant)>,
    transaction: Instant,
    /// When the first octets of the message left, and how many have left since.
    body: Option<(Instant, u64)>,
}

impl Clock {
    pub(super) fn new(timeouts: Timeouts, now: Instant) -> Self {
        Self { timeouts, awaited: None, transaction: now, body: None }
    }

    pub(super) fn begin_transaction(&mut self, now: Instant) {
        self.awaited = None;
        self.transaction = now;
        self.body = None;
    }

    /// Until when a reply has to be there: the whole of it, and what it answers has to have left.
    pub(super) fn reply(&mut self, stage: Stage, replies: u64, now: Instant) -> Instant {
        let awaited = (stage, replies);
        match self.awaited {
            Some((same, deadline)) if same == awaited => deadline,
            _ => {
                let deadline = now + self.timeouts.of(stage);
                let deadline = match stage {
                    Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Body => self.limited(deadline),
                    // Giving up behind the end of the message is to send it twice.
                    _ => deadline,
                };
                self.awaited = Some((awaited, deadline));
                deadline
            }
        }
    }

    /// Until when so many more octets of the message have to leave.
    pub(super) fn block(&mut self, octets: usize, now: Instant) -> Instant {
        let (start, left) = *self.body.get_or_insert((now, 0));
        let deadline = start + self.timeouts.of_octets(left + octets as u64);
        self.limited(deadline.min(now + *self.timeouts.block))
    }

    /// So many octets of the message have left.
    pub(super) fn has_left(&mut self, octets: usize) {
        if let Some((_, left)) = &mut self.body {
            *left += octets as u64;
        }
    }

    fn limited(&self, deadline: Instant) -> Instant {
        deadline.min(self.transaction + *self.timeouts.message)
    }
}
