//! An append-only segment log: durable records with group commit, positioned reads, recovery and reclaim.
//!
//! The log is the truth; the owner's state is what a [`Follower`] makes of it. An append goes this way:
//!
//! ```text
//! append() ─ queue ─▶ committer: one write, one fdatasync for all that waits ─▶ applier: follower, in order
//!    ▲                                                                              │
//!    └──────────────────────── the future resolves: durable and applied ◀───────────┘
//! ```
//!
//! # What holds
//! - A resolved append survives kill -9 and power loss. A record that was refused never appears.
//! - The log's order is the order of the `append` calls, and the follower sees it in that order.
//! - A segment ends in a seal before a newer one is made, so only the newest can have a torn tail. What cannot be
//!   read anywhere else, or before the last completed sync, is corruption and is reported, never cut off.
//! - A failed sync is never retried: the journal stops, and says so to every append until it is opened anew.
//! - What waits is bounded: records, bytes, bytes of streamed bodies, open files. At a bound there is a typed error
//!   ([`Error::Overloaded`], [`Error::DiskFull`]), or [`BodyWriter::write`] waits.
//! - The number of a segment is never used again, and a segment that is removed is not needed by any replay.
//!
//! ```
//! # fn main() -> Result<(), journal::Error> {
//! # let dir = tempfile::tempdir().expect("temporary directory");
//! use journal::{Config, Journal, Record};
//!
//! let (journal, recovery) = Journal::open(Config::new(dir.path()), ())?;
//! assert_eq!(recovery.replayed, 0);
//! let record = Record { kind: 1, meta: "envelope".into(), body: "Subject: hello\r\n\r\n".into() };
//! let appended = journal.append(record).wait()?; // or `.await`
//! assert_eq!(journal.read(&appended.body, 9..14)?, "hello");
//! # journal.close()
//! # }
//! ```
//!
//! # Where things are
//! The public types stand in `config`, `record`, `position`, `body`, `error`, `follower`, `liveness`, `append`,
//! `body_writer` and `journal`. Behind them: `queue` (what waits), `committer`, `gather`, `batch` and `active` (writing),
//! `applier` (following), `segments`, `file` and `read` (files), `format`, `scanner` and `blank` (bytes), `recover` and
//! `tail` (opening), `reclaim`, `held`, `space` and `lock`.

mod active;
mod append;
mod applier;
mod batch;
mod blank;
mod body;
mod body_writer;
mod committer;
mod config;
mod error;
#[cfg(any(test, feature = "faults"))]
#[doc(hidden)]
pub mod faults;
mod file;
mod follower;
mod format;
mod gather;
mod held;
mod journal;
mod liveness;
mod lock;
mod position;
mod queue;
mod read;
mod reclaim;
mod record;
mod recover;
mod recovery;
mod scanner;
mod segments;
mod space;
mod tail;
#[cfg(test)]
mod tests;

pub use append::{Append, Appended};
pub use body::{BodyRef, Extent};
pub use body_writer::BodyWriter;
pub use config::{Config, OnCorruption};
pub use error::Error;
pub use follower::{Follower, FollowerError};
pub use held::{Held, HeldSegment};
pub use journal::Journal;
pub use liveness::Liveness;
pub use position::{Position, SegmentId};
pub use reclaim::{Candidate, Reclaimed, Verdict};
pub use record::{Entry, MAX_META_BYTES, Record};
pub use recovery::{Recovery, Stretch};
