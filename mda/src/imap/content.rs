//! The octets of one message, read as far as they are needed.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use message::mime::Structure;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ahead::PIECE;
use crate::outline::Outline;
use crate::store::{EmailId, MailStore, StoreError};

/// A header longer than this is cut: no mail program writes one, and it must be held in memory.
const HEADER: u64 = 1 << 20;

/// What was read of a message. Of a large one that is never more than its header and a piece, save in [`Whole`].
pub(super) struct Content<S> {
    store: S,
    look_into: Arc<Semaphore>,
    email: EmailId,
    size: u64,
    /// None: nobody asks for what is in it.
    outline: Option<Outline>,
    /// The first octets of the message.
    prefix: Bytes,
    structure: Option<Structure>,
}

/// All octets of a message, counted against what all sessions together may hold while it lives.
pub(super) struct Whole {
    pub(super) octets: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S: MailStore> Content<S> {
    /// A message of which nothing but the outline was read.
    pub(super) fn new(
        store: S,
        look_into: Arc<Semaphore>,
        email: EmailId,
        size: u64,
        outline: Option<Outline>,
    ) -> Self {
        Self { store, look_into, email, size, outline, prefix: Bytes::new(), structure: None }
    }

    /// The same, of which the first octets were read: [`PIECE`] of them, or all.
    pub(super) fn beginning_with(self, prefix: Bytes) -> Self {
        Self { prefix, ..self }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Octets of the header with its blank line, of one that is too long as many as are shown.
    pub(super) fn header_length(&self) -> u64 {
        self.outline.as_ref().map_or(0, Outline::header_length).min(HEADER)
    }

    /// The first words of the message.
    pub(super) fn preview(&self) -> &str {
        self.outline.as_ref().map_or("", Outline::preview)
    }

    /// Reads the first piece, so that it is known that the message can be read.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.extend(PIECE).await
    }

    /// Reads the header.
    pub(super) async fn load_header(&mut self) -> Result<(), StoreError> {
        self.extend(self.header_length()).await
    }

    /// Reads the header if the outline has not the fields that mail programs list.
    pub(super) async fn load_fields(&mut self) -> Result<(), StoreError> {
        match self.outline.as_ref().and_then(Outline::fields) {
            Some(_) => Ok(()),
            None => self.load_header().await,
        }
    }

    /// A header block with the fields of the message that an outline knows, and perhaps more.
    pub(super) fn fields(&self) -> Bytes {
        self.outline.as_ref().and_then(Outline::fields).cloned().unwrap_or_else(|| self.header())
    }

    /// The header with its blank line, as far as it was read.
    pub(super) fn header(&self) -> Bytes {
        self.prefix.slice(..self.prefix.len().min(self.header_length() as usize))
    }

    /// Finds the structure: in the outline, or if it is too large for that in the message.
    pub(super) async fn load_structure(&mut self) -> Result<(), StoreError> {
        if let Some(structure) = self.outline.as_ref().and_then(Outline::structure) {
            self.structure = Some(structure);
            return Ok(());
        }
        let whole = self.whole().await?;
        let parse = tokio::task::spawn_blocking(move || Structure::parse(&whole.octets));
        let structure = parse.await.map_err(|error| StoreError::Io {
            what: "the structure of a message was not parsed".into(),
            reason: error.to_string(),
        })?;
        self.structure = Some(structure);
        Ok(())
    }

    /// The structure, if it was loaded.
    pub(super) fn structure(&self) -> Option<&Structure> {
        self.structure.as_ref()
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
