//! A directory with one account, `alice@example.test` with the password `secret`. In `example.test` only she and `bob@`
//! exist; every other domain is remote.

use std::net::SocketAddr;

use proto::mda::directory_server::{Directory, DirectoryServer};
use proto::mda::{
    Account, AddDomainRequest, AddDomainResponse, AuthenticateRequest, AuthenticateResponse,
    CreateAccountRequest, ListAccountsRequest, ListAccountsResponse, ListMechanismsRequest,
    ListMechanismsResponse, RemoveAccountRequest, RemoveAccountResponse, Resolution, ResolutionKind,
    ResolveRequest, ResolveResponse, SetPasswordRequest, SetPasswordResponse,
};
use service::drain::Shutdown;
use service::grpc::server::{Access, Server};
use service::listen::ListenMetrics;
use service::tls::Role;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use service::testing::Authority;

/// Serves until `shutdown`; returns where.
pub fn start(authority: &Authority, shutdown: &Shutdown) -> SocketAddr {
    let config = authority.grpc(Role::Mda);
    let server =
        Server::bind(&config, Some(authority.identity(Role::Mda)), &ListenMetrics::default()).unwrap();
    let address = server.local_address();
    let access = Access::new([
        ("/waypost.mda.v1.Directory/Resolve", &[Role::Msa][..]),
        ("/waypost.mda.v1.Directory/Authenticate", &[Role::Msa]),
        ("/waypost.mda.v1.Directory/ListMechanisms", &[Role::Msa]),
    ]);
    server.health().set_serving("waypost.mda.v1.Directory", true);
    let shutdown = shutdown.clone();
    let routes = Routes::new(DirectoryServer::new(Script));
    tokio::spawn(async move { server.serve(routes, access, &shutdown).await.unwrap() });
    address
}

struct Script;

fn not_here<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in the script"))
}

#[tonic::async_trait]
impl Directory for Script {
    async fn resolve(&self, request: Request<ResolveRequest>) -> Result<Response<ResolveResponse>, Status> {
        let resolve = |address: String| {
            let (kind, account) = match address.split_once('@') {
                Some(("alice" | "bob", "example.test")) => (ResolutionKind::Mailbox, address.clone()),
                Some((_, "example.test")) => (ResolutionKind::UnknownUser, String::new()),
                _ => (ResolutionKind::Remote, String::new()),
            };
            Resolution { address, kind: kind.into(), account, ..Resolution::default() }
        };
        let resolutions = request.into_inner().addresses.into_iter().map(resolve).collect();
        Ok(Response::new(ResolveResponse { resolutions }))
    }

    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        let AuthenticateRequest { username, password, .. } = request.into_inner();
        let authenticated = username == "alice@example.test" && password == "secret";
        let addresses = if authenticated { vec![username.clone()] } else { Vec::new() };
        Ok(Response::new(AuthenticateResponse { authenticated, account: username, addresses }))
    }

    async fn list_mechanisms(
        &self,
        _: Request<ListMechanismsRequest>,
    ) -> Result<Response<ListMechanismsResponse>, Status> {
        let mechanisms = ["PLAIN", "LOGIN"].map(str::to_owned).to_vec();
        Ok(Response::new(ListMechanismsResponse { mechanisms }))
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
