//! DNSSEC: a root zone that a test signs, with a delegation that is not signed.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_resolver::proto::dnssec::rdata::DNSKEY;
use hickory_resolver::proto::dnssec::{DnssecSigner, SigningKey};
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_server::Server as NameServer;
use hickory_server::dnssec::NxProofKind;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::net::UdpSocket;

use super::server::{Mood, Server};
use super::*;

const SIGNED: &[(&str, RecordType, &str)] = &[
    (".", RecordType::SOA, "ns.test. root.test. 1 3600 3600 3600 60"),
    (".", RecordType::NS, "ns.test."),
    ("ns.test.", RecordType::A, "127.0.0.1"),
    ("mail.test.", RecordType::MX, "10 mx.test."),
    ("alias.test.", RecordType::CNAME, "mail.test."),
    ("outside.test.", RecordType::CNAME, "mx.unsigned.test."),
    ("mx.test.", RecordType::A, "192.0.2.1"),
    (
        "_25._tcp.mx.test.",
        RecordType::TLSA,
        "3 1 1 abababababababababababababababababababababababababababababababab",
    ),
    ("unsigned.test.", RecordType::NS, "ns.unsigned.test."),
    ("ns.unsigned.test.", RecordType::A, "127.0.0.1"),
];

const UNSIGNED: &[(&str, RecordType, &str)] = &[
    ("unsigned.test.", RecordType::SOA, "ns.unsigned.test. root.test. 1 3600 3600 3600 60"),
    ("unsigned.test.", RecordType::NS, "ns.unsigned.test."),
    ("ns.unsigned.test.", RecordType::A, "127.0.0.1"),
    ("unsigned.test.", RecordType::MX, "10 mx.unsigned.test."),
    ("mx.unsigned.test.", RecordType::A, "192.0.2.2"),
    (
        "_25._tcp.mx.unsigned.test.",
        RecordType::TLSA,
        "3 1 1 abababababababababababababababababababababababababababababababab",
    ),
];

type Zone = InMemoryZoneHandler<TokioRuntimeProvider>;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn zone(origin: &str, records: &[(&str, RecordType, &str)], proof: Option<NxProofKind>) -> Zone {
    let mut zone = Zone::empty(name(origin), ZoneType::Primary, AxfrPolicy::Deny, proof);
    for &(owner, kind, text) in records {
        let data = RData::try_from_str(kind, text).unwrap();
        assert!(zone.upsert_mut(Record::from_rdata(name(owner), 300, data), 0), "{owner}");
    }
    zone
}

fn key() -> Ed25519SigningKey {
    Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8().unwrap()).unwrap()
}

/// What somebody on the way makes of an answer about mail in the signed zone.
#[derive(Clone, Copy)]
enum Forgery {
    /// There is none, says a zone that is not signed.
    Denies(ResponseCode),
    /// Records of a zone that is not signed, and forged ones of the right name behind them.
    Misplaces,
    /// There is none, says nobody.
    Empties,
}

/// Where the zones are served, and the file with the root's key.
struct Root {
    address: SocketAddr,
    forgery: Arc<Mutex<Option<Forgery>>>,
    folder: TempDir,
    _servers: [NameServer<Catalog>; 2],
}

impl Root {
    async fn start() -> Self {
        let key = key();
        let folder = tempfile::tempdir().unwrap();
        let public = DNSKEY::from_key(&key.to_public_key().unwrap());
        fs::write(folder.path().join("root.key"), format!(". 300 IN DNSKEY {public}\n")).unwrap();
        let signer = DnssecSigner::new(public, Box::new(key), Name::root(), Duration::from_hours(24));
        let mut signed = zone(".", SIGNED, Some(NxProofKind::Nsec));
        signed.add_zone_signing_key_mut(signer).unwrap();
        signed.secure_zone_mut().unwrap();
        let unsigned = zone("unsigned.test.", UNSIGNED, None);
        let (above, parent) = served(vec![(".", Arc::new(signed))]).await;
        let (below, child) = served(vec![("unsigned.test.", Arc::new(unsigned))]).await;
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let forgery = Arc::<Mutex<Option<Forgery>>>::default();
        tokio::spawn(resolve(socket, above, below, Arc::clone(&forgery)));
        Self { address, forgery, folder, _servers: [parent, child] }
    }

    fn config(&self) -> DnsConfig {
        DnsConfig {
            servers: vec![self.address],
            dnssec: true,
            trust_anchors: Some(self.folder.path().join("root.key")),
            ..DnsConfig::default()
        }
    }
}

async fn served(zones: Vec<(&str, Arc<Zone>)>) -> (SocketAddr, NameServer<Catalog>) {
    let mut catalog = Catalog::new();
    for (origin, zone) in zones {
        catalog.upsert(name(origin).into(), vec![zone]);
    }
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut server = NameServer::new(catalog);
    server.register_socket(socket);
    (address, server)
}

/// A resolver in front of both: the child zone is asked about its names, but for the keys that its parent vouches for.
async fn resolve(
    socket: UdpSocket,
    parent: SocketAddr,
    child: SocketAddr,
    forgery: Arc<Mutex<Option<Forgery>>>,
) {
    let apex = name("unsigned.test.");
    let mut buffer = [0; 4096];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
        let query = Message::from_vec(&buffer[..length]).unwrap();
        let question = &query.queries[0];
        let is_mail = matches!(question.query_type(), RecordType::MX | RecordType::TLSA);
        let forgery = *forgery.lock();
        if let Some(forged) = forgery.filter(|_| is_mail).map(|forgery| forge(&query, forgery)) {
            socket.send_to(&forged.to_vec().unwrap(), client).await.unwrap();
            continue;
        }
        let of_parent = question.query_type() == RecordType::DS && *question.name() == apex;
        let server = if apex.zone_of(question.name()) && !of_parent { child } else { parent };
        let upstream = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        upstream.send_to(&buffer[..length], server).await.unwrap();
        let length = upstream.recv(&mut buffer).await.unwrap();
        socket.send_to(&buffer[..length], client).await.unwrap();
    }
}

fn forge(query: &Message, forgery: Forgery) -> Message {
    let question = query.queries[0].clone();
    let record = |owner: &Name, kind, text| {
        Record::from_rdata(owner.clone(), 300, RData::try_from_str(kind, text).unwrap())
    };
    let other = name("unsigned.test.");
    let mut response = Message::response(query.metadata.id, OpCode::Query);
    response.metadata.recursion_available = true;
    response.add_query(question.clone());
    match forgery {
        Forgery::Denies(code) => response.metadata.response_code = code,
        Forgery::Misplaces => {
            let (kind, text) = match question.query_type() {
                RecordType::MX => (RecordType::MX, "10 mx.unsigned.test."),
                kind => (kind, "3 1 1 cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"),
            };
            response.add_answer(record(&other, kind, text));
            response.add_additional(record(question.name(), kind, text));
        }
        Forgery::Empties => return response,
    }
    let soa = "ns.unsigned.test. root.test. 1 3600 3600 3600 60";
    response.add_authority(record(&other, RecordType::SOA, soa));
    response
}

#[tokio::test]
async fn what_is_signed_is_secure_and_what_is_not_is_not() {
    let root = Root::start().await;
    let dns = Dns::new(&root.config()).unwrap();
    assert!(dns.mx("mail.test").await.unwrap().secure);
    assert!(dns.mx("alias.test").await.unwrap().secure);
    assert!(dns.a("mx.test").await.unwrap().secure);
    let tlsa = dns.tlsa("_25._tcp.mx.test").await.unwrap();
    assert!(tlsa.secure && tlsa.records[0].data == [0xab; 32]);

    assert!(!dns.mx("unsigned.test").await.unwrap().secure);
    assert!(!dns.a("mx.unsigned.test").await.unwrap().secure);
    assert!(!dns.tlsa("_25._tcp.mx.unsigned.test").await.unwrap().secure);
}

#[tokio::test]
async fn an_alias_out_of_a_signed_zone_is_not_secure() {
    let root = Root::start().await;
    let dns = Dns::new(&root.config()).unwrap();
    let answer = dns.a("outside.test").await.unwrap();
    assert_eq!((answer.secure, answer.canonical.as_str()), (false, "mx.unsigned.test"));
}

#[tokio::test]
async fn that_there_is_none_can_be_proven_or_needs_no_proof() {
    let root = Root::start().await;
    let dns = Dns::new(&root.config()).unwrap();
    for _ in 0..2 {
        assert_eq!(dns.tlsa("mx.test").await, Err(DnsError::NoData("mx.test".into())));
        assert_eq!(dns.a("none.test").await, Err(DnsError::NoSuchDomain("none.test".into())));
        assert_eq!(dns.tlsa("unsigned.test").await, Err(DnsError::NoData("unsigned.test".into())));
    }
    assert_eq!(answers(&dns, "TLSA", "server", "none"), 2, "the second time they were remembered");
}

#[tokio::test]
async fn what_another_key_signed_is_bogus_and_waits() {
    let (root, other) = (Root::start().await, Root::start().await);
    let config = DnsConfig { trust_anchors: other.config().trust_anchors, ..root.config() };
    let dns = Dns::new(&config).unwrap();
    assert_eq!(dns.mx("mail.test").await, Err(DnsError::Bogus("mail.test".into())));
    assert_eq!(dns.tlsa("_25._tcp.mx.test").await, Err(DnsError::Bogus("_25._tcp.mx.test".into())));
    assert!(dns.tlsa("mx.test").await.unwrap_err().is_temporary(), "that there is none is not proven either");
}

#[tokio::test]
async fn a_server_that_takes_signatures_away_cannot_make_a_domain_unsigned() {
    let stripping = Server::start(Mood::Well).await;
    let root = Root::start().await;
    let config = DnsConfig { servers: vec![stripping.address], attempts: 0, ..root.config() };
    let dns = Dns::new(&config).unwrap();
    assert!(dns.mx("mail.test").await.unwrap_err().is_temporary());
    assert!(dns.tlsa("_25._tcp.none.test").await.unwrap_err().is_temporary());
}

#[tokio::test]
async fn another_zone_cannot_deny_what_a_signed_zone_holds() {
    let forgeries = [
        Forgery::Denies(ResponseCode::NoError),
        Forgery::Denies(ResponseCode::NXDomain),
        Forgery::Misplaces,
        Forgery::Empties,
    ];
    for forgery in forgeries {
        let root = Root::start().await;
        *root.forgery.lock() = Some(forgery);
        let dns = Dns::new(&DnsConfig { attempts: 0, ..root.config() }).unwrap();
        assert_eq!(dns.tlsa("_25._tcp.mx.test").await, Err(DnsError::Bogus("_25._tcp.mx.test".into())));
        assert_eq!(dns.mx("mail.test").await, Err(DnsError::Bogus("mail.test".into())));
    }
}

#[tokio::test]
async fn a_denial_that_names_no_zone_holds_where_nothing_is_signed() {
    let root = Root::start().await;
    *root.forgery.lock() = Some(Forgery::Empties);
    let dns = Dns::new(&root.config()).unwrap();
    let name = "_25._tcp.mx.unsigned.test";
    assert_eq!(dns.tlsa(name).await, Err(DnsError::NoData(name.into())));
}

#[tokio::test]
async fn names_that_are_nobodys_need_no_proof() {
    let root = Root::start().await;
    let dns = Dns::new(&root.config()).unwrap();
    assert_eq!(dns.mx("host.invalid").await, Err(DnsError::NoSuchDomain("host.invalid".into())));
}

#[tokio::test]
async fn without_dnssec_nothing_is_secure() {
    let root = Root::start().await;
    let dns = Dns::new(&DnsConfig { dnssec: false, ..root.config() }).unwrap();
    assert!(!dns.mx("mail.test").await.unwrap().secure);
    assert!(!dns.tlsa("_25._tcp.mx.test").await.unwrap().secure);
}

#[test]
fn a_file_without_keys_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.key");
    let said = |text: &str| {
        fs::write(&file, text).unwrap();
        let config = DnsConfig { dnssec: true, trust_anchors: Some(file.clone()), ..DnsConfig::default() };
        Dns::check(&config).unwrap_err().to_string()
    };
    let begin = format!("dns.trust_anchors: cannot use {}: ", file.display());
    assert_eq!(said(""), format!("{begin}it holds no DNSKEY of the root"));
    assert!(said("nonsense\n").starts_with(&begin));
}
