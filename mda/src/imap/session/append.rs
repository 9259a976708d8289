//! APPEND (RFC 9051 §6.3.12): the message goes to the store as it comes.

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use message::MessageId;

use super::copy::try_create;
use super::store::parse_flags;
use super::{Done, Failure, Outcome, Session, bad};
use crate::imap::parse::{AppendHead, Event, Literal};
use crate::imap::wire::Ended;
use crate::store::{Append, BodySource, MailStore, MailboxName, StagedBody, StoreError};

/// Messages up to this size are held in memory until they are stored; larger ones are written as they come.
const IN_MEMORY: u64 = 64 * 1024;

impl<S: MailStore> Session<S> {
    /// The literal is asked for only when the message can be taken.
    pub(super) async fn append(&mut self, head: AppendHead, literal: Literal) -> Done {
        let (account, mailbox, flags) = match self.append_target(&head) {
            Ok(target) => target,
            Err(failure) => {
                self.wire.refuse_message();
                return Err(failure);
            }
        };
        self.wire.accept_message();
        if literal.synchronising {
            self.wire.responses.continuation("go on");
        }
        let body = match self.receive(literal.size).await {
            Ok(body) => body,
            Err(failure) => {
                self.wire.refuse_message();
                return Err(failure);
            }
        };
        let append = Append {
            mailbox,
            message_id: MessageId::new(),
            flags,
            internal_date: head.internal_date.unwrap_or_else(Timestamp::now),
            body,
        };
        let placement = self.shared.store.append(account, append).await.map_err(try_create)?;
        let code = format!("APPENDUID {} {}", placement.uid_validity, placement.uid);
        Ok(Outcome::ok("APPEND completed").with_code(code))
    }

    fn append_target(
        &self,
        head: &AppendHead,
    ) -> Result<(crate::store::AccountId, MailboxName, crate::store::Flags), Failure> {
        let account = self.account.ok_or_else(|| bad("log in first"))?;
        let mailbox = self.mailbox_name(&head.mailbox)?;
        let flags = parse_flags(&head.flags)?;
        match self.shared.store.mailbox(account, &mailbox)? {
            Some(_) => Ok((account, mailbox, flags)),
            None => Err(try_create(StoreError::NoSuchMailbox)),
        }
    }

    async fn receive(&mut self, size: u64) -> Result<BodySource, Failure> {
        let mut lines = LineEnds::default();
        let mut body = if size <= IN_MEMORY {
            Incoming::InMemory(BytesMut::new())
        } else {
            Incoming::Staged(self.shared.store.stage().await?)
        };
        loop {
            match self.wire.message_event().await? {
                Event::Chunk(chunk) => body.write(lines.normalise(chunk)).await?,
                Event::AppendEnd(true) => break,
                Event::AppendEnd(false) => return Err(bad("one message, and then the end of the command")),
                Event::LiteralTooLarge { .. } | Event::LineTooLong => {
                    return Err(Failure::Ended(Ended::Bye("the command is too long")));
                }
                _ => return Err(Failure::Ended(Ended::Bye("out of step"))),
            }
        }
        body.write(lines.end()).await?;
        Ok(match body {
            Incoming::InMemory(octets) => BodySource::Bytes(octets.freeze()),
            Incoming::Staged(body) => BodySource::Staged(body),
        })
    }
}

enum Incoming {
    InMemory(BytesMut),
    Staged(StagedBody),
}

impl Incoming {
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        match self {
            Self::InMemory(octets) => octets.extend_from_slice(&chunk),
            Self::Staged(body) if !chunk.is_empty() => body.write(chunk).await?,
            Self::Staged(_) => {}
        }
        Ok(())
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
