//! A name server on loopback, over UDP, that can fall silent.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, SOA, TLSA, TXT, tlsa};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use parking_lot::Mutex;
use tokio::net::UdpSocket;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Silent,
    Fails,
    Refuses,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) async fn start(mood: Mood) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (mood, asked) = (Arc::new(Mutex::new(mood)), Arc::<Mutex<Vec<String>>>::default());
        let server = Self { address, mood: Arc::clone(&mood), asked: Arc::clone(&asked) };
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                let query = Message::from_vec(&buffer[..length]).unwrap();
                asked.lock().push(query.queries[0].name().to_ascii());
                let mood = *mood.lock();
                if let Some(response) = respond(&query, mood) {
                    socket.send_to(&response.to_vec().unwrap(), client).await.unwrap();
                }
            }
        });
        server
    }

    pub(super) fn set(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// Whether it was asked about a name, with its final dot.
    pub(super) fn was_asked(&self, name: &str) -> bool {
        self.asked.lock().iter().any(|asked| asked == name)
    }
}

fn respond(query: &Message, mood: Mood) -> Option<Message> {
    let question = query.queries[0].clone();
    let mut response = Message::response(query.metadata.id, OpCode::Query);
    response.metadata.recursion_available = true;
    response.add_query(question.clone());
    let owner = question.name().to_ascii().to_lowercase();
    match mood {
        Mood::Silent => return None,
        Mood::Fails => response.metadata.response_code = ResponseCode::ServFail,
        Mood::Refuses => response.metadata.response_code = ResponseCode::Refused,
        Mood::Well => match owner.as_str() {
            "silent.test." => return None,
            "broken.test." => response.metadata.response_code = ResponseCode::ServFail,
            _ => answer(&owner, question.query_type(), &mut response),
        },
    }
    Some(response)
}

fn answer(owner: &str, kind: RecordType, response: &mut Message) {
    let mut add = |owner: &str, ttl, data| {
        response.add_answer(Record::from_rdata(name(owner), ttl, data));
    };
    match (owner, kind) {
        ("mail.test.", RecordType::MX) => {
            add(owner, 300, RData::MX(MX::new(20, name("B.mail.test."))));
            add(owner, 300, RData::MX(MX::new(10, name("a.mail.test."))));
        }
        ("null.test.", RecordType::MX) => add(owner, 300, RData::MX(MX::new(0, Name::root()))),
        ("alias.test.", RecordType::MX) => {
            add(owner, 300, RData::CNAME(CNAME(name("real.test."))));
            add("real.test.", 300, RData::MX(MX::new(5, name("mx.real.test."))));
        }
        ("xn--bcher-kva.test.", RecordType::MX) => {
            add(owner, 300, RData::MX(MX::new(1, name("mx.xn--bcher-kva.test."))));
        }
        ("hop.test.", _) => add(owner, 300, RData::CNAME(CNAME(name("mail.test.")))),
        ("circle.test.", _) => add(owner, 300, RData::CNAME(CNAME(name("again.test.")))),
        ("again.test.", _) => add(owner, 300, RData::CNAME(CNAME(name("circle.test.")))),
        ("mail.test.", RecordType::A) => add(owner, 300, RData::A(A(Ipv4Addr::new(192, 0, 2, 1)))),
        ("moment.test.", RecordType::A) => add(owner, 0, RData::A(A(Ipv4Addr::new(192, 0, 2, 1)))),
        ("mail.test.", RecordType::AAAA) => {
            add(owner, 300, RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)));
        }
        ("mail.test.", RecordType::TXT) => {
            add(owner, 300, RData::TXT(TXT::new(vec!["v=STSv1; ".into(), "id=1;".into()])));
        }
        ("_25._tcp.mail.test.", RecordType::TLSA) => {
            let usage = tlsa::CertUsage::DaneEe;
            let data = TLSA::new(usage, tlsa::Selector::Spki, tlsa::Matching::Sha256, vec![0xab; 32]);
            add(owner, 300, RData::TLSA(data));
        }
        ("1.2.0.192.in-addr.arpa.", RecordType::PTR) => add(owner, 300, RData::PTR(PTR(name("Mail.test.")))),
        ("nodata.test.", _) => {}
        ("gone.test.", _) => {
            // The lesser of the two counts: its own time to live.
            let soa = SOA::new(name("ns.test."), name("root.test."), 1, 1, 1, 1, 600);
            response.add_authority(Record::from_rdata(name("test."), 60, RData::SOA(soa)));
            response.metadata.response_code = ResponseCode::NXDomain;
        }
        _ => response.metadata.response_code = ResponseCode::NXDomain,
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}
