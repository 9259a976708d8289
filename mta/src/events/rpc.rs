//! gRPC `Events`.

use std::sync::Arc;

use futures_util::stream;
use proto::mta::events_server;
use proto::mta::{EventKind, WatchRequest, WatchResponse};
use service::drain::Shutdown;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::log::Events;
use super::offset::Offset;
use super::watch::{From, Reader, WatchError};

/// Readers at a time.
const READERS: usize = 64;

/// The service.
pub(crate) struct EventsService {
    events: Events,
    readers: Arc<Semaphore>,
    shutdown: Shutdown,
}

impl EventsService {
    /// Tells of `events` until `shutdown` starts.
    pub(crate) fn new(events: Events, shutdown: Shutdown) -> Self {
        Self { events, readers: Arc::new(Semaphore::new(READERS)), shutdown }
    }
}

#[tonic::async_trait]
impl events_server::Events for EventsService {
    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<BoxStream<WatchResponse>>, Status> {
        let WatchRequest { after, only_new, until_now, kinds } = request.into_inner();
        let from = from(&after, only_new)?;
        let kinds = kinds.into_iter().map(kind).collect::<Result<_, _>>()?;
        let place = Arc::clone(&self.readers)
            .try_acquire_owned()
            .map_err(|_| Status::resource_exhausted(format!("{READERS} readers watch already")))?;
        let reader =
            Reader::new(&self.events, from, until_now, kinds).await.map_err(|error| status(&error))?;
        let watching = Watching { reader, shutdown: self.shutdown.clone(), _place: place };
        let told = stream::try_unfold(watching, |mut watching| async {
            Ok(watching.next().await?.map(|event| (event, watching)))
        });
        Ok(Response::new(Box::pin(told)))
    }
}

/// One call.
struct Watching {
    reader: Reader,
    shutdown: Shutdown,
    _place: OwnedSemaphorePermit,
}

impl Watching {
    async fn next(&mut self) -> Result<Option<WatchResponse>, Status> {
        tokio::select! {
            () = self.shutdown.started() => {
                Err(Status::unavailable("this node ends; come back with the last offset"))
            }
            next = self.reader.next() => next.map_err(|error| status(&error)),
        }
    }
}

fn from(after: &str, only_new: bool) -> Result<From, Status> {
    match (after, only_new) {
        ("", false) => Ok(From::Oldest),
        ("", true) => Ok(From::Now),
        (_, true) => Err(Status::invalid_argument("after: must be empty with only_new")),
        (after, false) => {
            let offset = Offset::parse(after);
            offset.map(From::After).ok_or_else(|| Status::invalid_argument("after: this is no offset"))
        }
    }
}

fn kind(number: i32) -> Result<EventKind, Status> {
    let kind = EventKind::try_from(number).ok().filter(|kind| *kind != EventKind::Unspecified);
    kind.ok_or_else(|| Status::invalid_argument(format!("kinds: {number} is no kind of event")))
}

fn status(error: &WatchError) -> Status {
    match error {
        WatchError::Trimmed | WatchError::Damaged | WatchError::Foreign => {
            Status::out_of_range(error.to_string())
        }
        WatchError::Failed(_) | WatchError::Interrupted(_) => Status::internal(error.to_string()),
    }
}
