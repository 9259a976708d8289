//! The octets of one message, read as far as they are needed.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use message::header;
use message::mime::Structure;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::{EmailId, MailStore, Row, StoreError};

/// Octets that are read at once; a message up to this size takes one read.
const PIECE: u64 = 128 * 1024;
/// Octets in which most headers end.
const FIRST_OF_HEADER: u64 = 16 * 1024;
/// A header longer than this is cut: no mail program writes one, and it must be held in memory.
const HEADER: u64 = 1 << 20;
/// Messages above this size are parsed on a thread of their own.
const PARSE_INLINE: u64 = 32 * 1024;

/// What was read of a message. Of a large one that is never more than its header and a piece, save in [`Whole`].
pub(super) struct Content<S> {
    store: S,
    look_into: Arc<Semaphore>,
    email: EmailId,
    size: u64,
    /// The first octets of the message.
    prefix: Bytes,
    structure: Option<Arc<Structure>>,
}

/// All octets of a message, counted against what all sessions together may hold while it lives.
pub(super) struct Whole {
    pub(super) octets: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S: MailStore> Content<S> {
    pub(super) fn new(store: S, look_into: Arc<Semaphore>, row: &Row) -> Self {
        Self { store, look_into, email: row.email, size: row.size, prefix: Bytes::new(), structure: None }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Reads the first piece, so that it is known that the message can be read.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.extend(PIECE).await
    }

    /// Reads as far as the header goes.
    pub(super) async fn load_header(&mut self) -> Result<(), StoreError> {
        let mut end = header::EndFinder::default();
        let mut searched = 0;
        loop {
            self.extend((searched as u64 * 4).max(FIRST_OF_HEADER)).await?;
            let found = end.push(&self.prefix[searched..]);
            searched = self.prefix.len();
            if found.is_some() || searched as u64 >= self.size.min(HEADER) {
                return Ok(());
            }
        }
    }

    /// The header with its blank line, as far as it was loaded.
    pub(super) fn header(&self) -> Bytes {
        let length = header::length(&self.prefix).min(HEADER as usize);
        self.prefix.slice(..length)
    }

    /// Reads all of the message once, and keeps its header and structure.
    pub(super) async fn load_structure(&mut self) -> Result<(), StoreError> {
        let whole = self.whole().await?;
        self.prefix = if self.size <= PIECE {
            whole.octets.clone()
        } else {
            let header = header::length(&whole.octets).min(HEADER as usize);
            Bytes::copy_from_slice(&whole.octets[..header])
        };
        let structure = if self.size <= PARSE_INLINE {
            Structure::parse(&whole.octets)
        } else {
            let parse = tokio::task::spawn_blocking(move || Structure::parse(&whole.octets));
            parse.await.map_err(|error| StoreError::Io {
                what: "the structure of a message was not parsed".into(),
                reason: error.to_string(),
            })?
        };
        self.structure = Some(Arc::new(structure));
        Ok(())
    }

    /// The structure, if it was loaded.
    pub(super) fn structure(&self) -> Option<Arc<Structure>> {
        self.structure.clone()
    }

    /// All of the message in memory. Waits while all sessions together hold too much: let go of it before waiting for
    /// the client.
    pub(super) async fn whole(&self) -> Result<Whole, StoreError> {
        if self.prefix.len() as u64 == self.size {
            return Ok(Whole { octets: self.prefix.clone(), _permit: None });
        }
        let mut permit = None;
        if self.size > PIECE {
            let most = (super::LOOK_INTO / 1024) as u32;
            let kibibytes = u32::try_from(self.size / 1024 + 1).map_or(most, |kibibytes| kibibytes.min(most));
            // Never closed.
            permit = Arc::clone(&self.look_into).acquire_many_owned(kibibytes).await.ok();
        }
        Ok(Whole { octets: self.collect(0..self.size).await?, _permit: permit })
    }

    /// A header block somewhere within the message.
    pub(super) async fn block(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.collect(range.start..range.end.min(range.start.saturating_add(HEADER))).await
    }

    /// The beginning of a range: as many octets as are read at once, or what there is. Empty for an empty range only.
    pub(super) async fn piece(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let end = range.end.min(self.size);
        let have = self.prefix.len() as u64;
        if range.start >= end {
            return Ok(Bytes::new());
        }
        if range.start < have {
            return Ok(self.prefix.slice(range.start as usize..end.min(have) as usize));
        }
        let piece = self.store.read(self.email, range.start..end.min(range.start + PIECE)).await?;
        if piece.is_empty() {
            return Err(StoreError::CorruptBody {
                email: self.email,
                reason: "it is shorter than its row says".into(),
            });
        }
        Ok(piece)
    }

    /// Makes the prefix at least this long, or the whole message.
    async fn extend(&mut self, length: u64) -> Result<(), StoreError> {
        let length = length.min(self.size);
        if (self.prefix.len() as u64) < length {
            self.prefix = self.collect(0..length).await?;
        }
        Ok(())
    }

    /// All pieces of a range.
    async fn collect(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let end = range.end.min(self.size);
        let first = self.piece(range.start..end).await?;
        let mut at = range.start + first.len() as u64;
        if at >= end {
            return Ok(first);
        }
        let mut octets = BytesMut::with_capacity((end - range.start) as usize);
        octets.extend_from_slice(&first);
        while at < end {
            let piece = self.piece(at..end).await?;
            at += piece.len() as u64;
            octets.extend_from_slice(&piece);
        }
        Ok(octets.freeze())
    }
}
