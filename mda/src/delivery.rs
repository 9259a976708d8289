//! `Delivery`: the MTA hands a message over, and gets a result for each recipient.

use std::{sync::Arc, time::Duration};

use failpoint::{Point, hit};
use proto::{
    mail::Reply,
    mda::{DeliverReceipt, DeliverRequest, Placement, RecipientResult, delivery_server::Delivery},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use self::{
    body::{Body, BodyError},
    envelope::Envelope,
};
use crate::{
    config::Limits,
    metrics::{DeliveryOutcome, Metrics},
    recipients::{Recipients, Resolution, ResolveError},
    status::{self, smtp},
    store::{
        self, Account, AccountId, DeliveryRecipient, Flags, MailStore, MailboxName, Receipt, StoreError,
    },
};

mod body;
mod envelope;
#[cfg(test)]
mod tests;

/// How long the next octets of a message may take to come.
const CHUNK_TIMEOUT: Duration = Duration::from_mins(1);

/// Delivers messages into the store.
pub(crate) struct DeliveryService<S> {
    store: S,
    recipients: Recipients<S>,
    /// The detail of a subaddress names the folder that its mail goes to.
    detail_folders: bool,
    metrics: Metrics,
    max_message: u64,
    max_recipients: usize,
    slots: Arc<Semaphore>,
}

impl<S: MailStore> DeliveryService<S> {
    pub(crate) fn new(store: S, recipients: Recipients<S>, limits: &Limits, metrics: Metrics) -> Self {
        Self {
            store,
            recipients,
            detail_folders: false,
            metrics,
            max_message: *limits.message_size,
            max_recipients: limits.recipients,
            slots: Arc::new(Semaphore::new(limits.deliveries)),
        }
    }

    /// Puts mail to `user+folder` into that folder, where the user has one.
    pub(crate) fn into_detail_folders(self, detail_folders: bool) -> Self {
        Self { detail_folders, ..self }
    }

    async fn receive(
        &self,
        mut requests: impl Stream<Item = Result<DeliverRequest, Status>> + Send + Unpin,
    ) -> Result<DeliverReceipt, Status> {
        let first = next(&mut requests).await?.ok_or_else(|| Status::invalid_argument("no envelope came"))?;
        let envelope =
            first.envelope.ok_or_else(|| Status::invalid_argument("the first request has no envelope"))?;
        let envelope = Envelope::parse(envelope, self.max_recipients)?;
        let mut outcomes = self.resolve(&envelope);

        let mut body = Body::new(&envelope.return_path, self.max_message, first.data.len());
        // What nobody will get is still read, so that the receipt does not cross with it on its way.
        let mut received = if outcomes.iter().any(Outcome::is_pending) {
            body.push(&self.store, first.data).await
        } else {
            Err(BodyError::Unwanted)
        };
        let mut unused = 0;
        while let Some(request) = next(&mut requests).await? {
            if request.envelope.is_some() {
                return Err(Status::invalid_argument("only the first request may have an envelope"));
            }
            if received.is_ok() {
                received = body.push(&self.store, request.data).await;
            } else {
                unused += request.data.len() as u64;
                if unused > self.max_message {
                    return Err(Status::out_of_range("the message does not end"));
                }
            }
        }
        // hyper takes RST_STREAM(CANCEL) for the end of a request, and drops the handler of a cancelled call only when it
        // waits. So it waits once, or half a message would be stored for a whole one.
        tokio::task::yield_now().await;
        match received {
            Err(BodyError::Unwanted) => {}
            Ok(()) => self.commit(&envelope, body, &mut outcomes).await,
            Err(BodyError::TooLarge) => {
                let text = format!("the message is larger than {} octets", self.max_message);
                fail_all(&mut outcomes, &smtp(552, "5.3.4", &text));
            }
            Err(BodyError::Store(error)) => self.store_failed(&error, &mut outcomes),
        }
        hit(Point::MdaReceiptBefore);
        Ok(self.receipt(&envelope, outcomes))
    }

    /// What is known of each recipient before the message came.
    fn resolve(&self, envelope: &Envelope) -> Vec<Outcome> {
        envelope.recipients.iter().map(|path| self.resolve_one(path)).collect()
    }

    fn resolve_one(&self, path: &str) -> Outcome {
        match self.recipients.resolve(path) {
            Ok(Resolution::Mailbox { account, key, detail }) => {
                let mailbox = self.folder(account.id, detail.as_deref());
                Outcome::Pending { account, key, mailbox }
            }
            // Made while the message was on its way: the MTA looks again, and finds whose mail it is.
            Ok(Resolution::Alias(_)) => {
                Outcome::Failed(smtp(451, "4.3.0", "the address has become an alias: resolve it again"))
            }
            Ok(Resolution::UnknownUser) => Outcome::Failed(status::unknown_user()),
            Ok(Resolution::Remote) => Outcome::Failed(smtp(550, "5.1.2", "not a domain of this mail store")),
            Err(ResolveError::Address(error)) => Outcome::Failed(smtp(553, "5.1.3", &error.to_string())),
            Err(ResolveError::Store(error)) => Outcome::Failed(self.failure(&error)),
        }
    }

    /// Where an account's mail with this detail goes. Never nowhere: INBOX is always there.
    fn folder(&self, account: AccountId, detail: Option<&str>) -> MailboxName {
        let named = detail.filter(|_| self.detail_folders).and_then(|detail| MailboxName::parse(detail).ok());
        let is_there = |name: &MailboxName| matches!(self.store.mailbox(account, name), Ok(Some(_)));
        named.filter(is_there).unwrap_or_else(MailboxName::inbox)
    }

    /// Stores the message for all recipients that can have it.
    async fn commit(&self, envelope: &Envelope, body: Body, outcomes: &mut [Outcome]) {
        let recipients = distinct(outcomes);
        if recipients.is_empty() {
            return;
        }
        let octets = body.octets();
        let keys: Vec<String> = recipients.iter().map(|recipient| recipient.address.clone()).collect();
        let delivery = store::Delivery {
            message_id: envelope.message_id,
            // The time of final delivery, not of submission (RFC 9051 §2.3.3).
            internal_date: jiff::Timestamp::now(),
            body: body.into_source(),
            recipients,
        };
        match self.store.deliver(delivery).await {
            Ok(results) => {
                if results.iter().any(|result| matches!(result, Ok(receipt) if !receipt.duplicate)) {
                    self.metrics.delivered_octets.inc_by(octets);
                }
                for (key, result) in keys.iter().zip(results) {
                    self.settle(outcomes, key, result);
                }
            }
            Err(error) => self.store_failed(&error, outcomes),
        }
    }

    /// Notes what became of the recipients of this key: usually one, more if the envelope spells it in several ways.
    fn settle(&self, outcomes: &mut [Outcome], key: &str, result: store::Result<Receipt>) {
        let result = result.map_err(|error| self.failure(&error));
        let mut again = false;
        for outcome in outcomes {
            let Outcome::Pending { account, key: pending, .. } = &*outcome else { continue };
            if pending != key {
                continue;
            }
            *outcome = match &result {
                Ok(receipt) => {
                    let duplicate = receipt.duplicate || again;
                    Outcome::Stored {
                        account: account.name.clone(),
                        receipt: Receipt { duplicate, ..receipt.clone() },
                    }
                }
                Err(reply) => Outcome::Failed(reply.clone()),
            };
            again = true;
        }
    }

    fn store_failed(&self, error: &StoreError, outcomes: &mut [Outcome]) {
        let reply = self.failure(error);
        fail_all(outcomes, &reply);
    }

    fn failure(&self, error: &StoreError) -> Reply {
        if !matches!(error, StoreError::NoSuchAccount | StoreError::OverQuota { .. }) {
            self.metrics.store_errors.inc();
            tracing::error!(%error, "cannot store a message");
        }
        status::reply(error)
    }

    /// Tells, counts and logs what became of each recipient.
    fn receipt(&self, envelope: &Envelope, outcomes: Vec<Outcome>) -> DeliverReceipt {
        let results = envelope.recipients.iter().zip(outcomes).map(|(recipient, outcome)| {
            let result = outcome.into_result(recipient.clone());
            self.note(envelope, &result);
            result
        });
        DeliverReceipt { results: results.collect() }
    }

    fn note(&self, envelope: &Envelope, result: &RecipientResult) {
        let reply = result.reply.clone().unwrap_or_default();
        let (id, from, to) = (&envelope.message_id, &envelope.return_path, &result.recipient);
        if let Some(placement) = &result.placement {
            self.metrics.delivery(if result.duplicate {
                DeliveryOutcome::Duplicate
            } else {
                DeliveryOutcome::Delivered
            });
            let Placement { account, mailbox, uid, .. } = placement;
            let duplicate = result.duplicate;
            tracing::info!(message_id = %id, from, to, account, mailbox, uid, duplicate, "delivered");
        } else {
            self.metrics.delivery(if reply.code >= 500 {
                DeliveryOutcome::Refused
            } else {
                DeliveryOutcome::Deferred
            });
            let Reply { code, enhanced, text } = reply;
            tracing::info!(message_id = %id, from, to, code, enhanced, text, "not delivered");
        }
    }

    fn slot(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_| Status::resource_exhausted("too many deliveries at the same time, try again later"))
    }
}

#[tonic::async_trait]
impl<S: MailStore> Delivery for DeliveryService<S> {
    async fn deliver(
        &self,
        request: Request<Streaming<DeliverRequest>>,
    ) -> Result<Response<DeliverReceipt>, Status> {
        let _slot = self.slot()?;
        let _open = Open::new(&self.metrics);
        self.receive(request.into_inner()).await.map(Response::new)
    }
}

/// What became of a recipient.
enum Outcome {
    /// The message is to be stored for this account.
    Pending {
        account: Account,
        key: String,
        mailbox: MailboxName,
    },
    Stored {
        account: String,
        receipt: Receipt,
    },
    Failed(Reply),
}

impl Outcome {
    fn is_pending(&self) -> bool {
        matches!(self, Self::Pending { .. })
    }

    fn into_result(self, recipient: String) -> RecipientResult {
        match self {
            Self::Stored { account, receipt } => RecipientResult {
                recipient,
                reply: Some(smtp(250, "2.0.0", "delivered")),
                placement: Some(Placement {
                    account,
                    mailbox: receipt.placement.mailbox_name.to_string(),
                    uid_validity: receipt.placement.uid_validity,
                    uid: receipt.placement.uid,
                }),
                duplicate: receipt.duplicate,
            },
            Self::Failed(reply) => {
                RecipientResult { recipient, reply: Some(reply), placement: None, duplicate: false }
            }
            // The store answered for fewer recipients than it was given.
            Self::Pending { .. } => {
                Self::Failed(smtp(451, "4.3.0", "the mail store gave no answer")).into_result(recipient)
            }
        }
    }
}

/// The recipients to deliver to, each key once: it is half of the idempotency key.
fn distinct(outcomes: &[Outcome]) -> Vec<DeliveryRecipient> {
    let mut recipients: Vec<DeliveryRecipient> = Vec::new();
    for outcome in outcomes {
        let Outcome::Pending { account, key, mailbox } = outcome else { continue };
        if recipients.iter().any(|recipient| recipient.address == *key) {
            continue;
        }
        recipients.push(DeliveryRecipient {
            address: key.clone(),
            account: account.id,
            mailbox: mailbox.clone(),
            flags: Flags::none(),
        });
    }
    recipients
}

/// What was to be stored was not.
fn fail_all(outcomes: &mut [Outcome], reply: &Reply) {
    for outcome in outcomes {
        if outcome.is_pending() {
            *outcome = Outcome::Failed(reply.clone());
        }
    }
}

/// The next piece; a sender that stalls must not hold its slot for ever.
async fn next(
    requests: &mut (impl Stream<Item = Result<DeliverRequest, Status>> + Unpin),
) -> Result<Option<DeliverRequest>, Status> {
    tokio::time::timeout(CHUNK_TIMEOUT, requests.next())
        .await
        .map_err(|_| Status::deadline_exceeded("the message stopped coming"))?
        .transpose()
}

/// Counts a delivery as open while it lives.
struct Open<'a>(&'a Metrics);

impl<'a> Open<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.deliveries_open.inc();
        Self(metrics)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.deliveries_open.dec();
    }
}
