//! A message as it comes in.

use bytes::{Bytes, BytesMut};
use message::line_ends::LineEnds;

use crate::store::{BodySource, MailStore, StagedBody, StoreError};

/// Messages up to this size are held in memory until they are stored; larger ones are written as they come.
const IN_MEMORY: usize = 64 * 1024;

/// A message as far as it has come.
pub(super) struct Incoming {
    held: Held,
    /// None: its octets stay as they are (RFC 3516 §4.4).
    lines: Option<LineEnds>,
    /// Octets received.
    pub(super) size: u64,
}

enum Held {
    InMemory(BytesMut),
    Staged(StagedBody),
}

impl Incoming {
    pub(super) fn new(binary: bool) -> Self {
        let lines = (!binary).then(LineEnds::default);
        Self { held: Held::InMemory(BytesMut::new()), lines, size: 0 }
    }

    pub(super) async fn write(&mut self, store: &impl MailStore, chunk: Bytes) -> Result<(), StoreError> {
        self.size += chunk.len() as u64;
        let chunk = match &mut self.lines {
            Some(lines) if !lines.leaves(&chunk) => {
                let mut normal = Vec::with_capacity(chunk.len() + chunk.len() / 16 + 2);
                lines.push(&chunk, &mut normal);
                normal.into()
            }
            _ => chunk,
        };
        self.hold(store, chunk).await
    }

    async fn hold(&mut self, store: &impl MailStore, chunk: Bytes) -> Result<(), StoreError> {
        match &mut self.held {
            Held::InMemory(octets) if octets.len() + chunk.len() <= IN_MEMORY => {
                octets.extend_from_slice(&chunk);
            }
            Held::InMemory(_) => {
                self.stage(store).await?;
                if let Held::Staged(body) = &mut self.held {
                    body.write(chunk).await?;
                }
            }
            Held::Staged(body) if !chunk.is_empty() => body.write(chunk).await?,
            Held::Staged(_) => {}
        }
        Ok(())
    }

    /// Lets go of what is in memory.
    async fn stage(&mut self, store: &impl MailStore) -> Result<(), StoreError> {
        if let Held::InMemory(octets) = &mut self.held {
            let mut body = store.stage().await?;
            let octets = octets.split().freeze();
            if !octets.is_empty() {
                body.write(octets).await?;
            }
            self.held = Held::Staged(body);
        }
        Ok(())
    }

    /// The whole message; `away` with it if it is not to stay in memory until those behind it have come.
    pub(super) async fn end(mut self, store: &impl MailStore, away: bool) -> Result<BodySource, StoreError> {
        let mut held_back = Vec::new();
        if let Some(lines) = &mut self.lines {
            lines.end(&mut held_back);
        }
        self.hold(store, held_back.into()).await?;
        if away {
            self.stage(store).await?;
        }
        Ok(match self.held {
            Held::InMemory(octets) => BodySource::Bytes(octets.freeze()),
            Held::Staged(body) => BodySource::Staged(body),
        })
    }
}
