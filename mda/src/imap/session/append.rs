//! APPEND and REPLACE (RFC 9051 §6.3.12, RFC 3502, RFC 3516, RFC 4469, RFC 8508): messages go to the store as they come.

mod body;
mod url;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use message::MessageId;

use super::copy::try_create;
use super::enable::Extension;
use super::store::parse_flags;
use super::{Done, Failure, Outcome, Session, bad};
use crate::imap::parse::{AppendHead, Event, Literal, Piece, Replaced, Then, Use, segment_behind};
use crate::imap::response::{Condition, uid_set};
use crate::imap::wire::Ended;
use crate::store::{
    AccountId, Append, Destination, Flags, MailStore, MailboxId, MailboxName, Placement, Right, Rights,
    StoreError, SystemFlag, Uid,
};

use body::Incoming;

/// Octets of a URL at most.
const URL: u64 = 8 * 1024;

/// Messages of one command at most.
const MESSAGES: usize = 1_000;
/// Octets of each that stay in memory until the last has come.
const HELD_OF_EACH: u64 = 64 * 1024;
/// Octets that stay in memory of all together.
const HELD: u64 = 16 << 20;
/// Of so many octets together the messages wait in memory whole, which spares the store work; those behind them go to
/// the disk as they come.
const IN_MEMORY: u64 = 4 << 20;

/// The messages of one command are no larger together than so many of the largest.
const TOGETHER: u64 = 20;

/// Where the messages go.
struct Target {
    account: AccountId,
    mailbox: MailboxName,
    /// Which mailbox had the name when the command began.
    id: Option<MailboxId>,
    /// What the user may do there.
    rights: Rights,
    /// What goes instead.
    replaces: Option<(MailboxId, Uid)>,
}

/// Messages that are complete, and the one that is coming.
#[derive(Default)]
struct Arriving {
    complete: Vec<Append>,
    current: Option<Current>,
    /// Octets of the complete ones that are in memory, at most.
    held: u64,
    /// Of all of them.
    octets: u64,
}

struct Current {
    flags: Flags,
    internal_date: Timestamp,
    /// None until its first octets come.
    body: Option<Incoming>,
}

impl<S: MailStore> Session<S> {
    /// Each literal is asked for only when what is known until then is right.
    pub(super) async fn append(&mut self, head: AppendHead, literal: Option<Literal>) -> Done {
        let done = self.receive_and_store(head, literal).await;
        if done.is_err() {
            self.wire.refuse_message();
        }
        done
    }

    async fn receive_and_store(&mut self, head: AppendHead, literal: Option<Literal>) -> Done {
        let AppendHead { mailbox, replaces, segment, .. } = head;
        let target = self.append_target(&mailbox, replaces.as_ref())?;
        let mut arriving = Arriving::default();
        let (mut segment, mut literal) = (segment, literal);
        loop {
            for piece in segment.pieces {
                self.take_piece(&target, &mut arriving, piece).await?;
            }
            match (segment.then, literal) {
                (Then::End, None) => break,
                (Then::Literal(usage), Some(announced)) => {
                    self.check_use(usage)?;
                    check_not_empty(usage, announced.size)?;
                    self.wire.accept_message();
                    if announced.synchronising {
                        self.wire.responses.continuation("go on");
                    }
                    let rest;
                    (rest, literal) = self.take_literal(&mut arriving, usage, announced.size).await?;
                    segment = segment_behind(usage, rest).map_err(|invalid| bad(invalid.to_string()))?;
                }
                (Then::Literal(_), None) => return Err(bad("the message as a literal was expected")),
                (Then::End, Some(_)) => return Err(bad("no literal was expected")),
            }
        }
        self.end_message(&target, &mut arriving).await?;
        let target = self.still_target(&target, &mailbox)?;
        self.store_all(target, arriving.complete).await
    }

    fn append_target(&self, name: &[u8], replaces: Option<&Replaced>) -> Result<Target, Failure> {
        let replaces = replaces.map(|replaced| self.replaced(replaced)).transpose()?;
        let Destination { account, mailbox, rights } = self.destination(name)?;
        let id = self.shared.store.mailbox(account, &mailbox)?.map(|mailbox| mailbox.id);
        Ok(Target { account, mailbox, id, rights, replaces })
    }

    /// The octets may have been long in coming: rights can have been taken back since, and the name can be another
    /// mailbox's.
    fn still_target(&self, before: &Target, name: &[u8]) -> Result<Target, Failure> {
        if before.replaces.is_some() {
            self.check_selected(Right::DeleteMessages)?;
            self.check_selected(Right::Expunge)?;
        }
        let now = self.append_target(name, None)?;
        if now.id != before.id {
            return Err(try_create(StoreError::NoSuchMailbox));
        }
        Ok(Target { replaces: before.replaces, ..now })
    }

    fn replaced(&self, replaced: &Replaced) -> Result<(MailboxId, Uid), Failure> {
        self.may_use("REPLACE")?;
        if !replaced.uid {
            self.check_may_name_numbers()?;
        }
        let mailbox = self.writable_view()?.mailbox;
        self.check_selected(Right::DeleteMessages)?;
        self.check_selected(Right::Expunge)?;
        let uids = self.resolve(&replaced.message, replaced.uid)?;
        let uid = uids.iter().next().ok_or(StoreError::Expunged)?;
        Ok((mailbox, uid))
    }

    async fn take_piece(
        &mut self,
        target: &Target,
        arriving: &mut Arriving,
        piece: Piece,
    ) -> Result<(), Failure> {
        match piece {
            Piece::Message { flags, internal_date } => {
                let another = arriving.current.is_some();
                if another {
                    self.may_use("MULTIAPPEND")?;
                    if target.replaces.is_some() {
                        return Err(bad("one message takes the place of one"));
                    }
                    self.end_message(target, arriving).await?;
                }
                if arriving.complete.len() == MESSAGES {
                    return Err(too_many());
                }
                let flags = parse_flags(&flags)?.allowed_by(target.rights);
                let internal_date = internal_date.unwrap_or_else(Timestamp::now);
                arriving.current = Some(Current { flags, internal_date, body: None });
                Ok(())
            }
            Piece::Url(url) => self.take_url(arriving, &url).await,
        }
    }

    fn check_use(&self, usage: Use) -> Result<(), Failure> {
        match usage {
            Use::Message => Ok(()),
            Use::Binary => self.may_use("BINARY"),
            Use::Text | Use::Url => self.may_use("CATENATE"),
            // RFC 6855 §4: not before it is enabled, which nobody can from whom it is hidden.
            Use::Utf8 if self.enabled.has(Extension::Utf8) => Ok(()),
            Use::Utf8 => Err(bad("UTF8=ACCEPT is not enabled")),
        }
    }

    fn may_use(&self, capability: &str) -> Result<(), Failure> {
        if self.offers(capability) { Ok(()) } else { Err(bad("unknown command")) }
    }

    /// Receives a literal; gives what stands behind it.
    async fn take_literal(
        &mut self,
        arriving: &mut Arriving,
        usage: Use,
        size: u64,
    ) -> Result<(Bytes, Option<Literal>), Failure> {
        if usage == Use::Url && size > URL {
            return Err(bad("the URL is too long"));
        }
        let mut url = BytesMut::new();
        loop {
            match self.wire.message_event().await? {
                Event::Chunk(chunk) if usage == Use::Url => url.extend_from_slice(&chunk),
                Event::Chunk(chunk) => self.take_octets(arriving, chunk, usage == Use::Binary).await?,
                Event::AppendMore(rest, literal) => {
                    if usage == Use::Url {
                        self.take_url(arriving, &url).await?;
                    }
                    return Ok((rest, literal));
                }
                Event::LiteralTooLarge { literal, .. } if literal.synchronising => return Err(too_big()),
                Event::LiteralTooLarge { .. } => {
                    return Err(Failure::Ended(Ended::Bye("[TOOBIG] the message is too large")));
                }
                Event::LineTooLong => {
                    return Err(Failure::Ended(Ended::Bye("the command is too long")));
                }
                _ => return Err(Failure::Ended(Ended::Bye("out of step"))),
            }
        }
    }

    async fn take_octets(&self, arriving: &mut Arriving, chunk: Bytes, binary: bool) -> Result<(), Failure> {
        let Some(current) = &mut arriving.current else { return Err(bad("no message was begun")) };
        let body = current.body.get_or_insert_with(|| Incoming::new(binary));
        // One literal was checked by the framer; here many come together.
        if body.size + chunk.len() as u64 > *self.shared.options.limits.message_size {
            return Err(too_big());
        }
        // Parts that are here already cost the client next to nothing.
        arriving.octets += chunk.len() as u64;
        if arriving.octets > self.shared.options.limits.message_size.saturating_mul(TOGETHER) {
            return Err(Failure::Refused(Outcome::no("LIMIT", "the messages are too large together")));
        }
        Ok(body.write(&self.shared.store, chunk).await?)
    }

    async fn end_message(&self, target: &Target, arriving: &mut Arriving) -> Result<(), Failure> {
        let Some(Current { flags, internal_date, body }) = arriving.current.take() else { return Ok(()) };
        let body = body.unwrap_or_else(|| Incoming::new(false));
        arriving.held += body.size.min(HELD_OF_EACH);
        if arriving.held > HELD {
            return Err(too_many());
        }
        let body = body.end(&self.shared.store, arriving.held > IN_MEMORY).await?;
        let (mailbox, message_id) = (target.mailbox.clone(), MessageId::new());
        arriving.complete.push(Append { mailbox, message_id, flags, internal_date, body });
        Ok(())
    }

    async fn store_all(&mut self, target: Target, mut messages: Vec<Append>) -> Done {
        let Target { account, mailbox, id: _, rights, replaces } = target;
        let is_others = self.account != Some(account);
        let mut seen = Vec::with_capacity(messages.len());
        for message in &mut messages {
            let flags = std::mem::replace(&mut message.flags, Flags::none()).allowed_by(rights);
            // In somebody else's mailbox that is the user's alone.
            seen.push(is_others && flags.has(SystemFlag::Seen));
            let left = if is_others { rights.without(Rights::default().with(Right::Seen)) } else { rights };
            message.flags = flags.allowed_by(left);
        }
        let store = &self.shared.store;
        let placed = match (messages.len(), messages.pop(), replaces) {
            (1, Some(message), Some((from, uid))) => {
                store.replace(account, message, from, uid).await.map(|placement| vec![placement])
            }
            (1, Some(message), None) => store.append(account, message).await.map(|placement| vec![placement]),
            (_, last, _) => {
                messages.extend(last);
                store.append_together(account, mailbox, messages).await
            }
        };
        let placed = placed.map_err(try_create)?;
        if let Some(first) = placed.first().filter(|_| is_others) {
            let seen = placed.iter().zip(seen).filter(|(_, seen)| *seen).map(|(placement, _)| placement.uid);
            self.keep_seen(first.mailbox, seen.collect()).await;
        }
        let code = append_uid(&placed).filter(|_| self.tells_uids(rights));
        if replaces.is_none() {
            let outcome = Outcome::ok("APPEND completed");
            return Ok(code.into_iter().fold(outcome, Outcome::with_code));
        }
        // RFC 8508 §4.3: untagged, before the EXPUNGE, which comes with the news.
        if let Some(code) = code {
            self.wire.responses.untagged(&Outcome::ok("the message is here").with_code(code));
        }
        self.expunged(Outcome::ok("REPLACE completed")).await
    }
}

fn append_uid(placements: &[Placement]) -> Option<String> {
    let uids = uid_set(&placements.iter().map(|placement| placement.uid).collect());
    placements.first().map(|first| format!("APPENDUID {} {uids}", first.uid_validity))
}

fn too_many() -> Failure {
    Failure::Refused(Outcome::no("LIMIT", "too many messages at once"))
}

/// RFC 3502 §6.3.11: a message without octets is how a client calls all of it off.
fn check_not_empty(usage: Use, size: u64) -> Result<(), Failure> {
    match usage {
        Use::Message | Use::Binary | Use::Utf8 if size == 0 => Err(Failure::Refused(Outcome {
            condition: Condition::No,
            code: None,
            text: "a message has octets".into(),
        })),
        _ => Ok(()),
    }
}

fn too_big() -> Failure {
    Failure::Refused(Outcome::no("TOOBIG", "the message is too large"))
}
