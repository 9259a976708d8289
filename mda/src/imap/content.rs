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
/// A header longer than this is cut: no mail program writes one, and it must be held in memory.
const HEADER: usize = 1 << 20;
/// Messages above this size are parsed on a thread of their own.
const PARSE_INLINE: u64 = 32 * 1024;

pub(super) struct Content<S> {
    store: S,
    look_into: Arc<Semaphore>,
    email: EmailId,
    size: u64,
    /// The first octets of the message.
    prefix: Bytes,
    structure: Option<Arc<Structure>>,
    /// For what is held in memory, see [`super::Shared`].
    permit: Option<OwnedSemaphorePermit>,
}

impl<S: MailStore> Content<S> {
    pub(super) fn new(store: S, look_into: Arc<Semaphore>, row: &Row) -> Self {
        Self {
            store,
            look_into,
            email: row.email,
            size: row.size,
            prefix: Bytes::new(),
            structure: None,
            permit: None,
        }
    }

    /// Reads the first piece, so that it is known that the message can be read.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.extend(PIECE).await
    }

    /// The header with its blank line.
    pub(super) async fn load_header(&mut self) -> Result<(), StoreError> {
        let mut end = header::EndFinder::default();
        let mut searched = 0;
        loop {
            self.extend((searched as u64).saturating_add(PIECE)).await?;
            let found = end.push(&self.prefix[searched..]);
            let complete = self.prefix.len() as u64 >= self.size || self.prefix.len() >= HEADER;
            if found.is_some() || complete {
                return Ok(());
            }
            searched = self.prefix.len();
        }
    }

    /// The header, if it was loaded.
    pub(super) fn header(&self) -> Bytes {
        self.prefix.slice(..header::length(&self.prefix).min(HEADER))
    }

    /// Reads all of the message, and its structure. Waits while all sessions together hold too much.
    pub(super) async fn load_structure(&mut self) -> Result<(), StoreError> {
        if self.size > PIECE && self.permit.is_none() {
            let kibibytes = u32::try_from(self.size / 1024 + 1).unwrap_or(u32::MAX);
            let permits = kibibytes.min((super::LOOK_INTO / 1024) as u32);
            let permit = Arc::clone(&self.look_into).acquire_many_owned(permits).await;
            self.permit = permit.ok();
        }
        self.extend(self.size).await?;
        let octets = self.prefix.clone();
        let structure = if self.size <= PARSE_INLINE {
            Structure::parse(&octets)
        } else {
            let parse = tokio::task::spawn_blocking(move || Structure::parse(&octets));
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

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Octets of a message that was loaded with its structure.
    pub(super) fn slice(&self, range: Range<usize>) -> Bytes {
        let end = range.end.min(self.prefix.len());
        self.prefix.slice(range.start.min(end)..end)
    }

    /// The next piece of a range, at most so many octets as are read at once; empty at its end.
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
        if piece.is_empty() { Err(self.shortened()) } else { Ok(piece) }
    }

    /// Makes the prefix at least this long, or the whole message.
    async fn extend(&mut self, length: u64) -> Result<(), StoreError> {
        let length = length.min(self.size);
        let have = self.prefix.len() as u64;
        if have >= length {
            return Ok(());
        }
        if have == 0 && length <= PIECE {
            self.prefix = self.store.read(self.email, 0..length).await?;
        } else {
            let mut prefix = BytesMut::with_capacity(length as usize);
            prefix.extend_from_slice(&self.prefix);
            while (prefix.len() as u64) < length {
                let start = prefix.len() as u64;
                let piece = self.store.read(self.email, start..length.min(start + PIECE)).await?;
                if piece.is_empty() {
                    return Err(self.shortened());
                }
                prefix.extend_from_slice(&piece);
            }
            self.prefix = prefix.freeze();
        }
        if (self.prefix.len() as u64) < length { Err(self.shortened()) } else { Ok(()) }
    }

    /// The store gave fewer octets than the message's row says there are.
    fn shortened(&self) -> StoreError {
        StoreError::CorruptBody { email: self.email, reason: "it is shorter than its row says".into() }
    }
}
