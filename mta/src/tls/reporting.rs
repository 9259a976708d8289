//! Results of sessions on their way into reports (RFC 8460).

use std::path::PathBuf;
use std::time::SystemTime;

use parking_lot::Mutex;
use tls_policy::snapshot::{Loaded, Snapshot, SnapshotError};
use tls_policy::tls_rpt::{Day, Failure, Ledger, PolicyUsed};

use super::TlsPolicies;
use super::decision::{Decision, Ended, Ends, Refusal, Watched};

/// The version of the file.
const VERSION: u32 = 1;

/// Collects results. What was counted since the last save is lost in a crash.
pub(super) struct Reporting {
    file: Snapshot,
    book: Mutex<Book>,
}

struct Book {
    ledger: Ledger,
    /// Something is not in the file yet.
    is_changed: bool,
}

impl TlsPolicies {
    /// Counts a connection, for the report to the recipient's domain. To be called once for each connection that came to
    /// speak of TLS or could have: also if its handshake failed and another one, in clear, takes its place; not for
    /// that other one.
    pub(crate) fn record(&self, decision: &Decision, ends: Ends, ended: &Ended<'_>) {
        let (Some(reporting), Some(domain)) = (&self.reporting, &decision.reported_to) else { return };
        for watched in &decision.watched {
            let result = watched.result(ended);
            let result = result.map_err(|failure| Watched::as_failure(&decision.host, ends, failure));
            reporting.record(domain, &watched.policy, result);
        }
    }

    /// Counts a host that was refused before it was connected to.
    pub(crate) fn record_refusal(&self, refusal: &Refusal, ends: Ends) {
        let (Some(reporting), Some(domain)) = (&self.reporting, &refusal.reported_to) else { return };
        for watched in &refusal.watched {
            if let Some(unmet) = watched.unmet.clone() {
                let failure = Watched::as_failure(&refusal.host, ends, unmet);
                reporting.record(domain, &watched.policy, Err(failure));
            }
        }
    }
}

impl Reporting {
    /// Reads what was collected before. Blocks. A damaged file is an empty one; that is logged.
    pub(super) fn open(path: PathBuf) -> Result<Self, SnapshotError> {
        let file = Snapshot::new(path, "tls-results", VERSION);
        let ledger = match file.load()? {
            Loaded::State(ledger) => ledger,
            Loaded::Nothing => Ledger::default(),
            Loaded::Damaged(reason) => {
                tracing::error!(path = %file.path().display(), reason, "collected TLS results are lost");
                Ledger::default()
            }
        };
        Ok(Self { file, book: Mutex::new(Book { ledger, is_changed: false }) })
    }

    fn record(&self, domain: &str, policy: &PolicyUsed, result: Result<(), Failure>) {
        let mut book = self.book.lock();
        book.is_changed = true;
        if !book.ledger.record(Day::of(SystemTime::now()), domain, policy, result) {
            tracing::debug!(
                domain,
                "a TLS result is not counted: there is no room for more domains or policies"
            );
        }
    }

    /// Looks at what was collected.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.book.lock().ledger)
    }

    /// Changes what was collected.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut book = self.book.lock();
        book.is_changed = true;
        change(&mut book.ledger)
    }

    /// Writes what was collected to the file, if it has changed. Blocks.
    pub(super) fn save(&self) -> std::io::Result<()> {
        let ledger = {
            let mut book = self.book.lock();
            if !std::mem::take(&mut book.is_changed) {
                return Ok(());
            }
            book.ledger.clone()
        };
        let saved = self.file.save(&ledger);
        if saved.is_err() {
            self.book.lock().is_changed = true;
        }
        saved
    }
}
