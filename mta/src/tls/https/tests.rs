//! A policy host on loopback that follows a script, found by a DNS server on loopback.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, TXT};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use service::config::{DnsConfig, HumanDuration};
use tls_policy::mta_sts::{FetchError, MAX_POLICY_SIZE, Source as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::super::source::Internet;
use super::*;

const POLICY: &str = "version: STSv1\nmode: none\nmax_age: 1\n";

/// What a policy host is asked, and under which name.
type Asked = (Option<String>, String);

struct World {
    internet: Internet,
    https: Https,
    port: u16,
    asked: tokio::sync::mpsc::UnboundedReceiver<Asked>,
}

impl World {
    /// A host with a certificate for `name` that answers each request with `answer`.
    async fn new(name: &str, answer: String) -> Self {
        let (authorities, acceptor) = identity(name);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, answer, sender) = (acceptor.clone(), answer.clone(), sender.clone());
                tokio::spawn(async move { serve(&acceptor, stream, &answer, &sender).await });
            }
        });
        let dns = dns().await;
        let https = Https::new(dns.clone(), authorities, Arc::new(aws_lc_rs::default_provider()));
        let timeout = Duration::from_secs(10);
        let internet = Internet { dns, https: https.clone(), port, timeout };
        Self { internet, https, port, asked }
    }

    async fn with_answer(status: &str, media_type: &str, body: &str) -> Self {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n");
        Self::new("mta-sts.remote.test", format!("{head}{body}")).await
    }

    async fn fetch(&self) -> Result<String, FetchError> {
        let file = self.internet.policy_file("remote.test".into()).await?;
        Ok(String::from_utf8(file).unwrap())
    }
}

async fn serve(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    answer: &str,
    sender: &tokio::sync::mpsc::UnboundedSender<Asked>,
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let name = stream.get_ref().1.server_name().map(str::to_owned);
    let mut request = String::new();
    let is_whole = |request: &str| {
        let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length: ").and_then(|length| length.parse::<usize>().ok())
        });
        body.len() >= length.unwrap_or(0)
    };
    while !is_whole(&request) {
        let mut piece = [0; 1024];
        let read = stream.read(&mut piece).await?;
        request.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    let _ = sender.send((name, request));
    if answer.is_empty() {
        return std::future::pending().await;
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// An authority, and a server with a certificate of its.
fn identity(name: &str) -> (Arc<RootCertStore>, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &*authority).unwrap();
    let mut authorities = RootCertStore::empty();
    authorities.add(authority.der().clone()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    (Arc::new(authorities), TlsAcceptor::from(Arc::new(config)))
}

/// Knows addresses of every name below `remote.test`, and one text; fails below `broken.test`.
async fn dns() -> Dns {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let servers: Vec<SocketAddr> = vec![socket.local_addr().unwrap()];
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_vec(&buffer[..length]).unwrap();
            socket.send_to(&respond(&query).to_vec().unwrap(), client).await.unwrap();
        }
    });
    let timeout = HumanDuration::from_secs(5);
    Dns::new(&DnsConfig { servers, timeout, attempts: 0, ..DnsConfig::default() }).unwrap()
}

fn respond(query: &Message) -> Message {
    let question = query.queries[0].clone();
    let name = question.name().to_ascii().to_lowercase();
    let mut response = Message::response(query.metadata.id, OpCode::Query);
    response.metadata.recursion_available = true;
    response.add_query(question.clone());
    let mut add = |data| {
        response.add_answer(Record::from_rdata(question.name().clone(), 300, data));
    };
    match question.query_type() {
        RecordType::A if name.ends_with("remote.test.") => add(RData::A(A(Ipv4Addr::LOCALHOST))),
        RecordType::TXT if name.starts_with("_mta-sts.remote.test.") => {
            add(RData::TXT(TXT::new(vec!["v=STSv1; ".into(), "id=1".into()])));
        }
        _ if name.ends_with("broken.test.") => response.metadata.response_code = ResponseCode::ServFail,
        _ if name.ends_with("remote.test.") => {}
        _ => response.metadata.response_code = ResponseCode::NXDomain,
    }
    response
}

#[tokio::test]
async fn a_policy_is_what_its_host_serves_at_the_well_known_place() {
    let mut world = World::with_answer("200 OK", "text/plain; charset=utf-8", POLICY).await;
    assert_eq!(world.fetch().await.unwrap(), POLICY);
    let (name, request) = world.asked.recv().await.unwrap();
    assert_eq!(name.as_deref(), Some("mta-sts.remote.test"));
    assert!(request.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\n"), "{request}");
    let host = format!("host: mta-sts.remote.test:{}\r\n", world.port);
    assert!(request.contains(&host), "{request}");
}

#[tokio::test]
async fn what_is_no_policy_is_not_taken_for_one() {
    let large = "x".repeat(MAX_POLICY_SIZE + 2);
    for (status, media_type, body, said) in [
        ("301 Moved Permanently\r\nLocation: https://elsewhere.remote.test/", "text/plain", POLICY, "301"),
        ("404 Not Found", "text/plain", POLICY, "404"),
        ("500 Internal Server Error", "text/plain", POLICY, "500"),
        ("200 OK", "text/html", POLICY, "text/html"),
        ("200 OK", "application/octet-stream", POLICY, "octet-stream"),
        ("200 OK", "text/plain", large.as_str(), "length limit exceeded"),
    ] {
        let world = World::with_answer(status, media_type, body).await;
        let Err(FetchError::Unavailable(reason)) = world.fetch().await else { panic!("{status} was taken") };
        assert!(reason.contains(said), "{reason}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n";
    let world = World::new("mta-sts.remote.test", format!("{head}{POLICY}")).await;
    assert!(matches!(world.fetch().await, Err(FetchError::Unavailable(_))));
}

#[tokio::test]
async fn a_host_with_another_ones_certificate_is_not_believed() {
    let world = World::new("www.remote.test", "HTTP/1.1 200 OK\r\n\r\n".into()).await;
    let Err(FetchError::Certificate(reason)) = world.fetch().await else { panic!("it was believed") };
    assert!(reason.contains("the certificate is not for mta-sts.remote.test"), "{reason}");
}

#[tokio::test]
async fn a_host_that_says_nothing_is_given_up() {
    let mut world = World::new("mta-sts.remote.test", String::new()).await;
    world.internet.timeout = Duration::from_millis(300);
    let Err(FetchError::Unavailable(reason)) = world.fetch().await else { panic!("it said something") };
    assert_eq!(reason, "mta-sts.remote.test took too long");
}

#[tokio::test]
async fn records_that_are_not_there_are_told_from_those_that_are_not_known_now() {
    let world = World::with_answer("200 OK", "text/plain", POLICY).await;
    let texts = |name: &str| world.internet.texts(name.into());
    assert_eq!(texts("_mta-sts.remote.test").await.unwrap(), ["v=STSv1; id=1"]);
    assert_eq!(texts("other.remote.test").await.unwrap(), [""; 0]);
    assert_eq!(texts("_mta-sts.missing.test").await.unwrap(), [""; 0]);
    assert!(texts("_mta-sts.broken.test").await.is_err());
    let missing = world.internet.policy_file("missing.test".into()).await;
    assert!(matches!(missing, Err(FetchError::Unavailable(_))));
}

#[tokio::test]
async fn a_report_is_posted_with_its_media_type() {
    let mut world =
        World::new("reports.remote.test", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".into()).await;
    let query = Query {
        host: "reports.remote.test",
        port: world.port,
        path: "/v1/tlsrpt?a=b",
        post: Some((Bytes::from_static(b"packed"), "application/tlsrpt+gzip")),
        limit: 100,
        within: Duration::from_secs(10),
    };
    assert_eq!(world.https.ask(query).await.unwrap().status, StatusCode::CREATED);
    let (_, request) = world.asked.recv().await.unwrap();
    assert!(request.starts_with("POST /v1/tlsrpt?a=b HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/tlsrpt+gzip\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\npacked"), "{request}");
}
