//! What answers mean.

use super::server::{Mood, Server};
use super::*;

async fn resolver() -> Dns {
    asking(&[&Server::start(Mood::Well).await])
}

#[tokio::test]
async fn exchangers_come_with_preference_and_time_to_live() {
    let mut answer = resolver().await.mx("mail.test").await.unwrap();
    answer.records.sort();
    let mx = |preference, exchange: &str| Mx { preference, exchange: exchange.to_owned() };
    assert_eq!(answer.records, [mx(10, "a.mail.test"), mx(20, "b.mail.test")]);
    let (most, least) = (Duration::from_mins(5), Duration::from_mins(4));
    assert!(answer.ttl <= most && answer.ttl > least, "{:?}", answer.ttl);
    assert!(!answer.secure);
}

#[tokio::test]
async fn a_null_mx_is_the_empty_name() {
    let answer = resolver().await.mx("null.test").await.unwrap();
    assert_eq!(answer.records, [Mx { preference: 0, exchange: String::new() }]);
}

#[tokio::test]
async fn aliases_are_followed_and_only_exchangers_returned() {
    let answer = resolver().await.mx("alias.test").await.unwrap();
    assert_eq!(answer.records, [Mx { preference: 5, exchange: "mx.real.test".to_owned() }]);
    assert_eq!(answer.canonical, "real.test");
}

#[tokio::test]
async fn an_alias_that_comes_alone_is_followed_by_another_question() {
    let answer = resolver().await.a("hop.test").await.unwrap();
    assert_eq!((answer.records[0], answer.canonical.as_str()), (Ipv4Addr::new(192, 0, 2, 1), "mail.test"));
}

#[tokio::test]
async fn aliases_in_a_circle_may_be_mended() {
    let error = resolver().await.mx("circle.test").await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
}

#[tokio::test]
async fn international_names_are_asked_for_in_ascii() {
    let answer = resolver().await.mx("bücher.test").await.unwrap();
    assert_eq!(answer.records[0].exchange, "mx.xn--bcher-kva.test");
}

#[tokio::test]
async fn records_are_of_the_type_asked_for() {
    let dns = resolver().await;
    assert_eq!(dns.a("mail.test").await.unwrap().records, [Ipv4Addr::new(192, 0, 2, 1)]);
    let six: Ipv6Addr = "2001:db8::1".parse().unwrap();
    assert_eq!(dns.aaaa("mail.test").await.unwrap().records, [six]);
    assert_eq!(dns.txt("mail.test").await.unwrap().records, ["v=STSv1; id=1;"]);
    let tlsa = Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0xab; 32] };
    assert_eq!(dns.tlsa("_25._tcp.mail.test").await.unwrap().records, [tlsa]);
    for address in ["192.0.2.1", "::ffff:192.0.2.1"] {
        assert_eq!(dns.ptr(address.parse().unwrap()).await.unwrap().records, ["mail.test"]);
    }
}

#[tokio::test]
async fn no_domain_no_data_and_no_answer_are_told_apart() {
    let dns = resolver().await;
    assert!(matches!(dns.mx("nowhere.test").await, Err(DnsError::NoSuchDomain(_))));
    assert!(matches!(dns.mx("nodata.test").await, Err(DnsError::NoData(_))));
    assert!(matches!(dns.mx("broken.test").await, Err(DnsError::Temporary { .. })));
    assert!(matches!(dns.mx("silent.test").await, Err(DnsError::Temporary { .. })));
    let too_long = format!("{}.test", "x".repeat(64));
    assert!(matches!(dns.mx(&too_long).await, Err(DnsError::InvalidName(_))));
}
