//! Points before and behind the durable steps of the services, at which a test has a process die as by `kill -9`.
//!
//! Nothing is left of them unless the feature `enabled` is on. With it, a process dies at a point that a file tells it:
//! see [`FOLDER`].

#![forbid(unsafe_code)]

#[cfg(feature = "enabled")]
mod armed;

/// The variable that names a folder. A process that is called `waypost-mta` (for the kernel, in `/proc/self/comm`) looks
/// there, when it first comes to any point, for a file of that name. The file says at which point it is to die, and at which
/// time of coming there: `journal.sync.before 3`. It takes the file away, so that the next process of that name lives; it
/// leaves `waypost-mta.died` with its number, and of each point that it came to a file `waypost-mta.reached.POINT`.
pub const FOLDER: &str = "WAYPOST_FAILPOINTS";

macro_rules! points {
    ($($(#[$about:meta])* $point:ident = $name:literal,)*) => {
        /// A point.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[$about])* $point,)*
        }

        impl Point {
            /// All points.
            pub const ALL: &[Self] = &[$(Self::$point,)*];

            /// What it is called.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }
    };
}

points! {
    /// Records are about to be written.
    JournalWriteBefore = "journal.write.before",
    /// Records are written, or the write failed, and nothing is synced.
    JournalWriteAfter = "journal.write.after",
    /// What was written is about to be synced.
    JournalSyncBefore = "journal.sync.before",
    /// It is synced, and nobody knows.
    JournalSyncAfter = "journal.sync.after",
    /// A segment is about to be sealed.
    JournalSealBefore = "journal.seal.before",
    /// The seal is synced; what was reserved behind it is still there.
    JournalSealSynced = "journal.seal.synced",
    /// The segment is sealed, and there is no newer one.
    JournalSealAfter = "journal.seal.after",
    /// A segment is about to be made.
    JournalCreateBefore = "journal.create.before",
    /// Its file is synced, its name is not.
    JournalCreateNamed = "journal.create.named",
    /// The segment is there, and empty.
    JournalCreateAfter = "journal.create.after",
    /// What lives in a segment is about to be copied forward.
    JournalCopyBefore = "journal.copy.before",
    /// It is copied, and the segment still there.
    JournalCopyAfter = "journal.copy.after",
    /// A segment is about to be removed.
    JournalRemoveBefore = "journal.remove.before",
    /// Its name is gone, but for a power loss.
    JournalRemoveUnlinked = "journal.remove.unlinked",
    /// It is gone for good.
    JournalRemoveAfter = "journal.remove.after",
    /// A batch of changes is about to be seen in the rows.
    MdaApplyBefore = "mda.apply.before",
    /// It is seen, in memory.
    MdaApplyAfter = "mda.apply.after",
    /// Rows are about to go to sled.
    MdaRowsBefore = "mda.rows.before",
    /// sled has them, and has not flushed.
    MdaRowsGiven = "mda.rows.given",
    /// sled has flushed them.
    MdaRowsAfter = "mda.rows.after",
    /// All rows are about to be made durable, so that a segment may go.
    MdaCheckpointBefore = "mda.checkpoint.before",
    /// They are durable.
    MdaCheckpointAfter = "mda.checkpoint.after",
    /// A message is in the mailboxes, and the MTA does not know.
    MdaReceiptBefore = "mda.receipt.before",
    /// A message is about to go straight to the MDA while its sender waits.
    MtaStraightBefore = "mta.straight.before",
    /// The MDA has it for all recipients, and its sender does not know.
    MtaStraightAfter = "mta.straight.after",
    /// A message is about to be spooled.
    MtaSpoolBefore = "mta.spool.before",
    /// It is in the spool; its sender does not know, and it is not in line.
    MtaSpoolAfter = "mta.spool.after",
    /// A message from the spool is about to be handed to the MDA.
    MtaHandOverBefore = "mta.hand-over.before",
    /// The MDA has said what became of it, and that is not written.
    MtaHandOverAfter = "mta.hand-over.after",
    /// An attempt is about to begin, and to be recorded if it is not a message's first.
    MtaAttemptBefore = "mta.attempt.before",
    /// The spool knows of it, and the remote is not dialled.
    MtaAttemptRecorded = "mta.attempt.recorded",
    /// The remote has said what became of it, and that is not written.
    MtaAttemptMade = "mta.attempt.made",
    /// The result of an attempt is about to be written.
    MtaResultBefore = "mta.result.before",
    /// It is written, or refused, and nothing has followed from it.
    MtaResultAfter = "mta.result.after",
    /// A report and what it reports are about to be written.
    MtaReportBefore = "mta.report.before",
    /// They are written, and the report is not in line.
    MtaReportAfter = "mta.report.after",
    /// A message is whole and no MTA has it.
    MsaHandOverBefore = "msa.hand-over.before",
    /// An MTA has given its receipt, and the sender does not know.
    MsaHandOverAfter = "msa.hand-over.after",
}

/// The process comes to a point, and may not go on.
#[inline]
pub fn hit(point: Point) {
    #[cfg(feature = "enabled")]
    armed::hit(point);
    #[cfg(not(feature = "enabled"))]
    let _ = point;
}
