//! Who may call what: one table, enforced before a call reaches its service.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use proto::mail::Reply;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::warn;

use super::Peer;
use crate::{status, tls::Role};

/// Open to every peer with a valid role, so that each can see whom it talks to.
pub(super) const OPEN_SERVICES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The roles that each RPC accepts. An RPC that is not listed cannot be called.
///
/// ```
/// use service::{grpc::server::Access, tls::Role};
///
/// let access = Access::new([("/waypost.mta.v1.Transfer/Enqueue", &[Role::Msa, Role::Mta][..])]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Access(Arc<HashMap<&'static str, &'static [Role]>>);

impl Access {
    /// The table, by path: `/package.Service/Method`.
    pub fn new(table: impl IntoIterator<Item = (&'static str, &'static [Role])>) -> Self {
        Self(Arc::new(table.into_iter().collect()))
    }

    /// The full names of the services listed.
    pub(super) fn services(&self) -> BTreeSet<&'static str> {
        self.0.keys().filter_map(|path| service_of(path)).collect()
    }

    pub(super) fn layer(&self) -> AccessLayer {
        AccessLayer(self.clone())
    }

    /// A refusal says that the pipeline is set up wrongly, not the message: in SMTP's words it is temporary, so that
    /// mail waits for the operator rather than bounce (RFC 3463 §3.4, X.3.5).
    fn decide(&self, path: &str, peer: Option<&Peer>) -> Result<(), Status> {
        let Some(peer) = peer else {
            return Err(refusal(Code::Unauthenticated, "the connection names no role".to_owned()));
        };
        if service_of(path).is_some_and(|service| OPEN_SERVICES.contains(&service)) {
            return Ok(());
        }
        match self.0.get(path) {
            Some(roles) if roles.contains(&peer.role) => Ok(()),
            Some(roles) => {
                let accepted = roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
                let role = peer.role;
                let text = format!("the role {role} may not call {path}: it is for {accepted}");
                Err(refusal(Code::PermissionDenied, text))
            }
            None => Err(refusal(Code::Unimplemented, format!("{path} is not served here"))),
        }
    }
}

fn refusal(code: Code, text: String) -> Status {
    let reply =
        Reply { code: 451, enhanced: "4.3.5".to_owned(), text: "service is misconfigured".to_owned() };
    status::attach(Status::new(code, text), &reply)
}

fn service_of(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.split_once('/').map(|(service, _)| service)
}

/// Wraps the services in the table.
#[derive(Clone, Debug)]
pub(super) struct AccessLayer(Access);

impl<S> Layer<S> for AccessLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { access: self.0.clone(), inner }
    }
}

/// Services behind the table.
#[derive(Clone, Debug)]
pub(super) struct Guarded<S> {
    access: Access,
    inner: S,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future =
        futures_util::future::Either<S::Future, std::future::Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        use futures_util::future::Either;

        let peer = request.extensions().get::<Peer>();
        match self.access.decide(request.uri().path(), peer) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(denied) => {
                log_denied(request.uri().path(), peer, &denied);
                Either::Right(std::future::ready(Ok(denied.into_http())))
            }
        }
    }
}

fn log_denied(path: &str, peer: Option<&Peer>, denied: &Status) {
    let (role, address, subject) = match peer {
        Some(peer) => (peer.role.as_str(), peer.address.to_string(), &*peer.subject),
        None => ("", String::new(), ""),
    };
    warn!(path, role, address, subject, code = ?denied.code(), "call denied");
}
