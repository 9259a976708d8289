//! A message on its way into the store: in memory while it is small, then in the store's own staging.

use bytes::{Bytes, BytesMut};
use message::header;

use crate::store::{BodySource, MailStore, StagedBody, StoreError};

/// Octets that a message may take in memory. Nearly all messages are smaller.
const MAX_IN_MEMORY: usize = 256 * 1024;

/// A message that is being received, below the Return-Path that final delivery adds (RFC 5321 §4.4). Those that it had
/// before are dropped: exactly one tells where reports go.
pub(super) struct Body {
    place: Place,
    /// Octets that may still come.
    left: u64,
    octets: u64,
}

enum Place {
    Memory(BytesMut),
    Staged(StagedBody),
}

/// Why the message is not taken.
#[derive(Debug)]
pub(super) enum BodyError {
    /// No recipient can have it.
    Unwanted,
    TooLarge,
    Store(StoreError),
}

impl From<StoreError> for BodyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Body {
    /// Begins with our Return-Path. `expected` octets will come at once.
    pub(super) fn new(return_path: &str, max_octets: u64, expected: usize) -> Self {
        let field = format!("Return-Path: <{return_path}>\r\n");
        let mut memory = BytesMut::with_capacity(field.len() + expected.min(MAX_IN_MEMORY));
        memory.extend_from_slice(field.as_bytes());
        Self { octets: memory.len() as u64, place: Place::Memory(memory), left: max_octets }
    }

    /// Adds the next octets.
    pub(super) async fn push(&mut self, store: &impl MailStore, data: Bytes) -> Result<(), BodyError> {
        self.left = self.left.checked_sub(data.len() as u64).ok_or(BodyError::TooLarge)?;
        self.octets += data.len() as u64;
        match &mut self.place {
            Place::Memory(memory) if memory.len() + data.len() <= MAX_IN_MEMORY => {
                memory.extend_from_slice(&data);
            }
            Place::Memory(memory) => {
                let mut staged = store.stage().await?;
                // A header that goes on behind this is not searched to its end: none of a mail program is so large.
                memory.extend_from_slice(&data);
                staged.write(with_one_return_path(std::mem::take(memory))).await?;
                self.place = Place::Staged(staged);
            }
            Place::Staged(staged) => staged.write(data).await?,
        }
        Ok(())
    }

    /// Octets so far, the Return-Path included.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    pub(super) fn into_source(self) -> BodySource {
        match self.place {
            Place::Memory(memory) => BodySource::Bytes(with_one_return_path(memory)),
            Place::Staged(staged) => BodySource::Staged(staged),
        }
    }
}

/// A message, or its start, without the Return-Path fields behind the first, which is ours.
fn with_one_return_path(message: BytesMut) -> Bytes {
    let foreign = || header::fields(&message).skip(1).filter(|field| field.is("Return-Path"));
    if foreign().next().is_none() {
        return message.freeze();
    }
    let mut kept = BytesMut::with_capacity(message.len());
    let mut copied = 0;
    for field in foreign() {
        kept.extend_from_slice(&message[copied..field.offset]);
        copied = field.offset + field.raw.len();
    }
    kept.extend_from_slice(&message[copied..]);
    kept.freeze()
}
