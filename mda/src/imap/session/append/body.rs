//! A message as it comes in.

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

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
            Some(lines) => lines.normalise(chunk),
            None => chunk,
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
        let held_back = self.lines.as_mut().map(LineEnds::end).unwrap_or_default();
        self.hold(store, held_back).await?;
        if away {
            self.stage(store).await?;
        }
        Ok(match self.held {
            Held::InMemory(octets) => BodySource::Bytes(octets.freeze()),
            Held::Staged(body) => BodySource::Staged(body),
        })
    }
}

/// Gives lines the ends that the store wants: a CR or LF alone becomes CRLF. Some clients append what they have on
/// disk.
#[derive(Debug, Default)]
struct LineEnds {
    /// The last octet was a CR, which is not given on yet.
    carriage_return: bool,
}

impl LineEnds {
    fn normalise(&mut self, chunk: Bytes) -> Bytes {
        if !self.carriage_return && is_normal(&chunk) {
            return chunk;
        }
        let mut normal = BytesMut::with_capacity(chunk.len() + chunk.len() / 16 + 2);
        for &octet in &chunk {
            if octet == b'\n' {
                normal.extend_from_slice(b"\r\n");
                self.carriage_return = false;
                continue;
            }
            if std::mem::replace(&mut self.carriage_return, octet == b'\r') {
                normal.extend_from_slice(b"\r\n");
            }
            if octet != b'\r' {
                normal.extend_from_slice(&[octet]);
            }
        }
        normal.freeze()
    }

    /// What was held back.
    fn end(&mut self) -> Bytes {
        let held_back = std::mem::take(&mut self.carriage_return);
        Bytes::from_static(if held_back { b"\r\n" } else { b"" })
    }
}

/// Every CR is before an LF, every LF behind a CR.
fn is_normal(chunk: &[u8]) -> bool {
    let mut before = 0;
    for &octet in chunk {
        if (before == b'\r') != (octet == b'\n') {
            return false;
        }
        before = octet;
    }
    before != b'\r'
}
