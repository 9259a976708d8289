//! MTAs that take every message but those that they are told to fail at.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex as StdMutex};

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

use service::testing::Authority;

const TRANSFER: &str = "waypost.mta.v1.Transfer";

/// All MTAs of a test.
pub struct Mtas {
    pub addresses: Vec<SocketAddr>,
    taken: Mutex<mpsc::UnboundedReceiver<Taken>>,
    failure: Failure,
}

/// With what the next call ends, at whichever MTA, after its first request.
type Failure = Arc<StdMutex<Option<Status>>>;

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
        let failure = Failure::default();
        let start = |_| {
            let (config, identity) = (authority.grpc(Role::Mta), authority.identity(Role::Mta));
            let server = Server::bind(&config, Some(identity), &ListenMetrics::default()).unwrap();
            let address = server.local_address();
            server.health().set_serving(TRANSFER, true);
            let script = Script { taken: sender.clone(), failure: Arc::clone(&failure) };
            let routes = Routes::new(TransferServer::new(script));
            let access = Access::new([("/waypost.mta.v1.Transfer/Enqueue", &[Role::Msa][..])]);
            let shutdown = shutdown.clone();
            tokio::spawn(async move { server.serve(routes, access, &shutdown).await.unwrap() });
            address
        };
        let addresses = (0..count).map(start).collect();
        Self { addresses, taken: Mutex::new(taken), failure }
    }

    /// The next message that one of them has taken.
    pub async fn taken(&self) -> Taken {
        self.taken.lock().await.recv().await.unwrap()
    }

    /// The next call ends so, in its middle.
    pub fn fail(&self, failure: Status) {
        *self.failure.lock().unwrap() = Some(failure);
    }

    pub fn have_failed(&self) -> bool {
        self.failure.lock().unwrap().is_none()
    }

    pub fn has_taken(&self) -> bool {
        self.taken.try_lock().is_ok_and(|mut taken| taken.try_recv().is_ok())
    }
}

struct Script {
    taken: mpsc::UnboundedSender<Taken>,
    failure: Failure,
}

#[tonic::async_trait]
impl Transfer for Script {
    async fn enqueue(
        &self,
        request: Request<Streaming<EnqueueRequest>>,
    ) -> Result<Response<EnqueueReceipt>, Status> {
        let mut stream = request.into_inner();
        let first = stream.message().await?.unwrap();
        let failure = self.failure.lock().unwrap().take();
        if let Some(failure) = failure {
            return Err(failure);
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
