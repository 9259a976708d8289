//! Submission by gRPC: the same desk, for programs.

use std::collections::HashSet;
use std::sync::Arc;

use message::received::{Protocol, Received};
use message::{Address, MessageId, ReversePath};
use proto::mail::{Envelope, Origin};
use proto::mda::AuthenticateRequest;
use proto::msa::submission_server::Submission;
use proto::msa::{SubmitHeader, SubmitReceipt, SubmitRequest};
use service::drain::Shutdown;
use service::grpc::server::Peer;
use tonic::{Request, Response, Status, Streaming};

use crate::submission::{Desk, reply, status};

/// The service.
pub(crate) struct SubmissionService {
    pub(crate) desk: Arc<Desk>,
    pub(crate) shutdown: Shutdown,
}

#[tonic::async_trait]
impl Submission for SubmissionService {
    async fn submit(
        &self,
        request: Request<Streaming<SubmitRequest>>,
    ) -> Result<Response<SubmitReceipt>, Status> {
        let client = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
        let mut stream = request.into_inner();
        let Some(first) = stream.message().await? else {
            return Err(Status::invalid_argument(
                "the stream is empty: its first request carries the header",
            ));
        };
        let header =
            first.header.ok_or_else(|| Status::invalid_argument("the first request carries no header"))?;
        let client_address = client.map(|ip| ip.to_canonical().to_string()).unwrap_or_default();
        let (id, envelope) = self.envelope(header, client_address).await?;
        let only_recipient = match envelope.recipients.as_slice() {
            [only] => Address::parse(&only.address).ok(),
            _ => None,
        };
        let trace = Received {
            helo: "",
            client,
            by: &self.desk.hostname,
            protocol: Protocol::Grpc,
            tls: None,
            id,
            only_recipient: only_recipient.as_ref(),
            at: id.timestamp(),
        };
        let mut submission = self.desk.begin(id, envelope, trace.to_string());
        let mut lines = smtp::bdat::Decoder::default();
        let mut next = Some(first.data);
        while let Some(data) = next {
            if submission.size() + data.len() as u64 > *self.desk.limits.message_size {
                let text = format!("the message is larger than {} octets", *self.desk.limits.message_size);
                return Err(status(&reply(552, "5.3.4", text)));
            }
            // Programs end lines as they like; mail does it with CRLF.
            lines.begin_chunk(data.len() as u64);
            let mut data = bytes::BytesMut::from(data);
            while !data.is_empty() {
                let normal = lines.decode(&mut data);
                submission.write(normal).await.map_err(|reply| status(&reply))?;
            }
            next = stream.message().await?.map(|request| request.data);
        }
        // hyper takes RST_STREAM(CANCEL) for the end of a request, and drops the handler of a cancelled call only when it
        // waits. So it waits once, or half a message would be taken for a whole one.
        tokio::task::yield_now().await;
        if lines.has_bare_cr() {
            return Err(Status::invalid_argument("the message holds a CR that is no part of a line end"));
        }
        // In a task of its own: the caller may go away, but gets all or nothing.
        let finished = self.shutdown.spawn(submission.finish());
        match finished.await {
            Ok(Some(Ok(receipt))) => Ok(Response::new(SubmitReceipt { message_id: receipt.message_id })),
            Ok(Some(Err(reply))) => Err(status(&reply)),
            Ok(None) | Err(_) => Err(Status::unavailable("this server is stopping")),
        }
    }
}

impl SubmissionService {
    /// Checks who sends what to whom.
    async fn envelope(
        &self,
        header: SubmitHeader,
        client_address: String,
    ) -> Result<(MessageId, Envelope), Status> {
        let invalid = |what: &str, why: String| Status::invalid_argument(format!("{what}: {why}"));
        let path = ReversePath::parse(&header.reverse_path)
            .map_err(|error| invalid("header.reverse_path", error.to_string()))?;
        let id = if header.message_id.is_empty() {
            MessageId::new()
        } else {
            MessageId::parse(&header.message_id)
                .map_err(|error| invalid("header.message_id", error.to_string()))?
        };
        let account = self.account(&header, &path, &client_address).await?;
        if header.recipients.is_empty() {
            return Err(Status::invalid_argument("header.recipients: at least one is needed"));
        }
        if header.recipients.len() > self.desk.limits.recipients {
            return Err(invalid("header.recipients", format!("more than {}", self.desk.limits.recipients)));
        }
        let mut seen = HashSet::new();
        let mut recipients = Vec::with_capacity(header.recipients.len());
        for recipient in header.recipients {
            let address = Address::parse(&recipient.address)
                .map_err(|error| invalid("header.recipients", format!("{}: {error}", recipient.address)))?;
            self.desk.check_recipient(&address).await.map_err(|reply| status(&reply))?;
            if seen.insert(address) {
                recipients.push(recipient);
            }
        }
        let smtputf8 = !header.reverse_path.is_ascii()
            || recipients.iter().any(|recipient| !recipient.address.is_ascii());
        let envelope = Envelope {
            message_id: id.to_string(),
            reverse_path: header.reverse_path,
            recipients,
            smtputf8,
            account,
            origin: Some(Origin { protocol: "gRPC".into(), client_address, ..Origin::default() }),
            ..Envelope::default()
        };
        Ok((id, envelope))
    }

    /// The account that submits. With a password it is checked as a login; without, the caller's role has been.
    async fn account(
        &self,
        header: &SubmitHeader,
        path: &ReversePath,
        client_address: &str,
    ) -> Result<String, Status> {
        if !header.password.is_empty() {
            let username = if header.account.is_empty() { &header.reverse_path } else { &header.account };
            let request = AuthenticateRequest {
                username: username.clone(),
                password: header.password.clone(),
                client_address: client_address.into(),
            };
            let sender = self.desk.authenticate(request).await.map_err(|reply| status(&reply))?;
            sender.check(path).map_err(|reply| status(&reply))?;
            return Ok(sender.account);
        }
        let owner = self.desk.directory.owner(&header.reverse_path).await?;
        match owner {
            Some(owner) if header.account.is_empty() || owner == header.account => Ok(owner),
            None if path.is_null() && !header.account.is_empty() => Ok(header.account.clone()),
            _ => {
                let whose = if header.account.is_empty() { "any account" } else { &header.account };
                Err(Status::permission_denied(format!("<{}> is no address of {whose}", header.reverse_path)))
            }
        }
    }
}
