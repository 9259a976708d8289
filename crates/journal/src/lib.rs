//! An append-only segment log: durable records with group commit, positioned reads, recovery and reclaim.

mod append;
mod body;
mod body_writer;
mod config;
mod error;
mod follower;
mod journal;
mod liveness;
mod position;
mod reclaim;
mod record;
mod recovery;

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
