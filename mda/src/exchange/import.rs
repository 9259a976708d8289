//! Messages into mailboxes, as a delivery whose key is made of the message: one that was imported before adds nothing.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use message::MessageId;
use proto::mda::{ImportRequest, ImportResponse, ImportedMessage, import_request::Part};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Status;

use super::{PATIENCE, aside, flags_of};
use crate::status::status;
use crate::store::{
    self, BodySource, Delivery, DeliveryRecipient, Flags, MailStore, MailboxName, StagedBody, StoreError,
};

/// Octets of a message that are gathered in memory; the rest of a larger one goes to the disk as it comes.
const GATHERED: usize = 256 << 10;

/// Messages of a mailbox among which those are found that are equal. Equal ones behind them are taken for one.
const COMPARED: usize = 1 << 20;

/// How long it may take until the next message begins: whoever sends them may have a folder of a million files to look
/// through on a slow disk. A connection that is gone ends the stream by itself.
const PATIENCE_BETWEEN: Duration = Duration::from_hours(1);

/// Takes messages until there are no more, and answers each.
pub(crate) async fn import(
    store: &impl MailStore,
    max_message: u64,
    requests: impl Stream<Item = Result<ImportRequest, Status>>,
    answers: &mpsc::Sender<Result<ImportResponse, Status>>,
) -> Result<(), Status> {
    let mut requests = std::pin::pin!(requests);
    let Some(Part::Into(into)) = next(&mut requests, PATIENCE).await? else {
        return Err(Status::invalid_argument("the first request does not say whose mail it is"));
    };
    let account = aside(store, move |store| super::account(store, &into.account)).await;
    let account = account.map_err(|error| status(&error))??;
    tracing::info!(account = account.name, "an import begins");
    let mut import = Import { store, account, max_message, equals: Equals::default(), message: None };
    while let Some(part) = next(&mut requests, import.patience()).await? {
        if let Some(answer) = import.take(part).await?
            && answers.send_timeout(Ok(answer), PATIENCE).await.is_err()
        {
            break;
        }
    }
    Ok(())
}

async fn next(
    requests: &mut (impl Stream<Item = Result<ImportRequest, Status>> + Unpin),
    patience: Duration,
) -> Result<Option<Part>, Status> {
    let Ok(request) = timeout(patience, requests.next()).await else {
        return Err(Status::deadline_exceeded("nothing came for minutes"));
    };
    let Some(request) = request.transpose()? else { return Ok(None) };
    let part = request.part.ok_or_else(|| Status::invalid_argument("a request without a part"))?;
    Ok(Some(part))
}

struct Import<'a, S> {
    store: &'a S,
    account: store::Account,
    max_message: u64,
    equals: Equals,
    message: Option<Incoming>,
}

/// Tells equal messages of a mailbox apart, which all are mail: those that were copied within it, or got no date of their
/// own. An import that is done again gives them the same numbers.
#[derive(Default)]
struct Equals {
    mailbox: Option<MailboxName>,
    /// How many there were, by the end of their ids, which is made of what they hold.
    seen: HashMap<u64, u32>,
}

impl Equals {
    /// How many messages of this id there were before in the mailbox.
    fn number(&mut self, mailbox: &MailboxName, id: &MessageId) -> u32 {
        // Files are read mailbox by mailbox.
        if self.mailbox.as_ref() != Some(mailbox) {
            *self = Self { mailbox: Some(mailbox.clone()), seen: HashMap::new() };
        }
        let end = u128::from_be_bytes(*id.as_bytes()) as u64;
        if self.seen.len() >= COMPARED && !self.seen.contains_key(&end) {
            return 0;
        }
        let seen = self.seen.entry(end).or_insert(0);
        let number = *seen;
        *seen = seen.saturating_add(1);
        number
    }
}

/// A message that is on its way.
struct Incoming {
    mailbox: MailboxName,
    flags: Flags,
    arrived: Option<Timestamp>,
    digest: Context,
    octets: u64,
    memory: BytesMut,
    staged: Option<StagedBody>,
    /// Why it cannot be imported: what follows of it is passed over.
    failure: Option<String>,
}

impl<S: MailStore> Import<'_, S> {
    /// How long the next part may take.
    fn patience(&self) -> Duration {
        if self.message.is_some() { PATIENCE } else { PATIENCE_BETWEEN }
    }

    async fn take(&mut self, part: Part) -> Result<Option<ImportResponse>, Status> {
        match part {
            Part::Into(_) => Err(Status::invalid_argument("it was said before whose mail it is")),
            Part::Message(_) if self.message.is_some() => {
                Err(Status::invalid_argument("a message begins within another"))
            }
            Part::Message(message) => {
                self.message = Some(Incoming::new(&message));
                Ok(None)
            }
            Part::Data(data) => {
                let message = self.message.as_mut().ok_or_else(outside)?;
                message.add(self.store, data, self.max_message).await?;
                Ok(None)
            }
            Part::End(end) => {
                let message = self.message.take().ok_or_else(outside)?;
                if end.abandoned { Ok(None) } else { self.put(message).await.map(Some) }
            }
        }
    }

    async fn put(&mut self, message: Incoming) -> Result<ImportResponse, Status> {
        if let Some(failure) = message.failure {
            return Ok(ImportResponse { failure, duplicate: false });
        }
        match self.store_message(message).await {
            Ok(duplicate) => Ok(ImportResponse { failure: String::new(), duplicate }),
            // Another may fit, or lie in another mailbox.
            Err(
                error @ (StoreError::OverQuota { .. }
                | StoreError::OverLimit { .. }
                | StoreError::InvalidName(_)
                | StoreError::NoSuchMailbox),
            ) => Ok(ImportResponse { failure: error.to_string(), duplicate: false }),
            Err(error) => Err(status(&error)),
        }
    }

    /// `true` if it was imported before.
    async fn store_message(&mut self, message: Incoming) -> store::Result<bool> {
        let Incoming { mailbox, flags, arrived, digest, memory, staged, .. } = message;
        self.make(&mailbox).await?;
        let mut message_id = id_of(arrived, digest);
        let number = self.equals.number(&mailbox, &message_id);
        if number > 0 {
            message_id = message_id.derived(&number.to_be_bytes());
        }
        let recipient = DeliveryRecipient {
            // No address: nobody delivers to it.
            address: format!("import {} {mailbox}", self.account.id),
            account: self.account.id,
            mailbox,
            flags,
        };
        let body = staged.map_or_else(|| BodySource::Bytes(memory.freeze()), BodySource::Staged);
        let delivery = Delivery {
            message_id,
            internal_date: arrived.unwrap_or_else(Timestamp::now),
            body,
            recipients: vec![recipient],
        };
        let receipt = self.store.deliver(delivery).await?.into_iter().next();
        Ok(receipt.ok_or(StoreError::NoSuchMailbox)??.duplicate)
    }

    /// Makes the mailbox unless it is there, which is looked at for each message: it may be deleted meanwhile.
    async fn make(&self, mailbox: &MailboxName) -> store::Result<()> {
        let (account, name) = (self.account.id, mailbox.clone());
        if aside(self.store, move |store| store.mailbox(account, &name)).await??.is_some() {
            return Ok(());
        }
        match self.store.create_mailbox(account, mailbox.clone(), None).await {
            // Most mail programs show no others.
            Ok(_) => self.store.set_subscribed(account, mailbox.clone(), true).await,
            Err(StoreError::AlreadyExists) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Incoming {
    fn new(message: &ImportedMessage) -> Self {
        let name = MailboxName::parse(&message.mailbox);
        let failure = name.as_ref().err().map(|error| format!("mailbox `{}`: {error}", message.mailbox));
        let arrived = message.internal_date.and_then(|at| Timestamp::from_second(at.seconds).ok());
        Self {
            mailbox: name.unwrap_or_else(|_| MailboxName::inbox()),
            flags: flags_of(&message.flags),
            arrived,
            digest: Context::new(&SHA256),
            octets: 0,
            memory: BytesMut::new(),
            staged: None,
            failure,
        }
    }

    async fn add(&mut self, store: &impl MailStore, data: Bytes, max_message: u64) -> Result<(), Status> {
        self.octets += data.len() as u64;
        if self.octets > max_message {
            self.failure.get_or_insert_with(|| format!("it has more than {max_message} octets"));
        }
        if self.failure.is_some() {
            self.staged = None;
            self.memory.clear();
            return Ok(());
        }
        self.digest.update(&data);
        if let Some(staged) = &mut self.staged {
            return staged.write(data).await.map_err(|error| status(&error));
        }
        self.memory.extend_from_slice(&data);
        if self.memory.len() > GATHERED {
            let mut staged = store.stage().await.map_err(|error| status(&error))?;
            let gathered = std::mem::take(&mut self.memory).freeze();
            staged.write(gathered).await.map_err(|error| status(&error))?;
            self.staged = Some(staged);
        }
        Ok(())
    }
}

/// The id of a message that came in no envelope: the same for the same octets that arrived at the same time, or at no time
/// that is known.
fn id_of(arrived: Option<Timestamp>, digest: Context) -> MessageId {
    let arrived = arrived.unwrap_or(Timestamp::UNIX_EPOCH);
    let millis = u64::try_from(arrived.as_millisecond()).unwrap_or(0).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&millis[2..]);
    // What makes it one of version 7 (RFC 9562 §5.7).
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    let base = MessageId::from_bytes(bytes).unwrap_or_else(|_| MessageId::new());
    base.derived(digest.finish().as_ref())
}

fn outside() -> Status {
    Status::invalid_argument("octets or an end without a message")
}
