//! gRPC `Queue`: what waits here, what became of what no longer waits, and what an operator does about it.

mod describe;
mod list;
mod read;
mod select;
mod steer;
mod suspend;

use std::sync::Arc;

use futures_util::stream;
use proto::mta::queue_server::Queue as Contract;
use proto::mta::{
    DrainRequest, DrainResponse, ExplainRequest, ExplainResponse, GetRequest, ListRequest, ListResponse,
    ListSuspensionsRequest, ListSuspensionsResponse, QueuedMessage, ReadRequest, ReadResponse, ResumeRequest,
    ResumeResponse, SitesRequest, SitesResponse, SteerRequest, SteerResponse, SuspendRequest,
    SuspendResponse, TraceRequest, TraceResponse,
};
use service::drain::Shutdown;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use crate::emptying::{Emptying, EmptyingError};
use crate::events::{Events, Story};
use crate::queue::Queue;
use crate::spool::{Spool, SpoolError};
use select::parse_id;

/// Sites that are listed if the caller does not say, and at most.
const SITES: usize = 50;
const MOST_SITES: usize = 1_000;

/// The service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct QueueService {
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) events: Events,
    pub(crate) emptying: Arc<Emptying>,
    /// This node's name.
    pub(crate) node: String,
    /// Changes that are being made: the storage is closed behind them.
    pub(crate) work: Shutdown,
    /// Suspensions are begun and ended one at a time, so that the order and the spool agree on the last.
    pub(crate) suspending: Arc<tokio::sync::Mutex<()>>,
}

#[tonic::async_trait]
impl Contract for QueueService {
    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        self.page(request.into_inner()).await.map(Response::new)
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<QueuedMessage>, Status> {
        let id = parse_id("message_id", &request.into_inner().message_id)?;
        let message = self.spool.get(id).ok_or_else(|| self.not_here(id))?;
        self.describe(&message).await?.map(Response::new).ok_or_else(|| self.not_here(id))
    }

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<BoxStream<ReadResponse>>, Status> {
        let ReadRequest { message_id, header_only } = request.into_inner();
        let id = parse_id("message_id", &message_id)?;
        let message = self.spool.get(id).ok_or_else(|| self.not_here(id))?;
        Ok(Response::new(read::octets(Arc::clone(&self.spool), message, header_only)))
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        let id = parse_id("message_id", &request.into_inner().message_id)?;
        let explanations = self.queue.explain(id).ok_or_else(|| self.not_here(id))?;
        Ok(Response::new(ExplainResponse { explanations, node: self.node.clone() }))
    }

    async fn trace(&self, request: Request<TraceRequest>) -> Result<Response<TraceResponse>, Status> {
        let id = parse_id("message_id", &request.into_inner().message_id)?;
        let events = self.events.clone();
        let found = tokio::task::spawn_blocking(move || events.of(id)).await;
        let Story { events, left_out } = found
            .map_err(|error| Status::internal(error.to_string()))?
            .map_err(|error| Status::internal(format!("the events cannot be read: {error}")))?;
        if events.is_empty() {
            return Err(Status::not_found(format!("{} knows nothing of {id}", self.node)));
        }
        Ok(Response::new(TraceResponse { events, node: self.node.clone(), left_out }))
    }

    async fn sites(&self, request: Request<SitesRequest>) -> Result<Response<SitesResponse>, Status> {
        let limit = match request.into_inner().limit as usize {
            0 => SITES,
            limit => limit.min(MOST_SITES),
        };
        let (sites, total, unrouted) = self.queue.sites(limit);
        let (total, unrouted) = (total as u64, unrouted as u64);
        Ok(Response::new(SitesResponse { sites, total, unrouted, node: self.node.clone() }))
    }

    async fn steer(&self, request: Request<SteerRequest>) -> Result<Response<SteerResponse>, Status> {
        self.steer_all(request).await.map(Response::new)
    }

    async fn suspend(&self, request: Request<SuspendRequest>) -> Result<Response<SuspendResponse>, Status> {
        self.begin_suspension(request.into_inner().suspension).await?;
        Ok(Response::new(SuspendResponse {}))
    }

    async fn resume(&self, request: Request<ResumeRequest>) -> Result<Response<ResumeResponse>, Status> {
        self.end_suspension(request.into_inner().suspension).await?;
        Ok(Response::new(ResumeResponse {}))
    }

    async fn list_suspensions(
        &self,
        _: Request<ListSuspensionsRequest>,
    ) -> Result<Response<ListSuspensionsResponse>, Status> {
        let suspensions = self.spool.suspensions().iter().map(suspend::describe).collect();
        Ok(Response::new(ListSuspensionsResponse { suspensions, node: self.node.clone() }))
    }

    async fn drain(
        &self,
        request: Request<DrainRequest>,
    ) -> Result<Response<BoxStream<DrainResponse>>, Status> {
        let mut told = self.emptying.begin(&request.into_inner().to).map_err(|error| match error {
            EmptyingError::UnderWay => Status::failed_precondition(error.to_string()),
            EmptyingError::NoNodes | EmptyingError::Node(_) => Status::invalid_argument(error.to_string()),
        })?;
        Ok(Response::new(Box::pin(stream::poll_fn(move |context| told.poll_recv(context)))))
    }
}

impl QueueService {
    fn not_here(&self, id: message::MessageId) -> Status {
        Status::not_found(format!("{id} does not wait at {}", self.node))
    }

    /// Lets something that must not stop half-way come to its end, whatever becomes of the caller.
    async fn complete<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<T, Status> {
        match self.work.spawn(work).await {
            Ok(Some(done)) => done,
            Ok(None) => Err(Status::unavailable("this node is stopping")),
            Err(error) => Err(Status::internal(error.to_string())),
        }
    }
}

/// What the spool could not do, for a caller.
fn status(error: &SpoolError) -> Status {
    let text = error.to_string();
    match error {
        SpoolError::Gone(_) => Status::not_found(text),
        SpoolError::Full(_) | SpoolError::TooManySuspensions => Status::resource_exhausted(text),
        SpoolError::NotGoneYet(_) => Status::failed_precondition(text),
        SpoolError::Damaged(_) => Status::data_loss(text),
        SpoolError::Stopped(_) => Status::unavailable(text),
        SpoolError::NotUnderstood | SpoolError::Failed(_) => Status::internal(text),
    }
}
