//! What sessions came to, until it is reported (RFC 8460).

use std::path::PathBuf;
use std::time::SystemTime;

use parking_lot::Mutex;
use tls_policy::snapshot::{Loaded, Snapshot, SnapshotError};
use tls_policy::tls_rpt::{Day, Failure, Ledger, PolicyUsed};

/// The version of the file.
const VERSION: u32 = 1;

/// Counts results. What was counted since the last save is lost in a crash.
pub(super) struct Results {
    file: Snapshot,
    book: Mutex<Book>,
}

struct Book {
    ledger: Ledger,
    /// Something is not in the file yet.
    is_changed: bool,
}

impl Results {
    /// Reads what was counted before. Blocks. A damaged file is an empty one; that is logged.
    pub(super) fn open(path: PathBuf) -> Result<Self, SnapshotError> {
        let file = Snapshot::new(path, "tls-results", VERSION);
        let ledger = match file.load()? {
            Loaded::State(ledger) => ledger,
            Loaded::Nothing => Ledger::default(),
            Loaded::Damaged(reason) => {
                tracing::error!(path = %file.path().display(), reason, "the TLS results that were collected are lost");
                Ledger::default()
            }
        };
        Ok(Self { file, book: Mutex::new(Book { ledger, is_changed: false }) })
    }

    /// Counts one session.
    pub(super) fn record(&self, domain: &str, policy: &PolicyUsed, result: Result<(), Failure>) {
        let is_counted =
            self.change(|ledger| ledger.record(Day::of(SystemTime::now()), domain, policy, result));
        if !is_counted {
            tracing::debug!(
                domain,
                "a TLS result is not counted: there is no room for more domains or policies"
            );
        }
    }

    /// Looks at what was counted.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.book.lock().ledger)
    }

    /// Changes what was counted.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut book = self.book.lock();
        book.is_changed = true;
        change(&mut book.ledger)
    }

    /// Writes what was counted to the file, if it has changed. Blocks.
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
