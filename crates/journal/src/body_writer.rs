//! Bodies that are written while they arrive.

use std::marker::PhantomData;

use bytes::Bytes;

use crate::{append::Append, error::Error};

/// A body on its way into the log, in pieces. Memory stays bounded whatever its size: pieces are written,
/// unsynced, as they come; the record that commits them lists where they lie, and one sync covers all.
///
/// A body of up to 64 KiB is kept back and written in one piece with its record. Dropping the writer without a
/// commit leaves garbage that reclaim drops.
#[derive(Debug)]
pub struct BodyWriter<T> {
    output: PhantomData<fn() -> T>,
}

impl<T: Send + 'static> BodyWriter<T> {
    /// Adds to the body. Waits while too many bytes of all writers are on their way to the file
    /// ([`Config::max_streaming_bytes`](crate::Config::max_streaming_bytes)), not for the disk.
    ///
    /// An error ends the body: every later call fails too.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        unimplemented!("{}", chunk.len())
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        unimplemented!()
    }

    /// Appends the record that makes the body real. Its place in the log is taken now.
    pub fn commit(self, kind: u8, meta: Bytes) -> Append<T> {
        unimplemented!("{kind} {}", meta.len())
    }
}
