//! Whether this node takes mail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proto::mail::Reply;

use crate::reply::reply;

/// The way in. Closed while this node is emptied. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<State>);

#[derive(Debug, Default)]
struct State {
    closed: AtomicBool,
    /// Messages on their way into the spool.
    inside: AtomicUsize,
}

/// A message that is on its way into the spool.
#[derive(Debug)]
pub(super) struct Inside(Arc<State>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Gate {
    /// Refuses what comes from now on; says whether it did so before.
    pub(crate) fn close(&self) -> bool {
        self.0.closed.swap(true, Ordering::SeqCst)
    }

    /// Takes mail again.
    pub(crate) fn open(&self) {
        self.0.closed.store(false, Ordering::SeqCst);
    }

    /// Whether a message that comes now would be refused; an error is the reply.
    pub(crate) fn check(&self) -> Result<(), Reply> {
        if self.0.closed.load(Ordering::SeqCst) {
            return Err(reply(
                451,
                "4.3.2",
                "this server hands its mail to others and takes none, try again later",
            ));
        }
        Ok(())
    }

    /// Whether nothing is on its way in that came before the gate was closed.
    pub(crate) fn is_clear(&self) -> bool {
        self.0.inside.load(Ordering::SeqCst) == 0
    }

    /// Lets a message in.
    pub(super) fn enter(&self) -> Result<Inside, Reply> {
        // Counted first: whoever closes the gate and finds it clear has overlooked nobody.
        self.0.inside.fetch_add(1, Ordering::SeqCst);
        let inside = Inside(Arc::clone(&self.0));
        self.check().map(|()| inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_gate_lets_nobody_in_and_is_clear_once_those_inside_are_through() {
        let gate = Gate::default();
        let inside = gate.enter().unwrap();
        assert!(!gate.close() && gate.close());
        assert_eq!(gate.enter().unwrap_err().enhanced, "4.3.2");
        assert!(!gate.is_clear());
        drop(inside);
        assert!(gate.is_clear());
        gate.open();
        assert!(gate.enter().is_ok());
    }
}
