//! What goes into the log and what comes out of it.

use bytes::Bytes;

use crate::{body::BodyRef, error::Error, position::Position};

/// The most bytes a record's meta may have.
pub const MAX_META_BYTES: usize = 1 << 20;

/// A record to append. The journal knows nothing of what `kind` and `meta` mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The owner's tag.
    pub kind: u8,
    /// The small part that recovery reads and hands to the follower; at most [`MAX_META_BYTES`].
    pub meta: Bytes,
    /// The large part that recovery skips; at most [`Config::max_queued_bytes`](crate::Config::max_queued_bytes).
    /// Bodies that do not fit in memory go through a [`BodyWriter`](crate::BodyWriter).
    pub body: Bytes,
}

/// A record that stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub position: Position,
    /// Its number. Sequences strictly grow along the log; gaps are normal.
    pub sequence: u64,
    /// The owner's tag.
    pub kind: u8,
    /// The owner's small part.
    pub meta: Bytes,
    /// Where its body lies.
    pub body: BodyRef,
    /// The position this record was copied from by [`Journal::reclaim`](crate::Journal::reclaim), `None` for an
    /// original. The copy supersedes the record at that position: a follower whose state points there moves it
    /// to [`Entry::position`], and one whose state has gone on (the record was deleted or superseded in between)
    /// ignores the copy.
    pub copied_from: Option<Position>,
}

pub(crate) fn check_meta(meta: &[u8]) -> Result<(), Error> {
    if meta.len() > MAX_META_BYTES {
        let (bytes, limit) = (meta.len() as u64, MAX_META_BYTES as u64);
        return Err(Error::TooLarge { part: "meta", bytes, limit });
    }
    Ok(())
}
