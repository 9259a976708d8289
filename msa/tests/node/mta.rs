//! MTAs that take every message, or die in the middle of the next one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proto::mail::Envelope;
use proto::mta::transfer_server::{Transfer, TransferServer};
use proto::mta::{EnqueueReceipt, EnqueueRequest};
use service::drain::Shutdown;
use service::grpc::server::{Access, Server};
use service::listen::ListenMetrics;
use service::tls::Role;
use tokio::sync::{Mutex, mpsc};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::authority::Authority;

const TRANSFER: &str = "waypost.mta.v1.Transfer";

/// All MTAs of a test.
pub struct Mtas {
    pub addresses: Vec<SocketAddr>,
    taken: Mutex<mpsc::UnboundedReceiver<Taken>>,
    /// The next call, at whichever MTA, ends after its first request as if the MTA had died.
    pub dies: Arc<AtomicBool>,
}

#[derive(Debug)]
pub struct Taken {
    pub envelope: Envelope,
    pub body: Vec<u8>,
}

impl Taken {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Mtas {
    pub fn start(count: usize, authority: &Authority, shutdown: &Shutdown) -> Self {
        let (sender, taken) = mpsc::unbounded_channel();
        let dies = Arc::new(AtomicBool::new(false));
        let start = |_| {
            let (config, identity) = (authority.grpc(Role::Mta), authority.identity(Role::Mta));
            let server = Server::bind(&config, Some(identity), &ListenMetrics::default()).unwrap();
            let address = server.local_address();
            server.health().set_serving(TRANSFER, true);
            let script = Script { taken: sender.clone(), dies: Arc::clone(&dies) };
            let routes = Routes::new(TransferServer::new(script));
            let access = Access::new([("/waypost.mta.v1.Transfer/Enqueue", &[Role::Msa][..])]);
            let shutdown = shutdown.clone();
            tokio::spawn(async move { server.serve(routes, access, &shutdown).await.unwrap() });
            address
        };
        let addresses = (0..count).map(start).collect();
        Self { addresses, taken: Mutex::new(taken), dies }
    }

    /// The next message that one of them has taken.
    pub async fn taken(&self) -> Taken {
        self.taken.lock().await.recv().await.unwrap()
    }

    pub fn has_taken(&self) -> bool {
        self.taken.try_lock().is_ok_and(|mut taken| taken.try_recv().is_ok())
    }
}

struct Script {
    taken: mpsc::UnboundedSender<Taken>,
    dies: Arc<AtomicBool>,
}

#[tonic::async_trait]
impl Transfer for Script {
    async fn enqueue(
        &self,
        request: Request<Streaming<EnqueueRequest>>,
    ) -> Result<Response<EnqueueReceipt>, Status> {
        let mut stream = request.into_inner();
        let first = stream.message().await?.unwrap();
        if self.dies.swap(false, Ordering::SeqCst) {
            return Err(Status::unavailable("died"));
        }
        let (envelope, mut body) = (first.envelope.unwrap(), first.data.to_vec());
        while let Some(next) = stream.message().await? {
            body.extend_from_slice(&next.data);
        }
        tokio::task::yield_now().await;
        let receipt = EnqueueReceipt {
            message_id: envelope.message_id.clone(),
            node: "scripted".into(),
            size: body.len() as u64,
        };
        let _ = self.taken.send(Taken { envelope, body });
        Ok(Response::new(receipt))
    }
}
