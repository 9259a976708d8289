//! Another node, as far as it takes messages over: it answers when the test says so.

use std::net::SocketAddr;

use message::MessageId;
use proto::mta::transfer_server::{Transfer, TransferServer};
use proto::mta::{EnqueueReceipt, EnqueueRequest};
use service::drain::Shutdown;
use service::grpc::server::{Access, Server};
use service::listen::ListenMetrics;
use service::tls::Role;
use tokio::sync::{Mutex, mpsc, oneshot};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use service::testing::Authority;

pub struct Taker {
    pub address: SocketAddr,
    taken: Mutex<mpsc::UnboundedReceiver<Taken>>,
    shutdown: Shutdown,
}

/// A message that came whole, and whose caller waits for an answer; none if this is dropped.
pub struct Taken {
    pub first: EnqueueRequest,
    pub body: String,
    answer: oneshot::Sender<Result<EnqueueReceipt, Status>>,
}

impl Taken {
    pub fn id(&self) -> MessageId {
        self.first.envelope.as_ref().unwrap().message_id.parse().unwrap()
    }

    pub fn promise(self) {
        let receipt = EnqueueReceipt {
            message_id: self.id().to_string(),
            node: "taker".into(),
            ..EnqueueReceipt::default()
        };
        let _ = self.answer.send(Ok(receipt));
    }

    pub fn refuse(self, status: Status) {
        let _ = self.answer.send(Err(status));
    }
}

impl Taker {
    pub fn start(authority: &Authority) -> Self {
        let identity = Some(authority.identity(Role::Mta));
        let server = Server::bind(&authority.grpc(Role::Mta), identity, &ListenMetrics::default()).unwrap();
        let (address, health, shutdown) = (server.local_address(), server.health(), Shutdown::new());
        let (sender, taken) = mpsc::unbounded_channel();
        let routes = Routes::new(TransferServer::new(Script(sender)));
        let access = Access::new([("/waypost.mta.v1.Transfer/Enqueue", &[Role::Mta][..])]);
        health.set_serving("waypost.mta.v1.Transfer", true);
        let stop = shutdown.clone();
        tokio::spawn(async move { server.serve(routes, access, &stop).await.unwrap() });
        Self { address, taken: Mutex::new(taken), shutdown }
    }

    /// The next message.
    pub async fn taken(&self) -> Taken {
        self.taken.lock().await.recv().await.unwrap()
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}

struct Script(mpsc::UnboundedSender<Taken>);

#[tonic::async_trait]
impl Transfer for Script {
    async fn enqueue(
        &self,
        request: Request<Streaming<EnqueueRequest>>,
    ) -> Result<Response<EnqueueReceipt>, Status> {
        let mut stream = request.into_inner();
        let first = stream.message().await?.unwrap();
        let mut body = first.data.to_vec();
        while let Some(next) = stream.message().await? {
            body.extend_from_slice(&next.data);
        }
        let (answer, answered) = oneshot::channel();
        let _ = self.0.send(Taken { first, body: String::from_utf8(body).unwrap(), answer });
        answered.await.unwrap_or_else(|_| Err(Status::unavailable("cut off"))).map(Response::new)
    }
}
