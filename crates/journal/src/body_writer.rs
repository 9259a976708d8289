//! Bodies that are written while they arrive.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::{
    append::Append,
    error::Error,
    format::MAX_EXTENTS,
    journal::Shared,
    queue::{Item, Limits, Outgoing, OutgoingBody, OutgoingChunk, Pieces},
    record::check_meta,
};

/// Pieces smaller than this are gathered before they are written.
const GATHERED: usize = 64 << 10;
/// The largest piece.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

/// A body on its way into the log, in pieces. Memory stays bounded whatever its size: pieces are written,
/// unsynced, as they come; the record that commits them lists where they lie, and one sync covers all.
///
/// A body that is short is kept back and written in one piece with its record. Dropping the writer without a
/// commit leaves garbage that reclaim drops. While it lives, the segments that it has written to stay.
#[derive(Debug)]
pub struct BodyWriter<T> {
    shared: Arc<Shared<T>>,
    pieces: Arc<Pieces>,
    gathered: BytesMut,
    chunks: usize,
    written: u64,
}

impl<T: Send + 'static> BodyWriter<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>) -> Self {
        let pieces = Pieces::new(&shared.segments);
        Self { shared, pieces, gathered: BytesMut::new(), chunks: 0, written: 0 }
    }

    /// Adds to the body. Waits while too many bytes of all writers are on their way to the file
    /// ([`Config::max_streaming_bytes`](crate::Config::max_streaming_bytes)), not for the disk.
    ///
    /// An error ends the body: every later call fails too.
    pub async fn write(&mut self, mut chunk: Bytes) -> Result<(), Error> {
        self.pieces.check()?;
        self.written += chunk.len() as u64;
        while !chunk.is_empty() {
            if self.gathered.is_empty() && chunk.len() >= GATHERED {
                let piece = chunk.split_to(chunk.len().min(CHUNK_BYTES));
                self.send(piece).await?;
                continue;
            }
            let more = chunk.split_to(chunk.len().min(GATHERED - self.gathered.len()));
            self.gathered.extend_from_slice(&more);
            if self.gathered.len() >= GATHERED {
                let piece = self.gathered.split().freeze();
                self.send(piece).await?;
            }
        }
        Ok(())
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Appends the record that makes the body real. Its place in the log is taken now.
    pub fn commit(self, kind: u8, meta: Bytes) -> Append<T> {
        let (completion, append) = Append::waiting();
        if let Err(error) = check_meta(&meta).and_then(|()| self.pieces.check()) {
            return Append::refused(error);
        }
        let mut items = Vec::with_capacity(2);
        let body = if self.chunks == 0 {
            OutgoingBody::inline(self.gathered.freeze())
        } else {
            if !self.gathered.is_empty() {
                items.push(Item::chunk(self.gathered.freeze(), &self.pieces, None));
            }
            OutgoingBody::Pieces(self.pieces)
        };
        items.push(Item::Entry(Outgoing {
            kind,
            meta,
            body,
            copied_from: None,
            completion: Some(completion),
        }));
        // The append learns of a refusal by its completion.
        let _ = self.shared.queue.push(items, Limits::All);
        append
    }

    async fn send(&mut self, piece: Bytes) -> Result<(), Error> {
        if self.chunks + 1 >= MAX_EXTENTS {
            let limit = (MAX_EXTENTS * GATHERED) as u64;
            let error = Error::TooLarge { part: "body", bytes: self.written, limit };
            self.pieces.fail(&error);
            return Err(error);
        }
        let streaming = Arc::clone(&self.shared.streaming);
        let permit = streaming.acquire_many_owned(piece.len() as u32).await.map_err(|_| Error::Closed)?;
        self.chunks += 1;
        self.shared.queue.push(vec![Item::chunk(piece, &self.pieces, Some(permit))], Limits::All)
    }
}

impl<T> Item<T> {
    pub(crate) fn chunk(
        bytes: Bytes,
        pieces: &Arc<Pieces>,
        permit: Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> Self {
        let crc = crc32c::crc32c(&bytes);
        Self::Chunk(OutgoingChunk { bytes, crc, pieces: Arc::clone(pieces), permit })
    }
}
