//! Submission by SMTP (RFC 6409): the policy of ports 587 and 465.

use std::sync::Arc;

use bytes::Bytes;
use message::MessageId;
use proto::mda::{AuthenticateRequest, ClientCertificate, SaslBegin, SaslClient};
use service::directory::SaslCall;
use service::listen::Permit;
use service::smtp::envelope::{envelope, received, to_wire};
use service::smtp::server::{Answer, Context, Handler};
use service::tls;
use smtp::server::Abort;
use smtp::{Credentials, Mail, Rcpt, Reply, Said};

use crate::exchanges::Waiting;
use crate::sender::Sender;
use crate::submission::{Desk, Exchanged, Submission};

/// One session with a mail program.
pub(crate) struct Session {
    desk: Arc<Desk>,
    /// A login that is under way, by another mechanism than PLAIN or LOGIN.
    exchange: Option<Waiting<(SaslCall, Permit)>>,
    sender: Option<Sender>,
    transaction: Option<Transaction>,
}

struct Transaction {
    id: MessageId,
    mail: Mail,
    recipients: Vec<Rcpt>,
    submission: Option<Submission>,
}

impl Session {
    pub(crate) fn new(desk: Arc<Desk>) -> Self {
        Self { desk, exchange: None, sender: None, transaction: None }
    }
}

impl Handler for Session {
    async fn authenticate(&mut self, context: &Context, credentials: Credentials) -> Result<(), Reply> {
        if credentials.authorization.as_ref().is_some_and(|other| *other != credentials.username) {
            return Err(Reply::fixed(535, 7, 8, "nobody may act for another here"));
        }
        let request = AuthenticateRequest {
            username: credentials.username,
            password: credentials.password.reveal().into(),
            client_address: context.peer.ip().to_canonical().to_string(),
        };
        self.sender = Some(self.desk.authenticate(request).await.map_err(|reply| to_wire(&reply))?);
        Ok(())
    }

    async fn mechanisms(&mut self, context: &Context) -> Result<Option<Vec<&'static str>>, Reply> {
        self.desk.mechanisms(client(context)).await.map(Some).map_err(|reply| to_wire(&reply))
    }

    async fn exchange(&mut self, context: &Context, said: Said) -> Result<Answer, Reply> {
        let (step, permit) = match said {
            Said::Begin { mechanism, initial } => {
                self.exchange = None;
                let permit = self.desk.exchanges.admit(context.peer.ip()).ok_or_else(too_many)?;
                let initial_response = initial.map(Into::into);
                let begin = SaslBegin { client: Some(client(context)), mechanism, initial_response };
                (self.desk.begin_exchange(begin).await, permit)
            }
            Said::Response(response) => match self.exchange.take().and_then(Waiting::take) {
                Some((call, permit)) => {
                    let client = context.peer.ip().to_canonical().to_string();
                    (self.desk.go_on(call, response, &client).await, permit)
                }
                None => return Err(too_late()),
            },
        };
        match step.map_err(|reply| to_wire(&reply))? {
            Exchanged::Challenge(call, text) => {
                self.exchange = Some(Waiting::new((call, permit)));
                Ok(Answer::Challenge(text))
            }
            Exchanged::LetIn(sender) => {
                self.sender = Some(sender);
                Ok(Answer::Authenticated)
            }
        }
    }

    fn exchange_cancelled(&mut self) {
        self.exchange = None;
    }

    async fn mail(&mut self, _: &Context, mail: Mail) -> Reply {
        let Some(sender) = &self.sender else { return out_of_order() };
        if let Err(refused) = sender.check(&mail.reverse_path) {
            tracing::info!(account = sender.account, from = %mail.reverse_path, "sender refused");
            return to_wire(&refused);
        }
        let id = MessageId::new();
        self.transaction = Some(Transaction { id, mail, recipients: Vec::new(), submission: None });
        Reply::fixed(250, 1, 0, "sender ok")
    }

    async fn rcpt(&mut self, _: &Context, rcpt: Rcpt) -> Reply {
        let Some(transaction) = &mut self.transaction else { return out_of_order() };
        if let Err(refused) = self.desk.check_recipient(&rcpt.address).await {
            return to_wire(&refused);
        }
        if !transaction.recipients.iter().any(|known| known.address == rcpt.address) {
            transaction.recipients.push(rcpt);
        }
        Reply::fixed(250, 1, 5, "recipient ok")
    }

    async fn begin(&mut self, context: &Context) -> Result<(), Reply> {
        let (Some(sender), Some(transaction)) = (&self.sender, &mut self.transaction) else {
            return Err(out_of_order());
        };
        let Transaction { id, mail, recipients, .. } = &*transaction;
        let trace = received(*id, mail, recipients, context, &self.desk.hostname);
        let mut envelope = envelope(*id, mail, recipients, context);
        envelope.account.clone_from(&sender.account);
        transaction.submission = Some(self.desk.begin(*id, envelope, trace));
        Ok(())
    }

    async fn chunk(&mut self, chunk: Bytes) -> Result<(), Reply> {
        let Some(submission) = self.transaction.as_mut().and_then(|t| t.submission.as_mut()) else {
            return Err(out_of_order());
        };
        submission.write(chunk).await.map_err(|refused| to_wire(&refused))
    }

    async fn finish(&mut self, _: &Context) -> Reply {
        let Some(Transaction { id, submission: Some(submission), .. }) = self.transaction.take() else {
            return out_of_order();
        };
        match submission.finish().await {
            Ok(_) => Reply::new(250, 0, 0, format!("accepted as {id}")),
            Err(refused) => to_wire(&refused),
        }
    }

    async fn abort(&mut self, abort: Abort) {
        if let (Some(transaction), Abort::Refused(reply)) = (&self.transaction, abort) {
            tracing::info!(id = %transaction.id, from = %transaction.mail.reverse_path, %reply, "message refused");
        }
        self.transaction = None;
    }
}

/// What the directory has to know of a client.
fn client(context: &Context) -> SaslClient {
    let mut client =
        SaslClient { address: context.peer.ip().to_canonical().to_string(), ..SaslClient::default() };
    if let Some(facts) = &context.tls {
        let bindings = &facts.bindings;
        client.tls_exporter = bindings.exporter.map(|octets| octets.to_vec().into()).unwrap_or_default();
        client.tls_server_end_point =
            bindings.end_point.as_ref().map(|octets| octets.to_vec().into()).unwrap_or_default();
        let shown = facts.certificates.first().map(tls::ClientCertificate::read);
        client.certificate =
            shown.map(|shown| ClientCertificate { fingerprint: shown.fingerprint, emails: shown.emails });
    }
    client
}

/// The driver keeps the order of commands, so that this is never said.
fn out_of_order() -> Reply {
    Reply::fixed(503, 5, 1, "bad sequence of commands")
}

fn too_many() -> Reply {
    Reply::fixed(454, 7, 0, "too many logins at the same time, try again later")
}

fn too_late() -> Reply {
    Reply::fixed(454, 7, 0, "the login took too long, try again")
}
