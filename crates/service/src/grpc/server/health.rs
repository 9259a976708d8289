//! `grpc.health.v1`: what serves, by service name, and `""` for the whole.

use std::{collections::HashMap, pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt};
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{self, HealthServer},
};

/// Says which services are serving. Clones are the same.
///
/// Everything is NOT_SERVING until set. Once the server drains, it is NOT_SERVING for good, and those who watch are
/// told so before their stream ends: an endless stream would hold up the drain.
#[derive(Clone, Debug)]
pub struct Health(Arc<RwLock<Statuses>>);

#[derive(Debug, Default)]
struct Statuses {
    draining: bool,
    services: HashMap<String, watch::Sender<ServingStatus>>,
}

impl Health {
    pub(super) fn new() -> Self {
        let health = Self(Arc::default());
        health.know([""]);
        health
    }

    /// Sets whether one service is serving; `""` is the whole server.
    pub fn set_serving(&self, service: &str, serving: bool) {
        let mut statuses = self.0.write();
        if statuses.draining {
            return;
        }
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        match statuses.services.get(service) {
            Some(sender) => {
                sender.send_if_modified(|current| std::mem::replace(current, status) != status);
            }
            None => {
                statuses.services.insert(service.to_owned(), watch::Sender::new(status));
            }
        }
    }

    /// Sets whether everything that is known is serving.
    pub fn set_all_serving(&self, serving: bool) {
        let known: Vec<_> = self.0.read().services.keys().cloned().collect();
        for service in &known {
            self.set_serving(service, serving);
        }
    }

    /// Whether a service is serving.
    pub fn is_serving(&self, service: &str) -> bool {
        self.status(service) == Some(ServingStatus::Serving)
    }

    /// Names services that have not been set yet.
    pub(super) fn know(&self, services: impl IntoIterator<Item = &'static str>) {
        let mut statuses = self.0.write();
        for service in services {
            statuses
                .services
                .entry(service.to_owned())
                .or_insert_with(|| watch::Sender::new(ServingStatus::NotServing));
        }
    }

    /// NOT_SERVING for good, and the end of all watching.
    pub(super) fn drain(&self) {
        let mut statuses = self.0.write();
        statuses.draining = true;
        for sender in statuses.services.values_mut() {
            sender.send_replace(ServingStatus::NotServing);
            // Watchers see the last value, then the end.
            *sender = watch::Sender::new(ServingStatus::NotServing);
        }
    }

    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService(self.clone()))
    }

    fn status(&self, service: &str) -> Option<ServingStatus> {
        self.0.read().services.get(service).map(|sender| *sender.borrow())
    }

    /// The status now and its changes. A service that is not known is SERVICE_UNKNOWN, and so it stays: the contract
    /// of `Watch` asks for an answer rather than an error.
    fn watch(&self, service: &str) -> Pin<Box<dyn Stream<Item = ServingStatus> + Send>> {
        let statuses = self.0.read();
        match statuses.services.get(service) {
            Some(sender) if statuses.draining => Box::pin(futures_util::stream::iter([*sender.borrow()])),
            Some(sender) => Box::pin(WatchStream::new(sender.subscribe())),
            None => Box::pin(futures_util::stream::iter([ServingStatus::ServiceUnknown])),
        }
    }
}

/// The RPCs.
#[derive(Debug)]
pub(super) struct HealthService(Health);

#[tonic::async_trait]
impl health_server::Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let status = self
            .0
            .status(&request.get_ref().service)
            .ok_or_else(|| Status::not_found("no such service here"))?;
        Ok(Response::new(HealthCheckResponse { status: status.into() }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let statuses = self.0.watch(&request.get_ref().service);
        let responses = statuses.map(|status| Ok(HealthCheckResponse { status: status.into() }));
        Ok(Response::new(Box::pin(responses)))
    }
}
