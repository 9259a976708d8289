//! COMPRESS=DEFLATE (RFC 4978), both directions.
//!
//! Each batch of responses is compressed by itself, with nothing from the batch before: so a session that waits holds
//! no compressor, which would be ten times the memory of all the rest of it. What a client sends is inflated no
//! further than there is room for, so that a small input which stands for a huge one meets the same limits as the
//! huge one itself.

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use parking_lot::Mutex;

/// Compressors that are kept for the next batch; more are made when more batches are written at once.
const KEPT: usize = 8;
/// Room made at once for what is compressed.
const ROOM: usize = 16 * 1024;

/// The compressors of all sessions.
#[derive(Debug, Default)]
pub(super) struct Deflaters {
    idle: Mutex<Vec<Compress>>,
}

impl Deflaters {
    /// Compresses a batch up to its last octet; it needs no batch before it.
    fn deflate(&self, batch: &[u8]) -> io::Result<Bytes> {
        let idle = self.idle.lock().pop();
        let mut compress = idle.unwrap_or_else(|| Compress::new(flate2::Compression::fast(), false));
        let mut compressed = Vec::with_capacity(batch.len() / 4 + 64);
        loop {
            let done = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
            let rest = batch.get(done..).unwrap_or_default();
            compress.compress_vec(rest, &mut compressed, FlushCompress::Sync).map_err(io::Error::other)?;
            let done = compress.total_in() == batch.len() as u64;
            if done && compressed.len() < compressed.capacity() {
                break;
            }
            compressed.reserve(ROOM);
        }
        compress.reset();
        let mut idle = self.idle.lock();
        if idle.len() < KEPT {
            idle.push(compress);
        }
        Ok(compressed.into())
    }
}

/// What a connection needs besides.
pub(super) struct Compression {
    deflaters: Arc<Deflaters>,
    inflate: Decompress,
    /// As it came, not yet inflated.
    pub(super) received: BytesMut,
}

impl Compression {
    pub(super) fn new(deflaters: Arc<Deflaters>) -> Self {
        Self { deflaters, inflate: Decompress::new(false), received: BytesMut::new() }
    }

    pub(super) fn deflate(&self, batch: &[u8]) -> io::Result<Bytes> {
        self.deflaters.deflate(batch)
    }

    /// Inflates what was received, up to `room` octets; gives how many there were. What does not fit waits.
    pub(super) fn inflate(&mut self, into: &mut BytesMut, room: usize) -> io::Result<usize> {
        let start = into.len();
        into.resize(start + room, 0);
        let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
        let space = into.get_mut(start..).unwrap_or_default();
        let status = self.inflate.decompress(&self.received, space, FlushDecompress::Sync);
        let inflated = (self.inflate.total_out() - given) as usize;
        self.received.advance((self.inflate.total_in() - taken) as usize);
        into.truncate(start + inflated);
        match status {
            // RFC 4978 knows no end of the compression.
            Ok(Status::StreamEnd) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the compression was ended"))
            }
            Ok(Status::Ok | Status::BufError) => Ok(inflated),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}
