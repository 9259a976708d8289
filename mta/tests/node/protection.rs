//! How mail to other servers is protected on its way: by what the route, the recipient's domain and the sender ask for.

use std::net::Ipv4Addr;

use mta::{Config, RouteConfig, RouteTls, RouteTo};
use proto::mail::Envelope;
use proto::mta::{Event, EventKind};
use service::config::HumanDuration;

use super::exchange::{Exchange, Fault, How, Script, Step};
use super::host::{Host, Offers, USER};
use super::names::Names;
use super::node::{Node, envelope, no_remote};
use super::policies::{Policy, publish, serve};
use service::testing::Authority;

const MESSAGE: &str = "From: alice@example.test\r\nMessage-ID: <1@example.test>\r\n\r\nbody\r\n";
const OPTED_OUT: &str = "From: alice@example.test\r\nTLS-Required: No\r\n\r\nbody\r\n";

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 11, last)
}

fn requiring_tls(recipient: &str) -> Envelope {
    Envelope { require_tls: true, ..envelope(&[recipient]) }
}

/// A rule for all mail: to `smart.test`, which stands at this host.
fn to_host(host: &Host) -> RouteConfig {
    to_port(host.address.port())
}

fn to_port(port: u16) -> RouteConfig {
    let hosts = vec![format!("smart.test:{port}")];
    RouteConfig { to: RouteTo::Hosts, hosts, ..RouteConfig::default() }
}

/// A node that knows an authority, and sends all mail by a rule.
async fn node_with_rule(authority: &Authority, rule: RouteConfig, host: &Host) -> Node {
    let std::net::IpAddr::V4(address) = host.address.ip() else { unreachable!("hosts are IPv4") };
    let names = Names::default().a("smart.test", address);
    let roots = authority.ca();
    Node::start_with(names, 1, |config| (config.route, config.tls_roots) = (vec![rule], Some(roots))).await
}

/// Sends a message; gives how the first attempt ended.
async fn attempt(node: &Node, envelope: Envelope, body: &str) -> Event {
    node.enqueue(envelope.clone(), body).await.unwrap();
    node.outcome(&envelope.message_id).await
}

fn said(event: &Event) -> (u32, String, String) {
    let reply = event.reply.clone().unwrap_or_default();
    (reply.code, reply.enhanced, reply.text)
}

#[tokio::test]
async fn a_message_that_requires_tls_goes_on_with_that_word() {
    let authority = Authority::new();
    let offers = Offers { requiretls: true, ..Offers::starttls(authority.acceptor(&["smart.test"])) };
    let mut host = Host::start(ip(1), 0, offers);
    let node = node_with_rule(&authority, to_host(&host), &host).await;
    let event = attempt(&node, requiring_tls("bob@remote.test"), MESSAGE).await;
    assert_eq!(event.kind(), EventKind::Delivered, "{event:?}");
    assert!(event.tls.ends_with("verified as smart.test (REQUIRETLS)"), "{}", event.tls);
    let taken = host.taken().await;
    assert!(taken.is_encrypted && taken.mail.require_tls);
    // Others do not say it.
    attempt(&node, envelope(&["bob@remote.test"]), MESSAGE).await;
    assert!(!host.taken().await.mail.require_tls);
}

#[tokio::test]
async fn another_node_of_ours_promises_it_and_keeps_it() {
    let authority = Authority::new();
    let (names, port) = no_remote();
    let tls = authority.public("smart.test");
    let next = Node::start_with(names, port, |config| config.tls = Some(tls)).await;
    let names = Names::default().a("smart.test", Ipv4Addr::LOCALHOST);
    let rule = RouteConfig { recipient_domain: vec!["example.test".into()], ..to_port(next.smtp.port()) };
    let node = Node::start_with(names, 1, |config| {
        (config.route, config.tls_roots) = (vec![rule], Some(authority.ca()));
    })
    .await;
    let event = attempt(&node, requiring_tls("bob@example.test"), MESSAGE).await;
    assert_eq!(event.kind(), EventKind::Delivered, "{event:?}");
    assert!(next.mda.delivered().await.envelope.require_tls);
    assert!(!node.mda.has_delivered());
}

#[tokio::test]
async fn a_message_that_requires_tls_does_not_go_where_that_is_not_promised() {
    let authority = Authority::new();
    let good = Offers::starttls(authority.acceptor(&["smart.test"]));
    let another = Offers { requiretls: true, ..Offers::starttls(authority.acceptor(&["another.test"])) };
    for (offers, status, why) in [
        (good, "5.7.30", "smart.test does not offer REQUIRETLS"),
        (another, "5.7.10", "the certificate is not for smart.test"),
        (Offers::nothing(), "5.7.10", "does not offer STARTTLS"),
    ] {
        let is_promised = offers.requiretls;
        let mut host = Host::start(ip(2), 0, offers);
        let node = node_with_rule(&authority, to_host(&host), &host).await;
        let event = attempt(&node, requiring_tls("bob@remote.test"), MESSAGE).await;
        assert_eq!(event.kind(), EventKind::Bounced, "{event:?}");
        let (code, enhanced, text) = said(&event);
        assert_eq!((code, enhanced.as_str()), (550, status), "{text}");
        assert!(text.contains(why), "{text}");
        // What is told of such a message is not lost for it, and says the word where it is known.
        let report = Envelope { reverse_path: String::new(), ..requiring_tls("bob@remote.test") };
        let event = attempt(&node, report, MESSAGE).await;
        assert_eq!(event.kind(), EventKind::Delivered, "{event:?}");
        assert_eq!(host.taken().await.mail.require_tls, is_promised);
    }
}

/// What each of some domains publishes; the hosts stand at one address, under a certificate for `mx.good.test`.
const POLICIES: &[Policy] = &[
    ("good.test", "enforce", "mx.good.test"),
    ("name.test", "enforce", "mx.name.test"),
    ("host.test", "enforce", "mx.elsewhere.test"),
    ("tested.test", "testing", "mx.tested.test"),
];

/// A node that follows policies, and the host of their domains.
async fn node_with_policies(last: u8, change: impl FnOnce(&mut Config)) -> (Node, Host) {
    let authority = Authority::new();
    let host = Host::start(ip(last), 0, Offers::starttls(authority.acceptor(&["mx.good.test"])));
    let hosts: Vec<String> = POLICIES.iter().map(|(domain, ..)| format!("mta-sts.{domain}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let port = serve(authority.acceptor(&hosts), POLICIES).await;
    let names = POLICIES.iter().fold(Names::default(), |names, (domain, ..)| {
        let mx = format!("mx.{domain}");
        names.mx(domain, 10, &mx).a(&mx, ip(last))
    });
    // Another domain at a host of one that has a policy.
    let names = names.mx("lax.test", 10, "mx.name.test").mx("strict.test", 10, "mx.good.test");
    let node = Node::start_with(publish(names, POLICIES), host.address.port(), |config| {
        (config.mta_sts.port, config.tls_roots) = (port, Some(authority.ca()));
        change(config);
    })
    .await;
    (node, host)
}

#[tokio::test]
async fn a_policy_that_is_enforced_decides_who_gets_the_mail() {
    let (node, mut host) = node_with_policies(10, |_| {}).await;
    let event = attempt(&node, envelope(&["bob@good.test"]), MESSAGE).await;
    assert_eq!(event.kind(), EventKind::Delivered, "{event:?}");
    assert!(event.tls.ends_with("verified as mx.good.test (MTA-STS policy of good.test)"), "{}", event.tls);
    assert_eq!(host.taken().await.to, ["bob@good.test"]);
    for (recipient, status, why) in [
        ("bob@name.test", "4.7.5", "the certificate is not for mx.name.test (MTA-STS policy of name.test)"),
        ("bob@host.test", "4.7.0", "the MTA-STS policy of host.test does not allow the host mx.host.test"),
    ] {
        let event = attempt(&node, envelope(&[recipient]), MESSAGE).await;
        assert_eq!(event.kind(), EventKind::Deferred, "{event:?}");
        let (_, enhanced, text) = said(&event);
        assert_eq!(enhanced, status, "{text}");
        assert!(text.ends_with(why), "{text}");
        // Its sender would rather have it arrive.
        let event = attempt(&node, envelope(&[recipient]), OPTED_OUT).await;
        assert_eq!(event.kind(), EventKind::Delivered, "{event:?}");
        assert!(event.detail.contains("TLS-Required: No"), "{}", event.detail);
        assert_eq!(host.taken().await.to, [recipient]);
    }
}

#[tokio::test]
async fn a_policy_holds_for_mail_that_comes_by_a_list() {
    let (node, _host) = node_with_policies(18, |_| {}).await;
    let event = attempt(&node, envelope(&["abroad@example.test"]), MESSAGE).await;
    assert_eq!(event.kind(), EventKind::Delivered, "{event:?}");
    let onward = event.detail.strip_prefix("sent on as ").unwrap();
    let event = node.outcome(onward).await;
    assert_eq!(event.kind(), EventKind::Deferred, "{event:?}");
    assert!(said(&event).2.ends_with("(MTA-STS policy of name.test)"), "{event:?}");
}

#[tokio::test]
async fn a_policy_that_is_tested_is_told_of_and_not_enforced() {
    let (node, mut host) = node_with_policies(11, |_| {}).await;
    let event = attempt(&node, envelope(&["bob@tested.test"]), MESSAGE).await;
    assert_eq!(event.kind(), EventKind::Delivered, "{event:?}");
    assert!(event.tls.ends_with("not verified"), "{}", event.tls);
    assert_eq!(
        event.detail,
        "the MTA-STS policy of tested.test is not met: the certificate is not for mx.tested.test"
    );
    assert_eq!(host.taken().await.to, ["bob@tested.test"]);
}

#[tokio::test]
async fn a_policy_makes_a_host_known_that_a_message_may_require_tls_of() {
    let (node, _host) = node_with_policies(12, |_| {}).await;
    let event = attempt(&node, requiring_tls("bob@good.test"), MESSAGE).await;
    assert_eq!(said(&event).1, "5.7.30", "{event:?}");
    let event = attempt(&node, requiring_tls("bob@strict.test"), MESSAGE).await;
    assert_eq!(said(&event).1, "5.7.10", "{event:?}");
}

#[tokio::test]
async fn a_session_is_used_for_another_domain_only_if_it_is_good_enough() {
    let (node, host) = node_with_policies(13, |config| {
        config.outbound.sites.first = 1;
        config.outbound.sites.most = 1;
        config.outbound.sites.idle = HumanDuration::from_hours(1);
        config.retry.first = HumanDuration::from_hours(1);
    })
    .await;
    // `strict.test` has no policy, and the host of one that has.
    for recipient in ["bob@strict.test", "bob@good.test", "carol@strict.test"] {
        let event = attempt(&node, envelope(&[recipient]), MESSAGE).await;
        assert_eq!(event.kind(), EventKind::Delivered, "{event:?}");
    }
    assert_eq!(host.connections(), 1);
    let event = attempt(&node, envelope(&["bob@lax.test"]), MESSAGE).await;
    assert_eq!((event.kind(), host.connections()), (EventKind::Delivered, 2), "{event:?}");
    let event = attempt(&node, envelope(&["bob@name.test"]), MESSAGE).await;
    assert_eq!((event.kind(), host.connections()), (EventKind::Deferred, 3), "{event:?}");
    // Nor does a message that requires more use what there is.
    let event = attempt(&node, requiring_tls("bob@good.test"), MESSAGE).await;
    assert_eq!((event.kind(), host.connections()), (EventKind::Bounced, 4), "{event:?}");
}

#[tokio::test]
async fn a_host_that_may_not_have_the_mail_is_passed_over_and_told_of() {
    let authority = Authority::new();
    let mut host = Host::start(ip(14), 0, Offers::starttls(authority.acceptor(&["mx.good.test"])));
    let port = serve(authority.acceptor(&["mta-sts.good.test"]), POLICIES).await;
    let names = Names::default()
        .mx("good.test", 10, "mx.evil.test")
        .mx("good.test", 20, "mx.good.test")
        .a("mx.evil.test", ip(15))
        .a("mx.good.test", ip(14));
    let names = publish(names, &POLICIES[..1]);
    let node = Node::start_with(names, host.address.port(), |config| {
        (config.mta_sts.port, config.tls_roots) = (port, Some(authority.ca()));
    })
    .await;
    let event = attempt(&node, envelope(&["bob@good.test"]), MESSAGE).await;
    assert_eq!(event.kind(), EventKind::Delivered, "{event:?}");
    assert!(event.peer.starts_with("mx.good.test "), "{}", event.peer);
    assert!(event.detail.contains("does not allow the host mx.evil.test"), "{}", event.detail);
    host.taken().await;
}

#[tokio::test]
async fn what_came_of_policies_is_counted_for_the_domains_reports() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results");
    let (node, _host) = node_with_policies(16, |config| config.tls_report.file = Some(file.clone())).await;
    for recipient in ["bob@good.test", "bob@name.test", "bob@host.test"] {
        attempt(&node, envelope(&[recipient]), MESSAGE).await;
    }
    node.stop();
    node.eventually(|| async { file.exists() }).await;
    let counted = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
    for text in
        ["good.test", "the certificate is not for mx.name.test", "does not allow the host mx.host.test"]
    {
        assert!(counted.contains(text), "no {text} in {counted}");
    }
}

#[tokio::test]
async fn a_smart_host_alone_is_told_who_sends_and_under_tls() {
    let authority = Authority::new();
    let login = |password: &str| {
        let (username, password) = (USER.0.to_owned(), password.to_owned());
        move |host: &Host| RouteConfig { username, password, ..to_host(host) }
    };
    let acceptor = authority.acceptor(&["smart.test"]);
    let mut host = Host::start(ip(20), 0, Offers { login: true, ..Offers::starttls(acceptor.clone()) });
    let node = node_with_rule(&authority, login(USER.1)(&host), &host).await;
    let event = attempt(&node, envelope(&["bob@remote.test"]), MESSAGE).await;
    assert_eq!(event.kind(), EventKind::Delivered, "{event:?}");
    assert_eq!(host.taken().await.user, USER.0);

    let node = node_with_rule(&authority, login("wrong")(&host), &host).await;
    let event = attempt(&node, envelope(&["bob@remote.test"]), MESSAGE).await;
    assert_eq!(event.kind(), EventKind::Deferred, "{event:?}");
    assert_eq!(said(&event), (435, "4.7.8".into(), "the login at this host failed: who are you?".into()));

    let another = authority.acceptor(&["another.test"]);
    let other = Host::start(ip(24), 0, Offers { login: true, ..Offers::starttls(another) });
    let node = node_with_rule(&authority, login(USER.1)(&other), &other).await;
    let event = attempt(&node, envelope(&["bob@remote.test"]), MESSAGE).await;
    assert_eq!(event.kind(), EventKind::Deferred, "{event:?}");
    assert!(said(&event).2.contains("the certificate is not for smart.test"), "{event:?}");

    let clear = Host::start(ip(21), 0, Offers::nothing());
    let node = node_with_rule(&authority, login(USER.1)(&clear), &clear).await;
    let event = attempt(&node, envelope(&["bob@remote.test"]), MESSAGE).await;
    assert_eq!(event.kind(), EventKind::Deferred, "{event:?}");
    assert!(said(&event).2.contains("does not offer STARTTLS"), "{event:?}");
}

#[tokio::test]
async fn a_route_has_an_address_and_a_name_of_its_own_to_send_from() {
    let authority = Authority::new();
    let mut host = Host::start(ip(22), 0, Offers::nothing());
    let rule = RouteConfig { source: vec![ip(99).into()], ehlo: "out.example.test".into(), ..to_host(&host) };
    let node = node_with_rule(&authority, rule, &host).await;
    attempt(&node, envelope(&["bob@remote.test"]), MESSAGE).await;
    let taken = host.taken().await;
    assert_eq!((taken.client, taken.hello.as_str()), (Some(ip(99).into()), "out.example.test"));
}

#[tokio::test]
async fn a_route_may_begin_with_tls() {
    let authority = Authority::new();
    let offers = Offers { implicit: true, ..Offers::starttls(authority.acceptor(&["smart.test"])) };
    let mut host = Host::start(ip(23), 0, offers);
    let rule = RouteConfig { implicit_tls: true, tls: RouteTls::Verified, ..to_host(&host) };
    let node = node_with_rule(&authority, rule, &host).await;
    let event = attempt(&node, envelope(&["bob@remote.test"]), MESSAGE).await;
    assert!(event.tls.contains("verified as smart.test"), "{event:?}");
    assert!(host.taken().await.is_encrypted);
}

#[tokio::test]
async fn the_trace_says_why_a_message_went_in_clear() {
    let refuses = Fault { at: Step::StartTls, how: How::Says("454 4.7.0 not now\r\n") };
    for (last, fault, why) in [
        (30, None, "sent in clear: STARTTLS is not offered"),
        (31, Some(refuses), "sent in clear: STARTTLS refused: 454 4.7.0 not now"),
    ] {
        let script = Script { misbehaves: 1, fault, ..Script::default() };
        let exchange = Exchange::start(ip(last), 0, script).await;
        let names = Names::default().a("remote.test", ip(last));
        let node = Node::start(names, exchange.address.port()).await;
        let event = attempt(&node, envelope(&["bob@remote.test"]), MESSAGE).await;
        assert_eq!((event.tls.as_str(), event.detail.as_str()), ("", why));
    }
}
