//! An append-only segment log: durable records with group commit, positioned reads, recovery and reclaim.

mod active;
mod append;
mod applier;
mod batch;
mod body;
mod body_writer;
mod committer;
mod config;
mod error;
#[cfg(test)]
mod faults;
mod file;
mod follower;
mod format;
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
pub use journal::Journal;
pub use liveness::Liveness;
pub use position::{Position, SegmentId};
pub use reclaim::{Candidate, Reclaimed, Verdict};
pub use record::{Entry, MAX_META_BYTES, Record};
pub use recovery::{Recovery, Stretch};
