//! Mail from other MTAs: the policy of port 25.

use std::sync::Arc;

use bytes::Bytes;
use message::MessageId;
use proto::mail::Reply as TypedReply;
use service::directory::Resolution;
use service::smtp::envelope::{envelope, received, to_wire};
use service::smtp::server::{Context, Handler};
use smtp::server::Abort;
use smtp::{Credentials, Mail, Rcpt, Reply};

use crate::intake::{Incoming, Intake};
use crate::reply;

/// What every session needs.
pub(crate) struct Inbound {
    /// This host's name, for Received fields.
    pub(crate) hostname: String,
    pub(crate) intake: Arc<Intake>,
}

/// One session with another MTA.
pub(crate) struct Session {
    inbound: Arc<Inbound>,
    transaction: Option<Transaction>,
}

struct Transaction {
    id: MessageId,
    mail: Mail,
    recipients: Vec<Rcpt>,
    incoming: Option<Incoming>,
}

impl Session {
    pub(crate) fn new(inbound: Arc<Inbound>) -> Self {
        Self { inbound, transaction: None }
    }
}

impl Handler for Session {
    async fn authenticate(&mut self, _: &Context, _: Credentials) -> Result<(), Reply> {
        Err(Reply::fixed(502, 5, 5, "this is not a submission service"))
    }

    async fn mail(&mut self, _: &Context, mail: Mail) -> Reply {
        let id = MessageId::new();
        self.transaction = Some(Transaction { id, mail, recipients: Vec::new(), incoming: None });
        Reply::fixed(250, 1, 0, "sender ok")
    }

    async fn rcpt(&mut self, context: &Context, rcpt: Rcpt) -> Reply {
        let Some(transaction) = &mut self.transaction else { return out_of_order() };
        let address = rcpt.address.to_string();
        let resolution = match self.inbound.intake.directory.resolve(&[&address]).await {
            Ok(resolutions) => resolutions.first().copied(),
            Err(error) => {
                tracing::warn!(id = %transaction.id, recipient = address, %error, "a recipient could not be looked up");
                None
            }
        };
        let refused = match resolution {
            Some(Resolution::Mailbox | Resolution::Alias | Resolution::List) => {
                if !transaction.recipients.iter().any(|known| known.address == rcpt.address) {
                    transaction.recipients.push(rcpt);
                }
                return Reply::fixed(250, 1, 5, "recipient ok");
            }
            Some(Resolution::UnknownUser) => to_wire(&reply::unknown_user()),
            Some(Resolution::Remote) => Reply::fixed(554, 7, 1, "relaying denied"),
            None => Reply::fixed(451, 4, 3, "recipients cannot be looked up now, try again later"),
        };
        tracing::info!(
            id = %transaction.id, client = %context.peer.ip(), from = %transaction.mail.reverse_path, recipient = address,
            said = %refused.code, "recipient refused"
        );
        refused
    }

    async fn begin(&mut self, context: &Context) -> Result<(), Reply> {
        let Some(transaction) = &mut self.transaction else { return Err(out_of_order()) };
        let Transaction { id, mail, recipients, .. } = &*transaction;
        let trace = received(*id, mail, recipients, context, &self.inbound.hostname);
        transaction.incoming = Some(Intake::begin(&trace));
        Ok(())
    }

    async fn chunk(&mut self, chunk: Bytes) -> Result<(), Reply> {
        let Some(incoming) = self.transaction.as_mut().and_then(|t| t.incoming.as_mut()) else {
            return Err(out_of_order());
        };
        self.inbound.intake.write(incoming, chunk).await.map_err(|refused| to_wire(&refused))
    }

    async fn finish(&mut self, context: &Context) -> Reply {
        let Some(transaction) = self.transaction.take() else { return out_of_order() };
        let Some(incoming) = transaction.incoming else { return out_of_order() };
        let envelope = envelope(transaction.id, &transaction.mail, &transaction.recipients, context);
        match self.inbound.intake.accept(envelope, incoming).await {
            Ok(()) => Reply::new(250, 0, 0, format!("accepted as {}", transaction.id)),
            Err(refused) => {
                let TypedReply { code, text, .. } = &refused;
                tracing::info!(id = %transaction.id, client = %context.peer.ip(), code, text, "message refused");
                to_wire(&refused)
            }
        }
    }

    async fn abort(&mut self, _: Abort) {
        self.transaction = None;
    }
}

/// The driver keeps the order of commands, so that this is never said.
fn out_of_order() -> Reply {
    Reply::fixed(503, 5, 1, "bad sequence of commands")
}
