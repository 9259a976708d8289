//! A `Transfer` server to call.

use std::{net::SocketAddr, time::Duration};

use proto::mta::{
    EnqueueReceipt, EnqueueRequest,
    transfer_client::TransferClient,
    transfer_server::{Transfer, TransferServer},
};
use tokio::{runtime::Runtime, sync::watch};
use tonic::{Request, Response, Status, Streaming, service::Routes};

use crate::{
    config::{GrpcConfig, HumanDuration, PeerConfig},
    drain::Shutdown,
    grpc::{
        client::{Channels, PeerChannel, Target},
        server::{Access, Health, Peer, Server},
    },
    listen::ListenMetrics,
    testing::Authority,
    tls::{PeerIdentity, Role},
};

pub(super) const ENQUEUE: &str = "/waypost.mta.v1.Transfer/Enqueue";
pub(super) const TARGET: Target = Target { role: Role::Mta, service: "waypost.mta.v1.Transfer" };

/// Answers when the gate is open, with its own name and the caller's role.
pub(super) struct Node {
    name: String,
    gate: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl Transfer for Node {
    async fn enqueue(
        &self,
        request: Request<Streaming<EnqueueRequest>>,
    ) -> Result<Response<EnqueueReceipt>, Status> {
        let peer = Peer::of(&request).expect("the peer is in the extensions").clone();
        let mut gate = self.gate.clone();
        gate.wait_for(|open| *open).await.map_err(|_| Status::aborted("the test ended"))?;
        Ok(Response::new(EnqueueReceipt {
            message_id: peer.role.to_string(),
            node: self.name.clone(),
            size: 0,
        }))
    }
}

/// A server in a runtime of its own, so that it can be killed as a process would be.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) health: Health,
    pub(super) shutdown: Shutdown,
    /// Whether calls are answered.
    pub(super) gate: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<Result<(), crate::grpc::server::ServerError>>,
    runtime: Runtime,
}

pub(super) fn config(listen: SocketAddr) -> GrpcConfig {
    GrpcConfig { listen, drain_timeout: HumanDuration::from_secs(60), ..GrpcConfig::default() }
}

impl Running {
    pub(super) fn start(name: &str, identity: Option<PeerIdentity>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), name, identity)
    }

    pub(super) fn start_at(listen: SocketAddr, name: &str, identity: Option<PeerIdentity>) -> Self {
        let access = Access::new([(ENQUEUE, &[Role::Msa, Role::Mta][..])]);
        Self::start_with(&config(listen), name, identity, access)
    }

    pub(super) fn start_with(
        config: &GrpcConfig,
        name: &str,
        identity: Option<PeerIdentity>,
        access: Access,
    ) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let guard = runtime.enter();
        let server = Server::bind(config, identity, &ListenMetrics::default()).unwrap();
        drop(guard);
        let (address, health, shutdown) = (server.local_address(), server.health(), Shutdown::new());
        let (gate, watched) = watch::channel(true);
        let routes = Routes::new(TransferServer::new(Node { name: name.to_owned(), gate: watched }));
        let stop = shutdown.clone();
        health.set_serving("", true);
        health.set_serving(TARGET.service, true);
        let ended = runtime.spawn(async move { server.serve(routes, access, &stop).await });
        Self { address, health, shutdown, gate, ended, runtime }
    }

    /// Ends at once: connections are reset, nothing is said.
    pub(super) async fn kill(self) {
        let runtime = self.runtime;
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(30))).await.unwrap();
    }

    /// Waits for the end that a shutdown leads to.
    pub(super) async fn ended(self) {
        self.ended.await.unwrap().unwrap();
        self.runtime.shutdown_background();
    }
}

/// Channels to these addresses, as this role.
pub(super) fn channels(authority: &Authority, role: Role, addresses: &[String]) -> Channels {
    let config = PeerConfig { wait: HumanDuration::from_secs(60), ..PeerConfig::at(addresses) };
    Channels::new(&config, TARGET, Some(authority.identity(role))).unwrap()
}

/// One call.
pub(super) async fn enqueue(channel: PeerChannel) -> Result<EnqueueReceipt, Status> {
    let requests = tokio_stream::once(EnqueueRequest::default());
    TransferClient::new(channel).enqueue(requests).await.map(Response::into_inner)
}
