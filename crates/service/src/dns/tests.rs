//! Answers of a real server on loopback, over UDP.

use std::net::SocketAddr;

use hickory_resolver::proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{
        Record,
        rdata::{A, AAAA, CNAME, MX},
    },
};
use tokio::net::UdpSocket;

use super::*;
use crate::config::HumanDuration;

/// Answers by name, and is silent about `silent.test`.
async fn serve(socket: UdpSocket) {
    let mut buffer = [0; 1500];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
        let query = Message::from_vec(&buffer[..length]).unwrap();
        if let Some(response) = respond(&query) {
            socket.send_to(&response.to_vec().unwrap(), client).await.unwrap();
        }
    }
}

fn respond(query: &Message) -> Option<Message> {
    let question = query.queries[0].clone();
    let name = question.name().clone();
    let mut response = Message::response(query.metadata.id, OpCode::Query);
    response.metadata.recursion_available = true;
    response.add_query(question.clone());
    let record = |name: &Name, data: RData| Record::from_rdata(name.clone(), 300, data);
    let host = |text: &str| Name::from_ascii(text).unwrap();
    match (name.to_ascii().to_lowercase().as_str(), question.query_type()) {
        ("mail.test.", RecordType::MX) => {
            response.add_answer(record(&name, RData::MX(MX::new(20, host("B.mail.test.")))));
            response.add_answer(record(&name, RData::MX(MX::new(10, host("a.mail.test.")))));
        }
        ("null.test.", RecordType::MX) => {
            response.add_answer(record(&name, RData::MX(MX::new(0, Name::root()))));
        }
        ("alias.test.", RecordType::MX) => {
            let real = host("real.test.");
            response.add_answer(record(&name, RData::CNAME(CNAME(real.clone()))));
            response.add_answer(record(&real, RData::MX(MX::new(5, host("mx.real.test.")))));
        }
        ("xn--bcher-kva.test.", RecordType::MX) => {
            response.add_answer(record(&name, RData::MX(MX::new(1, host("mx.xn--bcher-kva.test.")))));
        }
        ("mail.test.", RecordType::A) => {
            response.add_answer(record(&name, RData::A(A::new(192, 0, 2, 1))));
        }
        ("mail.test.", RecordType::AAAA) => {
            response.add_answer(record(&name, RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))));
        }
        ("nodata.test.", _) => {}
        ("broken.test.", _) => response.metadata.response_code = ResponseCode::ServFail,
        ("silent.test.", _) => return None,
        _ => response.metadata.response_code = ResponseCode::NXDomain,
    }
    Some(response)
}

async fn resolver() -> Dns {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let servers: Vec<SocketAddr> = vec![socket.local_addr().unwrap()];
    tokio::spawn(serve(socket));
    let timeout = HumanDuration::from_millis(200);
    Dns::new(&DnsConfig { servers, timeout, attempts: 0, ..DnsConfig::default() }).unwrap()
}

#[tokio::test]
async fn exchangers_come_with_preference_and_time_to_live() {
    let mut answer = resolver().await.mx("mail.test").await.unwrap();
    answer.records.sort();
    let mx = |preference, exchange: &str| Mx { preference, exchange: exchange.to_owned() };
    assert_eq!(answer.records, [mx(10, "a.mail.test"), mx(20, "b.mail.test")]);
    assert!(
        answer.ttl <= Duration::from_mins(5) && answer.ttl > Duration::from_secs(200),
        "{:?}",
        answer.ttl
    );
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
}

#[tokio::test]
async fn international_names_are_asked_for_in_ascii() {
    let answer = resolver().await.mx("bücher.test").await.unwrap();
    assert_eq!(answer.records[0].exchange, "mx.xn--bcher-kva.test");
}

#[tokio::test]
async fn addresses_are_of_the_type_asked_for() {
    let dns = resolver().await;
    assert_eq!(dns.a("mail.test").await.unwrap().records, [Ipv4Addr::new(192, 0, 2, 1)]);
    let six: Ipv6Addr = "2001:db8::1".parse().unwrap();
    assert_eq!(dns.aaaa("mail.test").await.unwrap().records, [six]);
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
