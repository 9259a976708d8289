//! Suspensions: places and accounts for which an operator has stopped attempts.

use std::sync::Arc;

use journal::Position;

use super::record;

/// The most suspensions in force: all of them stand in one record.
pub(crate) const MAX_SUSPENSIONS: usize = 1_000;
/// Octets that a scope's name or a reason may have.
pub(crate) const MAX_SUSPENSION_TEXT: usize = 400;

/// What a suspension covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// A site, by its name.
    Site(Arc<str>),
    /// A recipient domain, subdomains not included.
    Domain(Arc<str>),
    /// The mail that an account submitted.
    Account(Arc<str>),
}

/// Attempts are stopped until it is lifted; mail for it is still accepted, and its deadlines go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suspension {
    pub(crate) scope: Scope,
    /// Why, for those who find it later.
    pub(crate) reason: Arc<str>,
    /// Since when, in milliseconds since the epoch.
    pub(crate) since: u64,
}

/// All suspensions in force, as one record of the log says. The record with the highest revision holds; there is no
/// other state to put together, and nothing that an older record could bring back.
#[derive(Clone, Debug)]
pub(super) struct Suspensions {
    pub(super) revision: u64,
    pub(super) in_force: Arc<[Suspension]>,
    /// Where the record stands; `None` before there is one.
    pub(super) position: Option<Position>,
}

impl Default for Suspensions {
    fn default() -> Self {
        Self { revision: 0, in_force: Arc::new([]), position: None }
    }
}

impl Suspensions {
    /// The record that would hold after these, if no other comes before it.
    pub(super) fn next(&self, in_force: &[Suspension]) -> record::Suspensions {
        record::Suspensions {
            revision: self.revision + 1,
            in_force: in_force.iter().map(record::Suspension::new).collect(),
        }
    }

    /// Those in force with `suspension` in place of one with the same scope; `None` if that makes too many.
    pub(super) fn with(&self, suspension: Suspension) -> Option<Vec<Suspension>> {
        let mut all = self.without(&suspension.scope).unwrap_or_else(|| self.in_force.to_vec());
        all.push(suspension);
        (all.len() <= MAX_SUSPENSIONS).then_some(all)
    }

    /// Those in force without the one of `scope`; `None` if there is none.
    pub(super) fn without(&self, scope: &Scope) -> Option<Vec<Suspension>> {
        let others = self.in_force.iter().filter(|suspension| suspension.scope != *scope);
        let others: Vec<Suspension> = others.cloned().collect();
        (others.len() < self.in_force.len()).then_some(others)
    }
}
