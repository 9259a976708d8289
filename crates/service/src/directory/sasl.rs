//! An exchange of a SASL mechanism: what a client says goes to the directory, and what the directory says to the client.

use std::time::Duration;

use proto::mda::directory_client::DirectoryClient;
use proto::mda::sasl_request::Step as Said;
use proto::mda::sasl_response::Step;
use proto::mda::{AuthenticateResponse, SaslBegin, SaslRequest, SaslResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::grpc::client::PeerChannel;

/// How long an exchange may take as a whole, the client's part included.
const DEADLINE: Duration = Duration::from_mins(2);

/// An exchange that is under way. Dropping it ends it.
#[derive(Debug)]
pub struct SaslCall {
    requests: mpsc::Sender<SaslRequest>,
    responses: Streaming<SaslResponse>,
}

/// How an exchange goes on.
#[derive(Debug)]
pub enum SaslStep {
    /// For the client, who responds.
    Challenge(Vec<u8>),
    /// The client is let in, or its credentials are wrong.
    Done(Option<AuthenticateResponse>),
}

impl SaslCall {
    pub(super) async fn begin(channel: PeerChannel, begin: SaslBegin) -> Result<(Self, SaslStep), Status> {
        let (requests, stream) = mpsc::channel(1);
        let first = SaslRequest { step: Some(Said::Begin(begin)) };
        requests.send(first).await.map_err(|_| cut_off())?;
        let mut client = DirectoryClient::new(channel.with_deadline(DEADLINE));
        let responses = client.sasl(ReceiverStream::new(stream)).await?.into_inner();
        let mut call = Self { requests, responses };
        let step = call.next().await?;
        Ok((call, step))
    }

    /// Passes on what the client has said to a challenge.
    ///
    /// # Errors
    /// As [`super::Directory::sasl`].
    pub async fn respond(&mut self, response: Vec<u8>) -> Result<SaslStep, Status> {
        let said = SaslRequest { step: Some(Said::Response(response.into())) };
        // If the call is over, it says why.
        let _ = self.requests.send(said).await;
        self.next().await
    }

    async fn next(&mut self) -> Result<SaslStep, Status> {
        match self.responses.message().await?.and_then(|response| response.step) {
            Some(Step::Challenge(challenge)) => Ok(SaslStep::Challenge(challenge.into())),
            Some(Step::Outcome(outcome)) => Ok(SaslStep::Done(outcome.authenticated.then_some(outcome))),
            None => Err(cut_off()),
        }
    }
}

fn cut_off() -> Status {
    Status::unavailable("the directory ended an exchange early")
}
