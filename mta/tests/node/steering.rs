//! What an operator sees of the queue, and does about it.

use std::net::Ipv4Addr;

use proto::mail::Envelope;
use proto::mta::steer_request::Action;
use proto::mta::{
    Bounce, Drop, EventKind, ExplainRequest, Filter, GetRequest, Hold, ListRequest, ReadRequest,
    RecipientState, Release, Reroute, RetryNow, SitesRequest, SteerRequest, SteerResponse, WaitReason,
};
use service::config::HumanDuration;
use tonic::{Code, Status};

use super::exchange::{Exchange, Script};
use super::names::Names;
use super::node::{Node, envelope};

const MESSAGE: &str = "From: alice@example.test\r\nSubject: x\r\n\r\nbody\r\n";

fn host(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 12, last)
}

/// A node at which nothing is tried twice within a test, and `remote.test` with one host.
async fn node(last: u8, script: Script) -> (Exchange, Node) {
    let exchange = Exchange::start(host(last), 0, script).await;
    let names = Names::default().a("remote.test", host(last)).a("other.test", host(last));
    let node = patient(names, exchange.address.port()).await;
    (exchange, node)
}

async fn patient(names: Names, port: u16) -> Node {
    Node::start_with(names, port, |config| config.retry.first = HumanDuration::from_hours(1)).await
}

impl Node {
    /// Sends a message; returns its id.
    async fn send(&self, envelope: Envelope) -> String {
        self.enqueue(envelope.clone(), MESSAGE).await.unwrap();
        envelope.message_id
    }

    /// Sends a message that is deferred; returns its id.
    async fn send_deferred(&self, envelope: Envelope) -> String {
        let id = self.send(envelope).await;
        self.event(&id, EventKind::Deferred).await;
        // Told before it waits for its next attempt.
        self.eventually(|| async { self.explain(&id).await[0] == WaitReason::Scheduled }).await;
        id
    }

    async fn steer(&self, request: SteerRequest) -> Result<SteerResponse, Status> {
        Ok(self.queue().await.steer(request).await?.into_inner())
    }

    /// Steers one message.
    async fn steer_one(&self, id: &str, action: Action) -> SteerResponse {
        let message_ids = vec![id.to_owned()];
        let request = SteerRequest { message_ids, action: Some(action), ..SteerRequest::default() };
        self.steer(request).await.unwrap()
    }

    async fn explain(&self, id: &str) -> Vec<WaitReason> {
        let request = ExplainRequest { message_id: id.into() };
        let explained = self.queue().await.explain(request).await.unwrap().into_inner();
        explained.explanations.iter().map(proto::mta::Explanation::reason).collect()
    }

    /// Ids of the messages that match.
    async fn find(&self, filter: Filter) -> Vec<String> {
        let request = ListRequest { filter: Some(filter), ..ListRequest::default() };
        let page = self.queue().await.list(request).await.unwrap().into_inner();
        page.messages.into_iter().map(|message| message.message_id).collect()
    }
}

fn counts(counted: SteerResponse) -> (u64, u64, u64, u64) {
    (counted.messages, counted.recipients, counted.busy, counted.held)
}

#[tokio::test]
async fn a_filter_finds_what_it_names_and_nothing_else() {
    let (_exchange, node) = node(1, Script::default()).await;
    let from_alice = Envelope { account: "Alice@example.test".into(), ..envelope(&["later@remote.test"]) };
    let alices = node.send_deferred(from_alice).await;
    let null = Envelope { reverse_path: String::new(), ..envelope(&["later@other.test"]) };
    let nulls = node.send_deferred(null).await;

    let cases = [
        (Filter::default(), vec![&alices, &nulls]),
        (Filter { domain: "REMOTE.test".into(), ..Filter::default() }, vec![&alices]),
        (Filter { account: "alice@example.test".into(), ..Filter::default() }, vec![&alices]),
        (Filter { reverse_path: "alice@example.test".into(), ..Filter::default() }, vec![&alices]),
        (Filter { reverse_path: "<>".into(), ..Filter::default() }, vec![&nulls]),
        (Filter { recipient: "later@other.test".into(), ..Filter::default() }, vec![&nulls]),
        (Filter { state: RecipientState::Queued.into(), ..Filter::default() }, vec![&alices, &nulls]),
        (Filter { state: RecipientState::InFlight.into(), ..Filter::default() }, vec![]),
        (Filter { last_reply: "NOT now".into(), ..Filter::default() }, vec![&alices, &nulls]),
        (Filter { last_reply: "full".into(), ..Filter::default() }, vec![]),
        (Filter { older_than_seconds: 3_600, ..Filter::default() }, vec![]),
        (Filter { younger_than_seconds: 3_600, ..Filter::default() }, vec![&alices, &nulls]),
        (Filter { domain: "remote.test".into(), reverse_path: "<>".into(), ..Filter::default() }, vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(node.find(filter.clone()).await.iter().collect::<Vec<_>>(), expected, "{filter:?}");
    }
    let site = node.get(&alices).await.unwrap().recipients[0].site.clone();
    assert_eq!(node.find(Filter { site, ..Filter::default() }).await, std::slice::from_ref(&alices));
    let mistaken = ListRequest {
        filter: Some(Filter { domain: "bob@remote.test".into(), ..Filter::default() }),
        ..ListRequest::default()
    };
    assert_eq!(node.queue().await.list(mistaken).await.unwrap_err().code(), Code::InvalidArgument);

    // A page at a time, and none is missed.
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListRequest { page_size: 1, page_token, filter: None };
        let page = node.queue().await.list(request).await.unwrap().into_inner();
        assert!(page.messages.len() <= 1 && page.total == 2);
        found.extend(page.messages.into_iter().map(|message| message.message_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, [alices, nulls]);
}

#[tokio::test]
async fn a_waiting_message_can_be_read_and_explained() {
    let (_exchange, node) = node(2, Script::default()).await;
    let id = node.send_deferred(envelope(&["later@remote.test"])).await;
    let shown = node.get(&id).await.unwrap();
    let recipient = &shown.recipients[0];
    assert_eq!((shown.reverse_path.as_str(), recipient.attempts), ("alice@example.test", 1));
    assert_eq!(recipient.state(), RecipientState::Queued);
    assert!(recipient.next_attempt_at.is_some() && recipient.expires_at.is_some());
    assert_eq!(recipient.last_reply.as_ref().unwrap().text, "not now");

    for (header_only, expected) in [(true, MESSAGE.split_once("body").unwrap().0), (false, MESSAGE)] {
        let request = ReadRequest { message_id: id.clone(), header_only };
        let mut stream = node.queue().await.read(request).await.unwrap().into_inner();
        let mut octets = Vec::new();
        while let Some(piece) = stream.message().await.unwrap() {
            octets.extend_from_slice(&piece.data);
        }
        assert_eq!(String::from_utf8(octets).unwrap().trim_end(), expected.trim_end());
    }
    let explained = node.queue().await.explain(ExplainRequest { message_id: id.clone() }).await.unwrap();
    let explanation = &explained.get_ref().explanations[0];
    assert_eq!(explanation.reason(), WaitReason::Scheduled);
    assert!(explanation.text.contains("450 4.2.1 not now"), "{}", explanation.text);
    assert_eq!(explanation.site, recipient.site);

    let sites = node.queue().await.sites(SitesRequest::default()).await.unwrap().into_inner();
    let site = sites.sites.iter().find(|site| site.name == recipient.site).unwrap();
    assert_eq!((site.scheduled, site.in_flight, site.ready), (1, 0, 0));
    assert_eq!(site.last_failure.as_ref().unwrap().code, 450);

    let gone = message::MessageId::new().to_string();
    let refused = node.queue().await.get(GetRequest { message_id: gone.clone() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let refused = node.queue().await.explain(ExplainRequest { message_id: "17".into() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let refused = node.queue().await.read(ReadRequest { message_id: gone, header_only: false }).await;
    assert_eq!(refused.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_selection_that_names_nothing_or_contradicts_itself_touches_nothing() {
    let (_exchange, node) = node(3, Script::default()).await;
    let id = node.send_deferred(envelope(&["later@remote.test"])).await;
    let dropping = || SteerRequest { action: Some(Action::Drop(Drop::default())), ..SteerRequest::default() };
    let domain = || Some(Filter { domain: "remote.test".into(), ..Filter::default() });
    let route = |route: &str| Some(Action::Reroute(Reroute { route: route.into() }));
    let refused = [
        dropping(),
        SteerRequest { filter: Some(Filter::default()), ..dropping() },
        SteerRequest { all: true, filter: domain(), ..dropping() },
        SteerRequest { message_ids: vec!["17".into()], ..dropping() },
        SteerRequest { message_ids: vec![id.clone(); 10_001], ..dropping() },
        SteerRequest { all: true, ..SteerRequest::default() },
        SteerRequest { all: true, action: route("no host"), ..SteerRequest::default() },
        SteerRequest {
            all: true,
            action: Some(Action::Drop(Drop { reason: "x".repeat(401) })),
            ..dropping()
        },
    ];
    for request in refused {
        let refused = node.steer(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused} for {request:?}");
    }
    // What is named but does not wait is not counted, and a dry run only counts.
    let elsewhere = SteerRequest { message_ids: vec![message::MessageId::new().to_string()], ..dropping() };
    assert_eq!(counts(node.steer(elsewhere).await.unwrap()), (0, 0, 0, 0));
    let dry_run = SteerRequest { filter: domain(), dry_run: true, ..dropping() };
    assert_eq!(counts(node.steer(dry_run).await.unwrap()), (1, 1, 0, 0));
    assert_eq!(node.waiting().await, 1);
}

#[tokio::test]
async fn what_is_retried_goes_at_once_also_to_a_site_that_was_left_alone() {
    let elsewhere = Exchange::start(host(5), 0, Script::default()).await;
    let port = elsewhere.address.port();
    let node = Node::start_with(Names::default().a("away.test", host(4)), port, |config| {
        config.retry.first = HumanDuration::from_hours(1);
        config.outbound.sites.down_after = 1;
        config.outbound.sites.down_first = HumanDuration::from_hours(1);
    })
    .await;
    let id = node.send_deferred(envelope(&["bob@away.test"])).await;
    let mut back = Exchange::start(host(4), port, Script::default()).await;
    assert_eq!(counts(node.steer_one(&id, Action::Retry(RetryNow {})).await), (1, 1, 0, 0));
    assert_eq!(back.received().await.to, ["bob@away.test"]);
    let steered = node.event(&id, EventKind::Steered).await;
    assert_eq!(steered.recipient, "bob@away.test");
    node.event(&id, EventKind::Delivered).await;
}

#[tokio::test]
async fn an_attempt_under_way_is_passed_over_and_counted() {
    let slow = Script { misbehaves: 100, slow: true, ..Script::default() };
    let (mut exchange, node) = node(6, slow).await;
    let id = node.send(envelope(&["bob@remote.test"])).await;
    exchange.received().await;
    for dry_run in [true, false] {
        let request = SteerRequest {
            all: true,
            dry_run,
            action: Some(Action::Drop(Drop::default())),
            ..SteerRequest::default()
        };
        assert_eq!(counts(node.steer(request).await.unwrap()), (0, 0, 1, 0));
    }
    let in_flight = Filter { state: RecipientState::InFlight.into(), ..Filter::default() };
    assert_eq!(node.find(in_flight).await, std::slice::from_ref(&id));
    assert_eq!(node.explain(&id).await, [WaitReason::InFlight]);
    exchange.answer(1);
    node.event(&id, EventKind::Delivered).await;
}

#[tokio::test]
async fn what_is_held_is_not_tried_until_it_is_released_also_after_a_restart() {
    let (exchange, node) = node(7, Script::default()).await;
    let id = node.send_deferred(envelope(&["later@remote.test"])).await;
    let other = node.send_deferred(envelope(&["later@other.test"])).await;
    assert_eq!(counts(node.steer_one(&id, Action::Hold(Hold {})).await), (1, 1, 0, 0));
    assert_eq!(node.explain(&id).await, [WaitReason::Held]);
    // A retry of everything passes it over.
    let retry =
        SteerRequest { all: true, action: Some(Action::Retry(RetryNow {})), ..SteerRequest::default() };
    assert_eq!(counts(node.steer(retry).await.unwrap()), (1, 1, 0, 1));
    // The same after a restart.
    let node = node.restart().await;
    let held = node.get(&id).await.unwrap().recipients[0].clone();
    assert!(held.held && held.next_attempt_at.is_none());
    assert_eq!(node.explain(&id).await, [WaitReason::Held]);
    assert_eq!(counts(node.steer_one(&other, Action::Release(Release {})).await), (0, 0, 0, 0));
    let reroute = Action::Reroute(Reroute { route: format!("{}:{}", host(7), exchange.address.port()) });
    node.steer_one(&id, reroute).await;
    assert_eq!(counts(node.steer_one(&id, Action::Release(Release {})).await), (1, 1, 0, 0));
    node.event(&id, EventKind::Released).await;
    assert_eq!(node.explain(&id).await, [WaitReason::Scheduled], "its time has not come");
    assert_eq!(counts(node.steer_one(&id, Action::Retry(RetryNow {})).await), (1, 1, 0, 0));
    node.eventually(|| async { node.get(&id).await.unwrap().recipients[0].attempts == 2 }).await;
}

#[tokio::test]
async fn what_is_bounced_is_reported_to_its_sender() {
    let (_exchange, node) = node(8, Script::default()).await;
    let id = node.send_deferred(envelope(&["later@remote.test"])).await;
    let text = "that host is gone for good".to_owned();
    assert_eq!(counts(node.steer_one(&id, Action::Bounce(Bounce { text })).await), (1, 1, 0, 0));
    let bounced = node.event(&id, EventKind::Bounced).await;
    assert_eq!(bounced.reply.unwrap().text, "that host is gone for good");
    let report = node.mda.delivered().await;
    assert_eq!(report.recipients(), ["alice@example.test"]);
    assert!(report.body.contains("that host is gone for good"), "{}", report.body);
    node.eventually(|| async { node.waiting().await == 0 }).await;
}

#[tokio::test]
async fn what_is_dropped_goes_without_a_report_and_the_trace_tells_why() {
    let (_exchange, node) = node(9, Script::default()).await;
    let id = node.send_deferred(envelope(&["later@remote.test"])).await;
    let drop = Drop { reason: "stolen password\nticket 4711".into() };
    assert_eq!(counts(node.steer_one(&id, Action::Drop(drop)).await), (1, 1, 0, 0));
    assert_eq!(node.waiting().await, 0);
    let removed = node.event(&id, EventKind::Removed).await;
    assert_eq!(removed.detail, "stolen password ticket 4711");
    let node = node.restart().await;
    assert_eq!(node.waiting().await, 0);
    assert!(!node.mda.has_delivered());
}

#[tokio::test]
async fn what_is_rerouted_goes_to_its_new_next_hop_and_back() {
    let other = Exchange::start(host(11), 0, Script::default()).await;
    let port = other.address.port();
    let _deferring = Exchange::start(host(10), port, Script::default()).await;
    let node = patient(Names::default().a("remote.test", host(10)), port).await;
    let id = node.send_deferred(envelope(&["later@remote.test", "x@example.test"])).await;
    let route = |route: String| Action::Reroute(Reroute { route });
    let hop = format!("{}:{port}", host(11));
    assert_eq!(counts(node.steer_one(&id, route(hop.clone())).await), (1, 1, 0, 0));
    assert_eq!(node.get(&id).await.unwrap().recipients[0].route, hop);
    let node = node.restart().await;
    assert_eq!(node.get(&id).await.unwrap().recipients[0].route, hop);
    node.steer_one(&id, Action::Retry(RetryNow {})).await;
    node.eventually(|| async {
        node.trace(&id).await.iter().any(|event| event.site.contains(&host(11).to_string()))
    })
    .await;
    node.eventually(|| async { node.explain(&id).await[0] == WaitReason::Scheduled }).await;
    node.steer_one(&id, route(String::new())).await;
    assert_eq!(node.get(&id).await.unwrap().recipients[0].route, "");
}
