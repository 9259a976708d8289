//! Bodies on their way into the store.

use bytes::Bytes;
use journal::BodyWriter;

use super::Result;

/// A body that is written in chunks as it arrives. Dropped before it is delivered or appended, it leaves nothing
/// behind.
#[derive(Debug)]
pub struct StagedBody {
    pub(super) writer: BodyWriter<()>,
}

impl StagedBody {
    /// Adds the next octets. Waits while too much of all bodies is on its way to the disk. After an error the body is
    /// spoilt.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        Ok(self.writer.write(chunk).await?)
    }

    /// Octets so far.
    pub fn octets(&self) -> u64 {
        self.writer.written()
    }
}
