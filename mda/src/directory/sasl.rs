//! Exchanges with the MSA's clients.

use std::time::Duration;

use proto::mda::sasl_request::Step as Said;
use proto::mda::sasl_response::Step;
use proto::mda::{AuthenticateResponse, SaslBegin, SaslClient, SaslRequest, SaslResponse};
use sasl::Binding;
use service::tls::ClientCertificate;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::client_ip;
use crate::auth::{AuthError, Authenticator, Client, Progress, SaslError, Tls};
use crate::metrics::{LoginOutcome, Metrics, Protocol};
use crate::recipients::Recipients;
use crate::status::status;
use crate::store::{Account, MailStore};

/// How long a client may take to respond: somewhat longer than the MSA waits for it.
const PATIENCE: Duration = Duration::from_secs(45);

/// One exchange, on a task of its own.
pub(super) struct Conversation<S> {
    pub(super) authenticator: Authenticator,
    pub(super) recipients: Recipients<S>,
    pub(super) metrics: Metrics,
}

impl<S: MailStore> Conversation<S> {
    /// Begins; the exchange ends with the stream of requests, too.
    pub(super) fn begin(
        self,
        mut requests: Streaming<SaslRequest>,
    ) -> ReceiverStream<Result<SaslResponse, Status>> {
        let (responses, received) = mpsc::channel(1);
        tokio::spawn(async move {
            let outcome = match self.run(&mut requests, &responses).await {
                Ok(Some(outcome)) => Ok(SaslResponse { step: Some(Step::Outcome(outcome)) }),
                // It was cancelled.
                Ok(None) => return,
                Err(status) => Err(status),
            };
            // Nobody is left to tell if this fails.
            let _ = responses.send(outcome).await;
        });
        ReceiverStream::new(received)
    }

    async fn run(
        &self,
        requests: &mut Streaming<SaslRequest>,
        responses: &mpsc::Sender<Result<SaslResponse, Status>>,
    ) -> Result<Option<AuthenticateResponse>, Status> {
        let Some(Said::Begin(begin)) = next(requests).await? else {
            return Err(Status::invalid_argument("an exchange starts with its beginning"));
        };
        let SaslBegin { client: described, mechanism, initial_response } = begin;
        let client = client(described)?;
        let begun = self.authenticator.begin(&mechanism, client, initial_response.as_deref()).await;
        let (mut exchange, mut progress) = match begun {
            Ok(begun) => begun,
            Err(error) => return self.failed(&error).map(Some),
        };
        loop {
            let challenge = match progress {
                Progress::Challenge(challenge) => challenge,
                Progress::Done(account) => {
                    self.metrics.login(Protocol::Grpc, LoginOutcome::Ok);
                    return let_in(&self.recipients, *account).map(Some);
                }
            };
            let response = SaslResponse { step: Some(Step::Challenge(challenge.into())) };
            if responses.send(Ok(response)).await.is_err() {
                return Ok(None);
            }
            let said = match next(requests).await? {
                Some(Said::Response(said)) => said,
                Some(Said::Begin(_)) => {
                    return Err(Status::invalid_argument("the exchange has begun already"));
                }
                None => return Ok(None),
            };
            progress = match exchange.respond(&said).await {
                Ok(progress) => progress,
                Err(error) => return self.failed(&error).map(Some),
            };
        }
    }

    fn failed(&self, error: &SaslError) -> Result<AuthenticateResponse, Status> {
        match error {
            SaslError::Refused(error) => {
                self.metrics.login(Protocol::Grpc, error.into());
                refused(error)
            }
            SaslError::Mechanism => Err(Status::unimplemented(error.to_string())),
            SaslError::Protocol(sasl::Error::Proxy) => Err(Status::failed_precondition(error.to_string())),
            SaslError::Protocol(_) => Err(Status::invalid_argument(error.to_string())),
        }
    }
}

async fn next(requests: &mut Streaming<SaslRequest>) -> Result<Option<Said>, Status> {
    let request = timeout(PATIENCE, requests.message()).await;
    let request = request.map_err(|_| Status::deadline_exceeded("the client took too long"))??;
    Ok(request.and_then(|request| request.step))
}

/// Who asks, in the MSA's words.
pub(super) fn client(described: Option<SaslClient>) -> Result<Client, Status> {
    let SaslClient { address, tls_exporter, tls_server_end_point, certificate } =
        described.unwrap_or_default();
    let bindings =
        Binding { tls_exporter: some(&tls_exporter), tls_server_end_point: some(&tls_server_end_point) };
    let certificate =
        certificate.map(|shown| ClientCertificate { fingerprint: shown.fingerprint, emails: shown.emails });
    let tls = Some(Tls { bindings, certificate });
    Ok(Client { address: client_ip(&address)?, protocol: Protocol::Grpc, tls })
}

fn some(octets: &[u8]) -> Option<Vec<u8>> {
    (!octets.is_empty()).then(|| octets.to_vec())
}

/// The answer about a client that is let in.
pub(super) fn let_in<S: MailStore>(
    recipients: &Recipients<S>,
    account: Account,
) -> Result<AuthenticateResponse, Status> {
    let addresses = recipients.addresses_of(&account).map_err(|error| status(&error))?;
    Ok(AuthenticateResponse { authenticated: true, addresses, account: account.name })
}

/// The answer about one that is not.
pub(super) fn refused(error: &AuthError) -> Result<AuthenticateResponse, Status> {
    match error {
        AuthError::Wrong => Ok(AuthenticateResponse::default()),
        AuthError::Throttled { .. } => Err(Status::resource_exhausted(error.to_string())),
        AuthError::Unavailable(_) => Err(Status::unavailable("authentication is not available now")),
    }
}
