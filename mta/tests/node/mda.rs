//! A directory and an MDA that do as recipients' names say: `nobody@example.test` does not exist, `pair@`, `list@`,
//! `abroad@` and `circle@` are aliases and lists, `stuffed@` is full as the directory says and `full@` as delivery finds,
//! `refused@` is refused for ever, a call with `odd@` fails, one with `away@` only the first time, and all others in
//! `example.test` have a mailbox. Every other domain is remote.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use proto::mail::{Envelope, Reply};
use proto::mda::delivery_server::{Delivery, DeliveryServer};
use proto::mda::directory_server::{Directory, DirectoryServer};
use proto::mda::{
    Account, AddDomainRequest, AddDomainResponse, AuthenticateRequest, AuthenticateResponse,
    CreateAccountRequest, DeliverReceipt, DeliverRequest, ListAccountsRequest, ListAccountsResponse,
    RecipientResult, RemoveAccountRequest, RemoveAccountResponse, Resolution, ResolutionKind, ResolveRequest,
    ResolveResponse, SetPasswordRequest, SetPasswordResponse,
};
use service::drain::Shutdown;
use service::grpc::server::{Access, Health, Server};
use service::listen::ListenMetrics;
use service::tls::Role;
use tokio::sync::{Mutex, mpsc};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use service::testing::Authority;

pub const DELIVERY: &str = "waypost.mda.v1.Delivery";
pub const DIRECTORY: &str = "waypost.mda.v1.Directory";

pub struct Mda {
    pub address: SocketAddr,
    pub health: Health,
    delivered: Mutex<mpsc::UnboundedReceiver<Delivered>>,
    shutdown: Shutdown,
}

/// What came in one call.
#[derive(Debug)]
pub struct Delivered {
    pub envelope: Envelope,
    pub body: String,
}

impl Delivered {
    pub fn recipients(&self) -> Vec<&str> {
        self.envelope.recipients.iter().map(|recipient| recipient.address.as_str()).collect()
    }
}

impl Mda {
    pub fn start(authority: &Authority) -> Self {
        let config = authority.grpc(Role::Mda);
        let server =
            Server::bind(&config, Some(authority.identity(Role::Mda)), &ListenMetrics::default()).unwrap();
        let (address, health, shutdown) = (server.local_address(), server.health(), Shutdown::new());
        let (sender, delivered) = mpsc::unbounded_channel();
        let script = Arc::new(Script { delivered: sender, met: Mutex::default() });
        let routes = Routes::new(DeliveryServer::from_arc(Arc::clone(&script)))
            .add_service(DirectoryServer::from_arc(script));
        let access = Access::new([
            ("/waypost.mda.v1.Delivery/Deliver", &[Role::Mta][..]),
            ("/waypost.mda.v1.Directory/Resolve", &[Role::Mta]),
        ]);
        for service in [DELIVERY, DIRECTORY] {
            health.set_serving(service, true);
        }
        let stop = shutdown.clone();
        tokio::spawn(async move { server.serve(routes, access, &stop).await.unwrap() });
        Self { address, health, delivered: Mutex::new(delivered), shutdown }
    }

    /// The next delivery.
    pub async fn delivered(&self) -> Delivered {
        self.delivered.lock().await.recv().await.unwrap()
    }

    /// A delivery that has come already.
    pub fn has_delivered(&self) -> bool {
        self.delivered.try_lock().is_ok_and(|mut delivered| delivered.try_recv().is_ok())
    }
}

impl Drop for Mda {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}

struct Script {
    delivered: mpsc::UnboundedSender<Delivered>,
    /// Messages that met nobody the first time.
    met: Mutex<HashSet<String>>,
}

#[tonic::async_trait]
impl Delivery for Script {
    async fn deliver(
        &self,
        request: Request<Streaming<DeliverRequest>>,
    ) -> Result<Response<DeliverReceipt>, Status> {
        let mut stream = request.into_inner();
        let first = stream.message().await?.unwrap();
        let envelope = first.envelope.unwrap();
        let mut body = first.data.to_vec();
        while let Some(next) = stream.message().await? {
            body.extend_from_slice(&next.data);
        }
        if envelope.recipients.iter().any(|recipient| recipient.address.starts_with("odd@")) {
            return Err(Status::invalid_argument("an odd envelope"));
        }
        let is_away = envelope.recipients.iter().any(|recipient| recipient.address.starts_with("away@"));
        if is_away && self.met.lock().await.insert(envelope.message_id.clone()) {
            return Err(Status::unavailable("just leaving"));
        }
        let result = |recipient: &proto::mail::Recipient| {
            let (code, enhanced) = match recipient.address.split('@').next() {
                Some("full") => (452, "4.2.2"),
                Some("refused") => (550, "5.7.1"),
                _ => (250, "2.1.5"),
            };
            let reply = Reply { code, enhanced: enhanced.into(), text: "as the script says".into() };
            let recipient = recipient.address.clone();
            RecipientResult { recipient, reply: Some(reply), ..RecipientResult::default() }
        };
        let results = envelope.recipients.iter().map(result).collect();
        let _ = self.delivered.send(Delivered { envelope, body: String::from_utf8(body).unwrap() });
        Ok(Response::new(DeliverReceipt { results }))
    }
}

fn not_here<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in the script"))
}

#[tonic::async_trait]
impl Directory for Script {
    async fn resolve(&self, request: Request<ResolveRequest>) -> Result<Response<ResolveResponse>, Status> {
        let ResolveRequest { addresses, expand } = request.into_inner();
        let resolve = |address: String| {
            let (kind, targets): (_, &[&str]) = match address.split_once('@').unwrap() {
                ("nobody", "example.test") => (ResolutionKind::UnknownUser, &[]),
                ("pair", "example.test") => {
                    (ResolutionKind::Alias, &["bob@example.test", "carol@example.test"])
                }
                ("list", "example.test") => {
                    (ResolutionKind::List, &["bob@example.test", "carol@example.test"])
                }
                // Somebody whose domain's policy its host does not meet.
                ("abroad", "example.test") => (ResolutionKind::List, &["bob@name.test"]),
                ("circle", "example.test") => (ResolutionKind::Alias, &[]),
                (_, "example.test") => (ResolutionKind::Mailbox, &[]),
                _ => (ResolutionKind::Remote, &[]),
            };
            let targets =
                if expand { targets.iter().map(|&target| target.to_owned()).collect() } else { vec![] };
            let owner =
                if kind == ResolutionKind::List { "owner@example.test".into() } else { String::new() };
            let full = address == "stuffed@example.test";
            Resolution { address, kind: kind.into(), targets, owner, full, ..Resolution::default() }
        };
        let resolutions = addresses.into_iter().map(resolve).collect();
        Ok(Response::new(ResolveResponse { resolutions }))
    }

    async fn authenticate(
        &self,
        _: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        not_here()
    }

    async fn create_account(&self, _: Request<CreateAccountRequest>) -> Result<Response<Account>, Status> {
        not_here()
    }

    async fn list_accounts(
        &self,
        _: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        not_here()
    }

    async fn set_password(
        &self,
        _: Request<SetPasswordRequest>,
    ) -> Result<Response<SetPasswordResponse>, Status> {
        not_here()
    }

    async fn remove_account(
        &self,
        _: Request<RemoveAccountRequest>,
    ) -> Result<Response<RemoveAccountResponse>, Status> {
        not_here()
    }

    async fn add_domain(&self, _: Request<AddDomainRequest>) -> Result<Response<AddDomainResponse>, Status> {
        not_here()
    }
}
