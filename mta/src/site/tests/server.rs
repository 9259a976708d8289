//! A name server on loopback, with a zone that a test writes.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX};
use hickory_resolver::proto::rr::{Name, RData, Record};
use service::config::{DnsConfig, HumanDuration};
use service::dns::Dns;
use tokio::net::UdpSocket;

/// Names and their records. Other names do not exist, but that `broken.test` cannot be resolved, `silent.test` gets no
/// answer at all, and `circle.test` is an alias of itself.
#[derive(Default)]
pub(super) struct Zone(HashMap<String, Vec<RData>>);

impl Zone {
    pub(super) fn mx(self, domain: &str, preference: u16, host: &str) -> Self {
        self.with(domain, RData::MX(MX::new(preference, name(host))))
    }

    pub(super) fn a(self, host: &str, address: [u8; 4]) -> Self {
        self.with(host, RData::A(A(Ipv4Addr::from(address))))
    }

    pub(super) fn aaaa(self, host: &str, address: &str) -> Self {
        self.with(host, RData::AAAA(AAAA(address.parse().unwrap())))
    }

    pub(super) fn cname(self, alias: &str, target: &str) -> Self {
        self.with(alias, RData::CNAME(CNAME(name(target))))
    }

    fn with(mut self, owner: &str, data: RData) -> Self {
        self.0.entry(name(owner).to_ascii()).or_default().push(data);
        self
    }

    /// Serves; returns a resolver that asks there.
    pub(super) async fn serve(self) -> Dns {
        let zone = self.cname("circle.test", "circle.test");
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let servers: Vec<SocketAddr> = vec![socket.local_addr().unwrap()];
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                let query = Message::from_vec(&buffer[..length]).unwrap();
                if let Some(response) = zone.respond(&query) {
                    socket.send_to(&response.to_vec().unwrap(), client).await.unwrap();
                }
            }
        });
        let timeout = HumanDuration::from_millis(500);
        Dns::new(&DnsConfig { servers, timeout, attempts: 0, ..DnsConfig::default() }).unwrap()
    }

    fn respond(&self, query: &Message) -> Option<Message> {
        let question = query.queries[0].clone();
        let owner = question.name().to_ascii().to_lowercase();
        let mut response = Message::response(query.metadata.id, OpCode::Query);
        response.metadata.recursion_available = true;
        response.add_query(question.clone());
        match owner.as_str() {
            "silent.test." => return None,
            "broken.test." => response.metadata.response_code = ResponseCode::ServFail,
            _ => match self.0.get(&owner) {
                Some(records) => {
                    let wanted = |data: &&RData| {
                        data.record_type() == question.query_type() || matches!(data, RData::CNAME(_))
                    };
                    for data in records.iter().filter(wanted) {
                        response.add_answer(Record::from_rdata(question.name().clone(), 300, data.clone()));
                    }
                }
                None => response.metadata.response_code = ResponseCode::NXDomain,
            },
        }
        Some(response)
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{}.", text.to_lowercase())).unwrap()
}
