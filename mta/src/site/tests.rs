//! Sites and addresses, asked of a name server on loopback.

mod exchanges;
mod server;

use std::net::IpAddr;

use super::*;
use crate::routing::{RouteConfig, RouteTo, Router, Sender};
use server::Zone;

/// The sites of a node `mta.example.test` that takes mail at 192.0.2.99 port 25.
async fn sites(zone: Zone) -> Sites {
    let own = Own {
        hostname: Domain::parse("mta.example.test").unwrap(),
        addresses: Vec::new(),
        listeners: vec![([192, 0, 2, 99], 25).into()],
    };
    Sites::new(zone.serve().await, own, 25)
}

async fn resolve(sites: &Sites, domain: &str) -> Result<Arc<Site>, Unroutable> {
    sites.resolve(&Route::Mx { domain: domain.into(), settings: Arc::default() }).await
}

fn status(unroutable: &Unroutable) -> (u32, &str) {
    (unroutable.reply.code, &unroutable.reply.enhanced)
}

/// The hosts by preference, those of equal preference in one string.
fn hosts(site: &Site) -> Vec<String> {
    let join = |group: &Vec<NextHop>| group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    site.groups.iter().map(join).collect()
}

fn addresses(targets: &Targets) -> Vec<String> {
    targets.dial.iter().map(|target| target.address.to_string()).collect()
}

#[tokio::test]
async fn domains_with_the_same_hosts_are_one_site() {
    let zone = Zone::default()
        .mx("one.test", 10, "a.provider.test")
        .mx("one.test", 20, "b.provider.test")
        .mx("two.test", 5, "B.provider.test")
        .mx("two.test", 7, "a.provider.test")
        .mx("three.test", 10, "a.provider.test");
    let sites = sites(zone).await;
    let one = resolve(&sites, "one.test").await.unwrap();
    let two = resolve(&sites, "two.test").await.unwrap();
    assert_eq!(one.name, two.name);
    assert_eq!(one.name.to_string(), "a.provider.test,b.provider.test");
    assert_eq!(hosts(&one), ["a.provider.test", "b.provider.test"]);
    assert_eq!(hosts(&two), ["b.provider.test", "a.provider.test"]);
    assert_ne!(resolve(&sites, "three.test").await.unwrap().name, one.name);
}

#[tokio::test]
async fn a_long_list_of_hosts_has_a_short_name_that_tells_lists_apart() {
    let mut zone = Zone::default();
    for index in 0..40 {
        zone = zone.mx("one.test", index, &format!("host{index}.provider.test"));
        zone = zone.mx("two.test", index, &format!("host{index}.provider.test"));
    }
    let zone = zone.mx("two.test", 41, "z.provider.test");
    let sites = sites(zone).await;
    let one = resolve(&sites, "one.test").await.unwrap().name.to_string();
    assert!(one.len() < 150 && one.starts_with("host0.provider.test,"), "{one}");
    assert_ne!(one, resolve(&sites, "two.test").await.unwrap().name.to_string());
}

#[tokio::test]
async fn a_domain_without_mx_is_its_own_host() {
    let zone = Zone::default().a("plain.test", [192, 0, 2, 1]);
    let sites = sites(zone).await;
    let site = resolve(&sites, "plain.test").await.unwrap();
    assert_eq!(hosts(&site), ["plain.test"]);
    assert_eq!(addresses(&sites.targets(&site).await), ["192.0.2.1:25"]);
}

#[tokio::test]
async fn what_dns_says_becomes_a_reply_for_good_or_for_now() {
    let zone = Zone::default().mx("null.test", 0, "").mx("loop.test", 10, "MTA.example.test").mx(
        "loop.test",
        20,
        "behind.test",
    );
    let sites = sites(zone).await;
    for (domain, code, enhanced) in [
        ("missing.test", 550, "5.1.2"),
        ("null.test", 556, "5.1.10"),
        ("loop.test", 554, "5.4.6"),
        ("broken.test", 451, "4.4.3"),
        ("silent.test", 451, "4.4.3"),
        ("circle.test", 451, "4.4.3"),
    ] {
        let unroutable = resolve(&sites, domain).await.unwrap_err();
        assert_eq!(status(&unroutable), (code, enhanced), "{domain}: {}", unroutable.reply.text);
        assert_eq!(unroutable.is_temporary(), code < 500);
    }
}

#[tokio::test]
async fn aliases_are_followed_at_the_domain_and_at_the_host() {
    let zone = Zone::default()
        .cname("alias.test", "real.test")
        .mx("real.test", 10, "mx.test")
        .cname("mx.test", "host.provider.test")
        .a("host.provider.test", [192, 0, 2, 7]);
    let sites = sites(zone).await;
    let site = resolve(&sites, "alias.test").await.unwrap();
    assert_eq!(hosts(&site), ["mx.test"]);
    let target = sites.targets(&site).await.dial.remove(0);
    assert_eq!((&*target.host, &*target.canonical), ("mx.test", "host.provider.test"));
    assert!(!target.secure && !site.secure);
}

#[tokio::test]
async fn an_address_literal_is_dialled_as_it_is() {
    let sites = sites(Zone::default()).await;
    for (literal, address) in [("[192.0.2.5]", "192.0.2.5:25"), ("[IPv6:2001:db8::5]", "[2001:db8::5]:25")] {
        let site = resolve(&sites, literal).await.unwrap();
        assert_eq!(addresses(&sites.targets(&site).await), [address]);
    }
}

#[tokio::test]
async fn families_alternate_host_by_host() {
    let zone = Zone::default()
        .mx("both.test", 10, "first.test")
        .mx("both.test", 20, "second.test")
        .a("first.test", [192, 0, 2, 1])
        .aaaa("first.test", "2001:db8::1")
        .a("second.test", [192, 0, 2, 2]);
    let sites = sites(zone).await;
    let targets = sites.targets(&resolve(&sites, "both.test").await.unwrap()).await;
    assert_eq!(addresses(&targets), ["[2001:db8::1]:25", "192.0.2.1:25", "192.0.2.2:25"]);
    assert_eq!(targets.failure, None);
}

#[tokio::test]
async fn hosts_that_are_not_there_are_passed_over() {
    let zone = Zone::default()
        .mx("some.test", 10, "missing.test")
        .mx("some.test", 20, "nowhere.test")
        .mx("some.test", 30, "there.test")
        .a("nowhere.test", [0, 0, 0, 0])
        .a("there.test", [192, 0, 2, 3])
        .mx("none.test", 10, "missing.test")
        .mx("later.test", 10, "missing.test")
        .mx("later.test", 20, "broken.test");
    let sites = sites(zone).await;
    let targets = |domain| {
        let sites = sites.clone();
        async move { sites.targets(&resolve(&sites, domain).await.unwrap()).await }
    };
    assert_eq!(addresses(&targets("some.test").await), ["192.0.2.3:25"]);
    for (domain, expected) in [("none.test", (550, "5.4.4")), ("later.test", (451, "4.4.3"))] {
        let targets = targets(domain).await;
        assert_eq!(targets.dial, []);
        assert_eq!(status(&targets.failure.unwrap()), expected);
    }
}

#[tokio::test]
async fn hosts_behind_this_one_are_not_dialled() {
    let zone = Zone::default()
        .mx("backup.test", 10, "primary.test")
        .mx("backup.test", 20, "me.test")
        .mx("backup.test", 20, "peer.test")
        .mx("backup.test", 30, "behind.test")
        .a("primary.test", [192, 0, 2, 1])
        .a("me.test", [192, 0, 2, 99])
        .a("peer.test", [192, 0, 2, 2])
        .a("behind.test", [192, 0, 2, 3])
        .mx("loop.test", 10, "me.test");
    let sites = sites(zone).await;
    let targets = sites.targets(&resolve(&sites, "backup.test").await.unwrap()).await;
    assert_eq!(addresses(&targets), ["192.0.2.1:25"]);
    let targets = sites.targets(&resolve(&sites, "loop.test").await.unwrap()).await;
    assert_eq!(status(&targets.failure.unwrap()), (554, "5.4.6"));
}

#[tokio::test]
async fn a_host_with_many_addresses_does_not_stand_for_all() {
    let mut zone = Zone::default().mx("many.test", 10, "first.test").mx("many.test", 20, "second.test");
    for last in 1..50 {
        zone = zone.a("first.test", [192, 0, 2, last]).a("second.test", [198, 51, 100, last]);
    }
    let sites = sites(zone).await;
    let targets = sites.targets(&resolve(&sites, "many.test").await.unwrap()).await;
    let of = |net: &str| addresses(&targets).iter().filter(|address| address.starts_with(net)).count();
    assert_eq!((of("192.0.2."), of("198.51.100.")), (4, 4));
}

#[tokio::test]
async fn fixed_hosts_keep_their_order_their_ports_and_the_rules_settings() {
    let zone = Zone::default()
        .mx("smart.test", 1, "elsewhere.test")
        .a("smart.test", [192, 0, 2, 8])
        .aaaa("smart.test", "2001:db8::8");
    let sites = sites(zone).await;
    let rule = RouteConfig {
        name: "smart".into(),
        to: RouteTo::Hosts,
        hosts: vec!["smart.test:587".into(), "192.0.2.9".into()],
        source: vec!["192.0.2.50".parse::<IpAddr>().unwrap()],
        port: Some(26),
        ..RouteConfig::default()
    };
    let router = Router::new(&[rule]).unwrap();
    let route = router.route(Sender::default(), &Domain::parse("r.test").unwrap(), false, None);
    let site = sites.resolve(&route).await.unwrap();
    assert_eq!(site.name.to_string(), "smart.test:587,192.0.2.9 (smart)");
    assert_eq!(addresses(&sites.targets(&site).await), ["192.0.2.8:587", "192.0.2.9:26"]);
}

#[tokio::test]
async fn a_smart_host_on_this_machine_is_no_loop_unless_it_is_this_node() {
    let sites = sites(Zone::default()).await;
    let targets = |hop: &str| {
        let hops = [NextHop::parse(hop).unwrap()].into();
        let (sites, route) = (sites.clone(), Route::Hosts { hops, settings: Arc::default() });
        async move { sites.targets(&sites.resolve(&route).await.unwrap()).await }
    };
    assert_eq!(addresses(&targets("192.0.2.99:2525").await), ["192.0.2.99:2525"]);
    assert_eq!(status(&targets("192.0.2.99:25").await.failure.unwrap()), (554, "5.4.6"));
}

#[tokio::test]
async fn a_refusal_is_no_site_and_the_mda_is_one_without_hosts() {
    let sites = sites(Zone::default()).await;
    let refused = Route::Refuse(reply(550, "5.7.1", "no"));
    assert_eq!(sites.resolve(&refused).await.unwrap_err().reply.text, "no");
    assert_eq!(sites.resolve(&Route::Mda).await.unwrap().name.to_string(), "<mda>");
}
