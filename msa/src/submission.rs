//! One message from its first octet to the MTA's receipt, whichever way it is submitted.

use std::sync::Arc;

use bytes::Bytes;
use failpoint::{Point, hit};
use message::completion::Completion;
use message::date::DateTime;
use message::{Address, MessageId, ReversePath};
use proto::mail::{Envelope, Reply};
use proto::mda::{AuthenticateRequest, SaslBegin, SaslClient};
use proto::mta::EnqueueReceipt;
use sasl::Mechanism;
use service::directory::{Directory, Resolution, SaslCall, SaslStep};
use tonic::{Code, Status};

use crate::config::Limits;
use crate::draft::Draft;
use crate::exchanges::Exchanges;
use crate::hand_over::{HandOver, Mtas};
use crate::metrics::Metrics;
use crate::sender::Sender;

/// What every submission needs. One per process; shared by reference.
pub(crate) struct Desk {
    /// This host's name.
    pub(crate) hostname: String,
    pub(crate) limits: Limits,
    pub(crate) directory: Arc<Directory>,
    pub(crate) exchanges: Exchanges,
    pub(crate) mtas: Mtas,
    pub(crate) metrics: Metrics,
}

impl Desk {
    /// Whether a message can be taken now.
    pub(crate) fn is_ready(&self) -> bool {
        self.mtas.is_ready() && self.directory.is_ready()
    }

    /// Who logs in with this name and password. The directory makes those who guess wait.
    pub(crate) async fn authenticate(&self, request: AuthenticateRequest) -> Result<Sender, Reply> {
        let (username, client) = (request.username.clone(), request.client_address.clone());
        let answer = self.directory.authenticate(request).await;
        self.metrics.login(matches!(answer, Ok(Some(_))));
        match answer {
            Ok(Some(response)) => Ok(Sender::new(response)),
            Ok(None) => {
                tracing::info!(username, client, "login failed");
                Err(wrong())
            }
            Err(status) => Err(unchecked(&status, &username, &client)),
        }
    }

    /// The mechanisms by which a client can log in. Without the directory nobody can: the client comes again, and is not
    /// asked for a password that perhaps must not be told.
    pub(crate) async fn mechanisms(&self, client: SaslClient) -> Result<Vec<&'static str>, Reply> {
        let away = || reply(421, "4.3.0", "nobody can log in now, try again later");
        if !self.directory.is_ready() {
            return Err(away());
        }
        let address = client.address.clone();
        let names = self.directory.mechanisms(client).await.map_err(|status| {
            tracing::warn!(client = address, %status, "cannot ask how people log in");
            away()
        })?;
        Ok(names.iter().filter_map(|name| Mechanism::parse(name)).map(Mechanism::name).collect())
    }

    /// Begins a login by another mechanism than PLAIN and LOGIN.
    pub(crate) async fn begin_exchange(&self, begin: SaslBegin) -> Result<Exchanged, Reply> {
        let client = address(&begin);
        self.exchanged(self.directory.sasl(begin).await, &client)
    }

    /// Goes on with it.
    pub(crate) async fn go_on(
        &self,
        mut call: SaslCall,
        response: Vec<u8>,
        client: &str,
    ) -> Result<Exchanged, Reply> {
        let step = call.respond(response).await;
        self.exchanged(step.map(|step| (call, step)), client)
    }

    fn exchanged(
        &self,
        step: Result<(SaslCall, SaslStep), Status>,
        client: &str,
    ) -> Result<Exchanged, Reply> {
        let done = match step {
            Ok((call, SaslStep::Challenge(text))) => return Ok(Exchanged::Challenge(call, text)),
            Ok((_, SaslStep::Done(done))) => Ok(done),
            Err(status) => Err(status),
        };
        self.metrics.login(matches!(done, Ok(Some(_))));
        match done {
            Ok(Some(response)) => Ok(Exchanged::LetIn(Sender::new(response))),
            Ok(None) => Err(wrong()),
            Err(status) => Err(match status.code() {
                Code::InvalidArgument => reply(501, "5.5.2", status.message()),
                Code::FailedPrecondition => reply(535, "5.7.8", status.message()),
                _ => unchecked(&status, "", client),
            }),
        }
    }

    /// Whether mail can go to `address`.
    pub(crate) async fn check_recipient(&self, address: &Address) -> Result<(), Reply> {
        let resolution = self.directory.resolve(&[&address.to_string()]).await;
        match resolution.as_deref() {
            Ok(
                [
                    Resolution::Mailbox
                    | Resolution::FullMailbox
                    | Resolution::Remote
                    | Resolution::Alias
                    | Resolution::List,
                ],
            ) => Ok(()),
            Ok([Resolution::UnknownUser]) => Err(reply(550, "5.1.1", "no such user here")),
            Ok(_) => Err(unknown()),
            Err(status) => {
                tracing::warn!(recipient = %address, %status, "a recipient could not be looked up");
                Err(unknown())
            }
        }
    }

    /// Begins a message. `trace` is this host's Received field.
    pub(crate) fn begin(self: &Arc<Self>, id: MessageId, envelope: Envelope, trace: String) -> Submission {
        let sender = ReversePath::parse(&envelope.reverse_path).ok().and_then(|path| path.address().cloned());
        Submission {
            desk: Arc::clone(self),
            id,
            sender,
            summary: format!("{} -> {} recipients", envelope.reverse_path, envelope.recipients.len()),
            draft: Draft::new(trace),
            hand_over: self.mtas.begin(id, envelope),
            size: 0,
        }
    }
}

/// A message that is being submitted. Dropping it leaves nothing behind.
pub(crate) struct Submission {
    desk: Arc<Desk>,
    id: MessageId,
    sender: Option<Address>,
    summary: String,
    draft: Draft,
    hand_over: HandOver,
    /// Octets that came from the client.
    size: u64,
}

impl Submission {
    /// Takes the next octets.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<(), Reply> {
        self.size += chunk.len() as u64;
        let completion = completion(self.id, &self.desk.hostname, self.sender.as_ref());
        for piece in self.draft.push(&completion, chunk)? {
            self.hand_over.write(piece).await?;
        }
        Ok(())
    }

    /// Octets so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The message is whole. `Ok` is the promise: an MTA or an MDA keeps it.
    pub(crate) async fn finish(self) -> Result<EnqueueReceipt, Reply> {
        let Self { desk, id, sender, summary, draft, mut hand_over, size } = self;
        let finished = async {
            let completion = completion(id, &desk.hostname, sender.as_ref());
            if let Some(rest) = draft.finish(&completion)? {
                hand_over.write(rest).await?;
            }
            hit(Point::MsaHandOverBefore);
            let receipt = hand_over.finish().await?;
            hit(Point::MsaHandOverAfter);
            Ok(receipt)
        };
        match finished.await {
            Ok(receipt) => {
                desk.metrics.accepted(size);
                tracing::info!(%id, envelope = summary, size, node = receipt.node, "submitted");
                Ok(receipt)
            }
            Err(refused) => {
                desk.metrics.refused();
                Err(refused)
            }
        }
    }
}

/// How a login by another mechanism than PLAIN and LOGIN goes on.
pub(crate) enum Exchanged {
    /// The client is told this, and responds.
    Challenge(SaslCall, Vec<u8>),
    /// It is this one.
    LetIn(Sender),
}

fn address(begin: &SaslBegin) -> String {
    begin.client.as_ref().map(|client| client.address.clone()).unwrap_or_default()
}

fn wrong() -> Reply {
    reply(535, "5.7.8", "wrong user name or password")
}

/// Whoever guesses can cause that a login is put off: that is no warning.
fn unchecked(status: &Status, username: &str, client: &str) -> Reply {
    if status.code() == Code::ResourceExhausted {
        tracing::info!(username, client, %status, "login put off");
    } else {
        tracing::warn!(username, client, %status, "login could not be checked");
    }
    match status.code() {
        Code::ResourceExhausted => reply(454, "4.7.0", "too many failed logins, try again later"),
        Code::Unimplemented => reply(504, "5.5.4", "this mechanism is not offered"),
        _ => reply(454, "4.7.0", "logins cannot be checked now, try again later"),
    }
}

/// The message id says when, too.
fn completion<'a>(id: MessageId, domain: &'a str, sender: Option<&'a Address>) -> Completion<'a> {
    Completion { id, domain, at: DateTime::from(id.timestamp()), sender }
}

/// A reply of our own.
pub(crate) fn reply(code: u32, enhanced: &str, text: impl Into<String>) -> Reply {
    Reply { code, enhanced: enhanced.into(), text: text.into() }
}

fn unknown() -> Reply {
    reply(451, "4.4.3", "recipients cannot be looked up now, try again later")
}

/// The status for a refusal.
pub(crate) fn status(reply: &Reply) -> Status {
    service::status::status_for(reply)
}
