//! A session with another MTA.

use std::sync::Arc;

use bytes::Bytes;
use message::MessageId;
use proto::mail::Reply as TypedReply;
use service::smtp::envelope::{envelope, received, to_wire};
use service::smtp::server::{Context, End, Handler};
use smtp::server::{Abort, Tally};
use smtp::{Credentials, Mail, Rcpt, Reply};

use super::limits::Counted;
use super::policy::{Client, Policy};
use crate::intake::{Incoming, Intake};

/// What every session needs.
pub(crate) struct Inbound {
    /// This host's name, for Received fields.
    pub(crate) hostname: String,
    pub(crate) intake: Arc<Intake>,
    pub(crate) policy: Policy,
}

/// One session with another MTA.
pub(crate) struct Session {
    inbound: Arc<Inbound>,
    client: Client,
    /// The policy has ended the session, and has counted that.
    is_turned_away: bool,
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
        Self { inbound, client: Client::default(), is_turned_away: false, transaction: None }
    }
}

impl Handler for Session {
    async fn connected(&mut self, context: &Context) -> Result<(), Reply> {
        // First given back, if this is another client behind the same proxy.
        self.client = Client::default();
        let met = self.inbound.policy.meet(context.peer.ip()).await;
        self.is_turned_away = met.is_err();
        self.client = met?;
        Ok(())
    }

    async fn used(&mut self, _: &Context, used: Tally) -> Result<(), Reply> {
        let commands = self.client.spend(Counted::Commands, used.commands);
        let spent = commands.and_then(|()| self.client.spend(Counted::Errors, used.errors));
        self.is_turned_away = spent.is_err();
        spent
    }

    async fn authenticate(&mut self, _: &Context, _: Credentials) -> Result<(), Reply> {
        Err(Reply::fixed(502, 5, 5, "this is not a submission service"))
    }

    async fn mail(&mut self, context: &Context, mut mail: Mail) -> Reply {
        if let Err(refused) = self.inbound.intake.gate.check() {
            return to_wire(&refused);
        }
        let id = MessageId::new();
        if let Err(refused) = self.inbound.policy.check_sender(&self.client, context, &mut mail).await {
            tracing::info!(
                %id, client = %context.peer.ip(), from = %mail.reverse_path, said = %refused, "sender refused"
            );
            return refused;
        }
        self.transaction = Some(Transaction { id, mail, recipients: Vec::new(), incoming: None });
        Reply::fixed(250, 1, 0, "sender ok")
    }

    async fn rcpt(&mut self, context: &Context, rcpt: Rcpt) -> Reply {
        let Some(transaction) = &mut self.transaction else { return out_of_order() };
        let sender = &transaction.mail.reverse_path;
        let checked = self.inbound.policy.check_recipient(&self.client, context, sender, &rcpt.address).await;
        if let Err(refused) = checked {
            tracing::info!(
                id = %transaction.id, client = %context.peer.ip(), from = %sender, recipient = %rcpt.address,
                said = %refused, "recipient refused"
            );
            return refused;
        }
        if !transaction.recipients.iter().any(|known| known.address == rcpt.address) {
            transaction.recipients.push(rcpt);
        }
        Reply::fixed(250, 1, 5, "recipient ok")
    }

    async fn begin(&mut self, context: &Context) -> Result<(), Reply> {
        let Some(transaction) = &mut self.transaction else { return Err(out_of_order()) };
        let Transaction { id, mail, recipients, .. } = &*transaction;
        let trace = received(*id, mail, recipients, context, &self.inbound.hostname);
        transaction.incoming = Some(Intake::begin(&trace));
        Ok(())
    }

    async fn chunk(&mut self, chunk: Bytes) -> Result<(), Reply> {
        let Some(Transaction { id, incoming: Some(incoming), .. }) = &mut self.transaction else {
            return Err(out_of_order());
        };
        let Err(refused) = self.inbound.intake.write(incoming, chunk).await else { return Ok(()) };
        let TypedReply { code, text, .. } = &refused;
        tracing::info!(%id, code, text, "message refused");
        // What there is of it is given back before the client has sent the rest.
        self.transaction = None;
        Err(to_wire(&refused))
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

    async fn abort(&mut self, abort: Abort) {
        let Some(Transaction { id, .. }) = self.transaction.take() else { return };
        if let Abort::Refused(said) = abort {
            tracing::info!(%id, %said, "message refused");
        }
    }

    fn ended(&mut self, context: &Context, end: &End) {
        if matches!(end, End::Refused(_)) && !self.is_turned_away {
            self.inbound.policy.count_breach(context);
        }
    }
}

/// The driver keeps the order of commands, so that this is never said.
fn out_of_order() -> Reply {
    Reply::fixed(503, 5, 1, "bad sequence of commands")
}
