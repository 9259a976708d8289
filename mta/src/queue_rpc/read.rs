//! A message's octets.

use std::sync::Arc;

use futures_util::stream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use message::header;
use proto::mta::ReadResponse;
use tonic::codegen::BoxStream;

use super::status;
use crate::spool::{self, Message, Spool, SpoolError};

/// The message, or its header alone, in pieces.
pub(super) fn octets(
    spool: Arc<dyn Spool>,
    message: Arc<Message>,
    header_only: bool,
) -> BoxStream<ReadResponse> {
    let pieces = if header_only {
        stream::once(async move {
            let start = spool.read(&message, 0..message.size.min(header::MAX_HEADER as u64)).await?;
            Ok::<_, SpoolError>(start.slice(..header::length(&start)))
        })
        .boxed()
    } else {
        spool::pieces(spool, message).boxed()
    };
    Box::pin(pieces.map_ok(|data| ReadResponse { data }).map_err(|error| status(&error)))
}
