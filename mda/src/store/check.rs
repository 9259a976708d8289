//! Verifies that the rows, the journal and the bodies keep what `ARCHITECTURE.md` says of them.
//!
//! The store may serve meanwhile. What looks wrong may only have been on its way, so it is looked at once more while
//! nothing can change; only what is wrong then is reported.

mod accounts;
mod findings;
mod journal;
mod mailboxes;
mod messages;
mod notes;
mod replay;
mod totals;

use std::time::{Duration, Instant};

use findings::Findings;

use super::local::LocalStore;
use super::record::Marks;
use super::table::Table;
use super::{Result, StoreError, keys};

/// How far a check goes beyond the rows and the records of the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Reads every body, and all that the journal holds, against their checksums.
    pub bodies: bool,
    /// Makes all rows anew from the journal, in a folder beside them, and compares.
    pub rebuild: bool,
}

/// How far a check has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckProgress {
    /// What is being looked at.
    pub stage: &'static str,
    /// How many of them were.
    pub done: u64,
}

/// Hears how far a check has come; its error ends the check.
pub type CheckListener<'a> = &'a mut dyn FnMut(CheckProgress) -> Result<()>;

/// What a check looked at and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// What is wrong; at most the first 1,000.
    pub problems: Vec<String>,
    /// How much is wrong.
    pub found: u64,
    /// What could not be verified, because it changed all the time.
    pub unchecked: Vec<String>,
    /// Accounts looked at.
    pub accounts: u64,
    /// Mailboxes looked at.
    pub mailboxes: u64,
    /// Messages in them.
    pub messages: u64,
    /// Records of the journal that were read.
    pub records: u64,
    /// Bodies that were read to their end.
    pub bodies: u64,
    /// Their octets.
    pub octets: u64,
}

impl CheckReport {
    /// Nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.found == 0
    }
}

/// How often it is tried to look at something while nothing changes by chance.
const ATTEMPTS: u32 = 3;

/// How long changes may be held up to look at something while nothing changes for certain.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A check that is under way.
struct Check<'a> {
    store: &'a LocalStore,
    table: &'a Table,
    findings: Findings,
    report: CheckReport,
    tell: CheckListener<'a>,
}

impl LocalStore {
    /// Verifies every invariant. Takes time in proportion to the number of messages, with [`CheckOptions::bodies`] to
    /// all that is stored; call it on a thread that may block. The store goes on serving.
    pub fn check(&self, options: CheckOptions, tell: CheckListener<'_>) -> Result<CheckReport> {
        let mut check = Check {
            store: self,
            table: self.table(),
            findings: Findings::default(),
            report: CheckReport::default(),
            tell,
        };
        check.findings.add_all(self.lost_stretches());
        check.accounts()?;
        check.mailboxes()?;
        check.notes()?;
        check.totals()?;
        check.journal(options.bodies)?;
        if options.bodies {
            check.bodies()?;
        }
        if options.rebuild {
            check.replay()?;
        }
        let Check { findings, mut report, .. } = check;
        (report.problems, report.found) = findings.into_parts();
        Ok(report)
    }
}

impl Check<'_> {
    /// Looks at something; if it seems wrong, again until nothing has changed by chance, at last while nothing can. What
    /// takes too long for that is not verified. Gives what `look` counted.
    fn steadily<T>(&mut self, what: &str, look: impl Fn(&Table, &mut Findings) -> Result<T>) -> Result<T> {
        let mut attempts = 0;
        loop {
            let before = self.store.state().lock().commits();
            let began = Instant::now();
            let mut findings = Findings::default();
            let counted = look(self.table, &mut findings)?;
            if findings.is_empty() || self.store.state().lock().commits() == before {
                self.findings.append(&findings);
                return Ok(counted);
            }
            attempts += 1;
            if attempts < ATTEMPTS {
                continue;
            }
            if began.elapsed() > LONGEST_PAUSE {
                self.report.unchecked.push(format!("{what}: the store changed all the time"));
                return Ok(counted);
            }
            let _nothing_changes = self.store.state().lock();
            return look(self.table, &mut self.findings);
        }
    }

    fn tell(&mut self, stage: &'static str, done: u64) -> Result<()> {
        (self.tell)(CheckProgress { stage, done })
    }
}

/// The greatest numbers taken, as committed.
fn marks(table: &Table) -> Result<Marks> {
    Ok(table.get::<Marks>(keys::MARKS)?.map_or_else(Marks::default, |stored| stored.value))
}

/// Something wrong with a row is a finding; any other error ends the check.
fn found<T>(findings: &mut Findings, result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ StoreError::CorruptState { .. }) => {
            findings.add(error.to_string());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
