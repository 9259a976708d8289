//! When the recipients of a message are given up.

/// When each recipient of a message is given up if it still waits, in milliseconds since the epoch. It is set when the
/// message is taken and never changes, whatever becomes of the time table, and on whichever node the message waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deadlines {
    /// All at the same time, as is the rule.
    All(u64),
    /// Each at a time of its own, in the envelope's order.
    Each(Vec<u64>),
}

impl Deadlines {
    /// In the envelope's order, as small as can be.
    pub(crate) fn new(each: Vec<u64>) -> Self {
        match each[..] {
            [first, ..] if each.iter().all(|at| *at == first) => Self::All(first),
            _ => Self::Each(each),
        }
    }

    /// The latest, and each in the envelope's order if they are not all the same.
    pub(super) fn into_parts(self) -> (u64, Vec<u64>) {
        match self {
            Self::All(at) => (at, Vec::new()),
            Self::Each(each) => (each.iter().copied().max().unwrap_or(0), each),
        }
    }
}
