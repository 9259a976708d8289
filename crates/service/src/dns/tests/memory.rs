//! What is remembered, and who is asked when.

use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::server::{Mood, Server};
use super::*;

#[tokio::test]
async fn an_answer_is_asked_for_once_within_its_time() {
    let server = Server::start(Mood::Well).await;
    let dns = asking(&[&server]);
    for _ in 0..3 {
        dns.mx("mail.test").await.unwrap();
    }
    assert_eq!((answers(&dns, "MX", "server", "found"), answers(&dns, "MX", "cache", "found")), (1, 2));
    pass(Duration::from_secs(301)).await;
    dns.mx("mail.test").await.unwrap();
    assert_eq!(answers(&dns, "MX", "server", "found"), 2);
}

#[tokio::test]
async fn many_who_ask_at_once_cause_one_query() {
    let server = Server::start(Mood::Well).await;
    let dns = asking(&[&server]);
    // Not even remembered: its time to live is 0.
    let asked = join_all((0..50).map(|_| dns.a("moment.test"))).await;
    assert!(asked.iter().all(Result::is_ok));
    assert_eq!(answers(&dns, "A", "server", "found"), 1);
    dns.a("moment.test").await.unwrap();
    assert_eq!(answers(&dns, "A", "server", "found"), 2);
}

#[tokio::test]
async fn who_goes_away_takes_the_answer_from_nobody() {
    let server = Server::start(Mood::Well).await;
    let dns = asking(&[&server]);
    assert!(dns.mx("mail.test").now_or_never().is_none(), "it asks and goes away");
    dns.mx("mail.test").await.unwrap();
    assert_eq!(answers(&dns, "MX", "server", "found"), 1);
}

#[tokio::test]
async fn that_there_is_none_is_remembered_as_long_as_the_zone_says() {
    let server = Server::start(Mood::Well).await;
    let dns = asking(&[&server]);
    for _ in 0..2 {
        assert_eq!(dns.a("gone.test").await, Err(DnsError::NoSuchDomain("gone.test".into())));
    }
    assert_eq!(answers(&dns, "A", "server", "none"), 1);
    pass(Duration::from_secs(61)).await;
    assert!(dns.a("gone.test").await.is_err());
    assert_eq!(answers(&dns, "A", "server", "none"), 2);
    // A zone that does not say how long is asked each time.
    assert!(dns.mx("nodata.test").await.is_err() && dns.mx("nodata.test").await.is_err());
    assert_eq!(answers(&dns, "MX", "server", "none"), 2);
}

#[tokio::test]
async fn a_failure_is_remembered_for_seconds() {
    let server = Server::start(Mood::Well).await;
    let dns = asking(&[&server]);
    assert!(dns.mx("broken.test").await.is_err() && dns.mx("broken.test").await.is_err());
    assert_eq!(answers(&dns, "MX", "server", "failed"), 1);
    pass(Duration::from_secs(6)).await;
    assert!(dns.mx("broken.test").await.is_err());
    assert_eq!(answers(&dns, "MX", "server", "failed"), 2);
}

#[tokio::test]
async fn what_was_known_serves_while_the_servers_are_away_and_for_a_day_at_most() {
    for away in [Mood::Silent, Mood::Fails] {
        let server = Server::start(Mood::Well).await;
        let dns = asking(&[&server]);
        let known = dns.mx("mail.test").await.unwrap().records;
        dns.tlsa("_25._tcp.mail.test").await.unwrap();
        server.set(away);
        pass(Duration::from_mins(6)).await;
        let stale = dns.mx("mail.test").await.unwrap();
        assert_eq!(stale.records, known);
        assert!(stale.ttl <= Duration::from_secs(30), "it is asked for again soon");
        assert_eq!(answers(&dns, "MX", "stale", "found"), 1);
        assert!(dns.tlsa("_25._tcp.mail.test").await.unwrap_err().is_temporary(), "{away:?}");
        assert!(dns.mx("never-asked.test").await.unwrap_err().is_temporary());

        pass(Duration::from_hours(24)).await;
        assert!(dns.mx("mail.test").await.unwrap_err().is_temporary(), "{away:?}");
        server.set(Mood::Well);
        pass(Duration::from_secs(31)).await;
        assert_eq!(dns.mx("mail.test").await.unwrap().records, known);
    }
}

#[tokio::test]
async fn once_the_servers_are_known_to_be_away_nobody_waits_for_them() {
    let server = Server::start(Mood::Well).await;
    let dns = asking(&[&server]);
    dns.mx("mail.test").await.unwrap();
    dns.a("mail.test").await.unwrap();
    server.set(Mood::Silent);
    pass(Duration::from_mins(6)).await;
    dns.mx("mail.test").await.unwrap();
    let at_once = dns.a("mail.test").now_or_never().unwrap();
    assert_eq!(at_once.unwrap().records, [Ipv4Addr::new(192, 0, 2, 1)]);
    // They are asked all the same, and believed once they are back.
    server.set(Mood::Well);
    pass(Duration::from_secs(31)).await;
    while answers(&dns, "A", "server", "found") < 2 {
        assert!(dns.a("mail.test").await.is_ok());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_domain_that_is_gone_is_gone_although_it_was_known() {
    let server = Server::start(Mood::Silent).await;
    let dns = asking(&[&server]);
    server.set(Mood::Well);
    assert_eq!(dns.a("gone.test").await, Err(DnsError::NoSuchDomain("gone.test".into())));
    server.set(Mood::Silent);
    pass(Duration::from_mins(2)).await;
    assert!(
        dns.a("gone.test").await.unwrap_err().is_temporary(),
        "mail is not given up for what was once so"
    );
}

#[tokio::test]
async fn the_next_server_answers_for_one_that_does_not_and_is_asked_first_from_then_on() {
    for mood in [Mood::Silent, Mood::Fails, Mood::Refuses] {
        let (bad, good) = (Server::start(mood).await, Server::start(Mood::Well).await);
        let dns = asking(&[&bad, &good]);
        dns.mx("mail.test").await.unwrap();
        assert!(bad.was_asked("mail.test."));
        dns.mx("alias.test").await.unwrap();
        assert!(!bad.was_asked("alias.test."), "{mood:?}");
        // And back, once that one is of no use.
        bad.set(Mood::Well);
        good.set(Mood::Silent);
        dns.mx("null.test").await.unwrap();
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_passed_over() {
    let good = Server::start(Mood::Well).await;
    let mut config = config(&[&good]);
    config.servers.insert(0, ([127, 0, 0, 1], 1).into());
    Dns::new(&config).unwrap().mx("mail.test").await.unwrap();
}

#[tokio::test]
async fn silence_is_asked_again_and_a_refusal_is_not() {
    let server = Server::start(Mood::Silent).await;
    let config = DnsConfig { attempts: 50, ..config(&[&server]) };
    let dns = Dns::new(&config).unwrap();
    let asking = tokio::spawn(async move { dns.mx("mail.test").await });
    while !server.was_asked("mail.test.") {
        tokio::task::yield_now().await;
    }
    server.set(Mood::Well);
    asking.await.unwrap().unwrap();
}
