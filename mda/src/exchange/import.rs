//! Messages into mailboxes, as a delivery whose key is made of the message: one that was imported before adds nothing.

use std::collections::HashSet;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use message::MessageId;
use proto::mda::{ImportRequest, ImportResponse, ImportedMessage, import_request::Part};
use tokio::sync::mpsc;
use tonic::Status;

use super::flags_of;
use crate::status::status;
use crate::store::{
    self, BodySource, Delivery, DeliveryRecipient, Flags, MailStore, MailboxName, StagedBody, StoreError,
};

/// Octets of a message that are gathered in memory; the rest of a larger one goes to the disk as it comes.
const GATHERED: usize = 256 << 10;

/// Takes messages until there are no more, and answers each.
pub(crate) async fn import(
    store: &impl MailStore,
    max_message: u64,
    requests: impl Stream<Item = Result<ImportRequest, Status>>,
    answers: &mpsc::Sender<Result<ImportResponse, Status>>,
) -> Result<(), Status> {
    let mut requests = std::pin::pin!(requests);
    let first = requests.next().await.transpose()?.and_then(|request| request.part);
    let Some(Part::Into(into)) = first else {
        return Err(Status::invalid_argument("the first request does not say whose mail it is"));
    };
    let account = super::account(store, &into.account)?;
    tracing::info!(account = account.name, "an import begins");
    let mut import = Import { store, account, max_message, known: HashSet::new(), message: None };
    while let Some(request) = requests.next().await.transpose()? {
        let part = request.part.ok_or_else(|| Status::invalid_argument("a request without a part"))?;
        if let Some(answer) = import.take(part).await?
            && answers.send(Ok(answer)).await.is_err()
        {
            break;
        }
    }
    Ok(())
}

struct Import<'a, S> {
    store: &'a S,
    account: store::Account,
    max_message: u64,
    /// Mailboxes that are there.
    known: HashSet<MailboxName>,
    message: Option<Incoming>,
}

/// A message that is on its way.
struct Incoming {
    mailbox: MailboxName,
    flags: Flags,
    arrived: Timestamp,
    digest: Context,
    octets: u64,
    memory: BytesMut,
    staged: Option<StagedBody>,
    /// Why it cannot be imported: what follows of it is passed over.
    failure: Option<String>,
}

impl<S: MailStore> Import<'_, S> {
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
        let recipient = DeliveryRecipient {
            // No address: nobody delivers to it.
            address: format!("import {} {mailbox}", self.account.id),
            account: self.account.id,
            mailbox,
            flags,
        };
        let body = staged.map_or_else(|| BodySource::Bytes(memory.freeze()), BodySource::Staged);
        let delivery = Delivery {
            message_id: id_of(arrived, digest),
            internal_date: arrived,
            body,
            recipients: vec![recipient],
        };
        let receipt = self.store.deliver(delivery).await?.into_iter().next();
        Ok(receipt.ok_or(StoreError::NoSuchMailbox)??.duplicate)
    }

    async fn make(&mut self, mailbox: &MailboxName) -> store::Result<()> {
        if self.known.contains(mailbox) {
            return Ok(());
        }
        if self.store.mailbox(self.account.id, mailbox)?.is_none() {
            match self.store.create_mailbox(self.account.id, mailbox.clone(), None).await {
                Ok(_) | Err(StoreError::AlreadyExists) => {}
                Err(error) => return Err(error),
            }
        }
        self.known.insert(mailbox.clone());
        Ok(())
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
            arrived: arrived.unwrap_or_else(Timestamp::now),
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

/// The id of a message that came in no envelope: the same for the same octets that arrived at the same time.
fn id_of(arrived: Timestamp, digest: Context) -> MessageId {
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
