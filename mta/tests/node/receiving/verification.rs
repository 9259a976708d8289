//! Addresses that are tried out at their next hop.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::client::Client;
use crate::names::Names;
use crate::node::Node;
use crate::stranger;

/// The next hop of `remote.test`: it does not know `unknown@`, is not sure of `later@`, says nothing of `slow@`, takes international addresses, and
/// remembers what it is asked.
struct Hop {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Hop {
    /// `refuses_null`: it takes no mail from the null reverse-path.
    async fn start(ip: Ipv4Addr, refuses_null: bool) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let (address, heard) = (listener.local_addr().unwrap(), Arc::new(Mutex::default()));
        let all = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(stream, Arc::clone(&all), refuses_null));
            }
        });
        Self { address, heard }
    }

    /// Senders, recipients, and whatever came beside EHLO, QUIT and RSET.
    fn heard(&self) -> Vec<String> {
        let is_asked = |line: &String| !["EHLO", "QUIT", "RSET"].contains(&&line[..line.len().min(4)]);
        self.heard.lock().iter().filter(|line| is_asked(line)).cloned().collect()
    }
}

async fn converse(
    stream: TcpStream,
    heard: Arc<Mutex<Vec<String>>>,
    refuses_null: bool,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mx.remote.test ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        heard.lock().push(line.to_owned());
        if line.starts_with("RCPT TO:<slow@") {
            std::future::pending::<()>().await;
        }
        let reply = match line {
            _ if line.starts_with("EHLO ") => "250-mx.remote.test\r\n250-8BITMIME\r\n250 SMTPUTF8",
            _ if line.starts_with("MAIL FROM:<>") && refuses_null => "550 5.7.1 who are you",
            _ if line.starts_with("RCPT TO:<unknown@") => "550 5.1.1 no such user",
            _ if line.starts_with("RCPT TO:<later@") => "451 4.3.0 ask again",
            _ => "250 2.0.0 ok",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
}

async fn node(last: u8, senders: bool) -> (Node, Hop) {
    node_before(Hop::start(Ipv4Addr::new(127, 0, 6, last), false).await, senders).await
}

async fn node_before(hop: Hop, senders: bool) -> (Node, Hop) {
    let IpAddr::V4(ip) = hop.address.ip() else { panic!("{}", hop.address) };
    let names = Names::default().mx("remote.test", 10, "mx.remote.test").a("mx.remote.test", ip);
    let node = Node::start_with(names, hop.address.port(), |config| {
        stranger::listen_to_proxy(config);
        config.receiving.relay_domains = vec!["remote.test".into(), "broken.test".into()];
        config.receiving.verify.senders = senders;
    })
    .await;
    (node, hop)
}

#[tokio::test]
async fn recipients_of_relayed_domains_are_asked_for_once_and_before_they_are_taken() {
    let (node, hop) = node(1, false).await;
    for _ in 0..2 {
        let mut client = Client::connect(node.smtp).await;
        client.say("MAIL FROM:<a@elsewhere.test>").await;
        for (recipient, expected) in [
            ("bob@remote.test", "250 2.1.5 recipient ok"),
            ("unknown@remote.test", "550 5.1.1 the recipient's server refuses the recipient: no such user"),
            ("later@remote.test", "450 4.1.1 the recipient cannot be verified now, try again later"),
            ("bob@broken.test", "450 4.1.1 the recipient cannot be verified now, try again later"),
            ("bob@elsewhere.test", "554 5.7.1 relaying denied"),
        ] {
            assert_eq!(client.say(&format!("RCPT TO:<{recipient}>")).await, expected);
        }
    }
    let once = |name: &str| ["MAIL FROM:<>".to_owned(), format!("RCPT TO:<{name}@remote.test>")];
    assert_eq!(hop.heard(), [once("bob"), once("unknown"), once("later")].concat());
}

#[tokio::test]
async fn senders_are_asked_for_where_that_is_wanted() {
    let (node, hop) = node(2, true).await;
    for (sender, expected) in [
        ("unknown@remote.test", "550 5.1.8 the sender's server does not know the sender: no such user"),
        ("later@remote.test", "450 4.1.8 the sender cannot be verified now, try again later"),
        ("bob@remote.test", "250 2.1.0 sender ok"),
        // Not for the null reverse-path, which is nobody's, nor for one of ours.
        ("", "250 2.1.0 sender ok"),
        ("nobody@example.test", "250 2.1.0 sender ok"),
    ] {
        let mut client = stranger::greeted(&node, "192.0.2.1").await;
        assert_eq!(client.say(&format!("MAIL FROM:<{sender}>")).await, expected);
    }
    assert_eq!(hop.heard().len(), 6, "{:?}", hop.heard());
    assert!(hop.heard().iter().step_by(2).all(|line| line == "MAIL FROM:<>"));
}

#[tokio::test]
async fn an_international_address_is_asked_for_as_such() {
    let (node, hop) = node(3, false).await;
    let mut client = Client::connect(node.smtp).await;
    client.say("MAIL FROM:<a@elsewhere.test> SMTPUTF8").await;
    assert_eq!(client.say("RCPT TO:<jürgen@remote.test>").await, "250 2.1.5 recipient ok");
    assert_eq!(hop.heard(), ["MAIL FROM:<> SMTPUTF8", "RCPT TO:<jürgen@remote.test>"]);
}

#[tokio::test]
async fn a_server_that_refuses_the_null_sender_says_nothing_of_the_address() {
    let (node, _hop) = node_before(Hop::start(Ipv4Addr::new(127, 0, 6, 4), true).await, false).await;
    let mut client = Client::connect(node.smtp).await;
    client.say("MAIL FROM:<a@elsewhere.test>").await;
    let said = client.say("RCPT TO:<bob@remote.test>").await;
    assert_eq!(said, "450 4.1.1 the recipient cannot be verified now, try again later");
}

#[tokio::test]
async fn senders_whose_servers_are_slow_hold_up_nobody_else() {
    let hop = Hop::start(Ipv4Addr::new(127, 0, 6, 5), false).await;
    let names =
        Names::default().mx("remote.test", 10, "mx.remote.test").a("mx.remote.test", [127, 0, 6, 5].into());
    let node = Node::start_with(names, hop.address.port(), |config| {
        stranger::listen_to_proxy(config);
        config.receiving.relay_domains = vec!["remote.test".into()];
        config.receiving.verify.senders = true;
        config.receiving.verify.probes = 1;
    })
    .await;
    let mut slow = stranger::greeted(&node, "192.0.2.1").await;
    slow.write(b"MAIL FROM:<slow@remote.test>\r\n").await;
    node.eventually(|| async { hop.heard().contains(&"RCPT TO:<slow@remote.test>".to_owned()) }).await;
    let started = std::time::Instant::now();
    // Nobody is asked for this one.
    let mut other = stranger::greeted(&node, "198.51.100.1").await;
    assert_eq!(other.say("MAIL FROM:<unknown@remote.test>").await, "250 2.1.0 sender ok");
    assert_eq!(other.say("RCPT TO:<bob@remote.test>").await, "250 2.1.5 recipient ok");
    assert!(started.elapsed() < std::time::Duration::from_secs(15), "{:?}", started.elapsed());
}

#[tokio::test]
async fn one_network_has_a_part_of_the_attempts_for_senders() {
    let hop = Hop::start(Ipv4Addr::new(127, 0, 6, 6), false).await;
    let names =
        Names::default().mx("remote.test", 10, "mx.remote.test").a("mx.remote.test", [127, 0, 6, 6].into());
    let node = Node::start_with(names, hop.address.port(), |config| {
        stranger::listen_to_proxy(config);
        config.receiving.verify.senders = true;
        config.receiving.verify.probes = 5;
    })
    .await;
    let mut slow = stranger::greeted(&node, "192.0.2.1").await;
    slow.write(b"MAIL FROM:<slow@remote.test>\r\n").await;
    node.eventually(|| async { hop.heard().contains(&"RCPT TO:<slow@remote.test>".to_owned()) }).await;
    for (client, expected) in [("192.0.2.2", "250 2.1.0 "), ("198.51.100.1", "550 5.1.8 ")] {
        let said = stranger::greeted(&node, client).await.say("MAIL FROM:<unknown@remote.test>").await;
        assert!(said.starts_with(expected), "{client}: {said}");
    }
}
