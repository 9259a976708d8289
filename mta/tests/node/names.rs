//! A DNS server on loopback.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, MX, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

/// What the server knows. Other names do not exist, `broken.test` with all below it cannot be resolved, and to questions
/// about `silent.test` and all below it there is no answer.
#[derive(Clone, Default)]
pub struct Names {
    records: HashMap<String, Vec<RData>>,
    restless: Option<Restless>,
    silence: Silence,
}

/// A domain whose mail goes to another host with each answer. All of them are at one address.
#[derive(Clone)]
struct Restless {
    domain: String,
    address: Ipv4Addr,
    answers: Arc<AtomicUsize>,
}

impl Restless {
    fn answer(&self, name: &str, wanted: RecordType) -> Option<RData> {
        let Self { domain, address, answers } = self;
        match wanted {
            RecordType::MX if name == domain => {
                let host = format!("mx{}.{domain}", answers.fetch_add(1, Ordering::SeqCst));
                Some(RData::MX(MX::new(0, Name::from_ascii(host).unwrap())))
            }
            RecordType::A if name != domain && name.ends_with(domain) => Some(RData::A(A(*address))),
            _ => None,
        }
    }
}

/// Whether the server answers nobody at all.
pub type Silence = Arc<AtomicBool>;

impl Names {
    pub fn mx(mut self, domain: &str, preference: u16, host: &str) -> Self {
        let data = RData::MX(MX::new(preference, Name::from_ascii(format!("{host}.")).unwrap()));
        self.records.entry(format!("{domain}.")).or_default().push(data);
        self
    }

    pub fn a(mut self, host: &str, address: Ipv4Addr) -> Self {
        self.records.entry(format!("{host}.")).or_default().push(RData::A(A(address)));
        self
    }

    /// Each answer about the MX of `domain` names another host, and none is to be remembered; all are at `address`.
    pub fn restless(mut self, domain: &str, address: Ipv4Addr) -> Self {
        self.restless = Some(Restless { domain: format!("{domain}."), address, answers: Arc::default() });
        self
    }

    pub fn txt(mut self, name: &str, text: &str) -> Self {
        let data = RData::TXT(TXT::new(vec![text.to_owned()]));
        self.records.entry(format!("{name}.")).or_default().push(data);
        self
    }

    /// What makes the server fall silent.
    pub fn silence(&self) -> Silence {
        Arc::clone(&self.silence)
    }

    /// Serves; returns where.
    pub async fn start(self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                let query = Message::from_vec(&buffer[..length]).unwrap();
                let name = query.queries[0].name().to_ascii().to_lowercase();
                if !self.silence.load(Ordering::SeqCst) && !name.ends_with("silent.test.") {
                    socket.send_to(&self.respond(&query).to_vec().unwrap(), client).await.unwrap();
                }
            }
        });
        address
    }

    fn respond(&self, query: &Message) -> Message {
        let question = query.queries[0].clone();
        let name = question.name().to_ascii().to_lowercase();
        let mut response = Message::response(query.metadata.id, OpCode::Query);
        response.metadata.recursion_available = true;
        response.add_query(question.clone());
        if name.ends_with("broken.test.") {
            response.metadata.response_code = ResponseCode::ServFail;
        } else if let Some(data) =
            self.restless.as_ref().and_then(|restless| restless.answer(&name, question.query_type()))
        {
            response.add_answer(Record::from_rdata(question.name().clone(), 0, data));
        } else if let Some(records) = self.records.get(&name) {
            let wanted = |data: &&RData| match question.query_type() {
                RecordType::MX => matches!(data, RData::MX(_)),
                RecordType::A => matches!(data, RData::A(_)),
                RecordType::TXT => matches!(data, RData::TXT(_)),
                _ => false,
            };
            for data in records.iter().filter(wanted) {
                response.add_answer(Record::from_rdata(question.name().clone(), 300, data.clone()));
            }
        } else {
            response.metadata.response_code = ResponseCode::NXDomain;
        }
        response
    }
}
