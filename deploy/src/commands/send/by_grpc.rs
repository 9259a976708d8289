//! Submission by gRPC, with the operator's certificate.

use std::time::Duration;

use message::MessageId;
use proto::mail::Recipient;
use proto::msa::submission_client::SubmissionClient;
use proto::msa::{SubmitHeader, SubmitRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Envelope;
use super::source::Source;
use crate::failure::{Explain, Failure};
use crate::pipeline::{self, Pipeline, status};

/// For the whole message, which may be large and come from a slow pipe.
const CALL_TIMEOUT: Duration = Duration::from_mins(10);
/// Pieces of the message that wait for the connection.
const PIECES_AHEAD: usize = 4;

/// Sends, and returns the message's id.
pub(super) async fn send(
    pipeline: &Pipeline,
    envelope: &Envelope,
    source: Source,
) -> Result<String, Failure> {
    let channel =
        pipeline::channel_for(&pipeline.msa()?.address, &pipeline.credentials, CALL_TIMEOUT).await?;
    let mut client = SubmissionClient::new(channel);
    let (pieces, stream) = mpsc::channel(PIECES_AHEAD);
    // The end of the stream is the end of the message: until all of it was read, this keeps the stream open.
    let mut open = Some(pieces.clone());

    let mut reading = std::pin::pin!(read(source, header(envelope), pieces));
    let mut call = std::pin::pin!(client.submit(ReceiverStream::new(stream)));
    loop {
        tokio::select! {
            biased;
            read = &mut reading, if open.is_some() => {
                read?;
                open = None;
            }
            answer = &mut call => {
                let receipt = answer.map_err(|error| status("cannot send the message", &error))?;
                return Ok(receipt.into_inner().message_id);
            }
        }
    }
}

async fn read(
    mut source: Source,
    header: SubmitHeader,
    pieces: mpsc::Sender<SubmitRequest>,
) -> Result<(), Failure> {
    let mut request = SubmitRequest { header: Some(header), ..SubmitRequest::default() };
    // A closed channel means that the call has ended, and it tells why.
    while pieces.send(request).await.is_ok() {
        let data = source.next().await.explain(|| "cannot read the message".to_owned())?;
        if data.is_empty() {
            break;
        }
        request = SubmitRequest { header: None, data };
    }
    Ok(())
}

fn header(envelope: &Envelope) -> SubmitHeader {
    let recipient =
        |address: &message::Address| Recipient { address: address.to_string(), ..Recipient::default() };
    SubmitHeader {
        reverse_path: envelope.from.to_string(),
        recipients: envelope.to.iter().map(recipient).collect(),
        message_id: MessageId::new().to_string(),
        ..SubmitHeader::default()
    }
}
