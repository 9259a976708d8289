//! Suspensions: nothing that they cover is tried, across restarts, until they end.

use std::net::Ipv4Addr;

use proto::mail::Envelope;
use proto::mta::suspension::Scope;
use proto::mta::{
    EventKind, ExplainRequest, ListSuspensionsRequest, ResumeRequest, SitesRequest, SuspendRequest,
    Suspension, WaitReason,
};
use tonic::{Code, Status};

use super::exchange::{Exchange, Script};
use super::names::Names;
use super::node::{Node, envelope};

const MESSAGE: &str = "From: alice@example.test\r\n\r\nbody\r\n";

fn host(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 13, last)
}

impl Node {
    async fn suspend(&self, scope: Option<Scope>) -> Result<(), Status> {
        let suspension = Suspension { scope, reason: "maintenance".into(), since: None };
        self.queue().await.suspend(SuspendRequest { suspension: Some(suspension) }).await.map(drop)
    }

    async fn resume(&self, scope: Scope) -> Result<(), Status> {
        let suspension = Suspension { scope: Some(scope), ..Suspension::default() };
        self.queue().await.resume(ResumeRequest { suspension: Some(suspension) }).await.map(drop)
    }

    async fn suspensions(&self) -> Vec<Suspension> {
        let answer = self.queue().await.list_suspensions(ListSuspensionsRequest {}).await;
        answer.unwrap().into_inner().suspensions
    }

    /// Units at sites that are suspended, or that are kept aside: also before it is known where they go.
    async fn suspended_units(&self) -> u64 {
        let seen = self.queue().await.sites(SitesRequest::default()).await.unwrap().into_inner();
        let at_sites = seen.sites.iter().map(|site| if site.suspended { site.ready } else { site.aside });
        at_sites.sum::<u64>() + seen.unrouted
    }

    async fn is_suspended(&self, id: &str) -> bool {
        let request = ExplainRequest { message_id: id.into() };
        let explained = self.queue().await.explain(request).await.unwrap().into_inner();
        explained.explanations[0].reason() == WaitReason::Suspended
    }
}

#[tokio::test]
async fn what_a_suspension_covers_waits_until_it_ends_also_after_a_restart() {
    let exchange = Exchange::start(host(1), 0, Script::default()).await;
    let names = Names::default()
        .mx("remote.test", 10, "mx.remote.test")
        .a("mx.remote.test", host(1))
        .a("free.test", host(1));
    let mut node = Node::start(names, exchange.address.port()).await;
    let probe = envelope(&["bob@remote.test"]);
    node.enqueue(probe.clone(), MESSAGE).await.unwrap();
    let site = node.event(&probe.message_id, EventKind::Delivered).await.site;
    let scopes =
        [Scope::Site(site), Scope::Domain("REMOTE.test".into()), Scope::Account("alice@example.test".into())];
    for scope in scopes {
        node.suspend(Some(scope.clone())).await.unwrap();
        let covered = Envelope { account: "alice@example.test".into(), ..envelope(&["bob@remote.test"]) };
        let id = covered.message_id.clone();
        node.enqueue(covered, MESSAGE).await.unwrap();
        node.eventually(|| node.is_suspended(&id)).await;
        node.eventually(|| async { node.suspended_units().await == 1 }).await;
        node = node.restart().await;
        node.eventually(|| node.is_suspended(&id)).await;
        // Others go meanwhile.
        let other = envelope(&["bob@free.test"]);
        node.enqueue(other.clone(), MESSAGE).await.unwrap();
        node.event(&other.message_id, EventKind::Delivered).await;
        let shown = node.suspensions().await;
        assert_eq!((shown.len(), shown[0].reason.as_str()), (1, "maintenance"));
        assert!(shown[0].since.is_some());
        node.resume(scope.clone()).await.unwrap();
        node.event(&id, EventKind::Delivered).await;
        assert_eq!(node.resume(scope).await.unwrap_err().code(), Code::NotFound);
        assert!(node.suspensions().await.is_empty());
    }
}

#[tokio::test]
async fn a_suspension_of_nothing_is_refused() {
    let (names, port) = super::node::no_remote();
    let node = Node::start(names, port).await;
    let refused = [
        None,
        Some(Scope::Site(String::new())),
        Some(Scope::Domain("bob@remote.test".into())),
        Some(Scope::Account("x".repeat(401))),
    ];
    for scope in refused {
        let refused = node.suspend(scope.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused} for {scope:?}");
    }
    assert!(node.suspensions().await.is_empty());
}
