//! Before the first command: the greeting's delay, and proxies.

use prometheus_client::registry::Registry;
use tokio::net::TcpStream;

use super::*;
use crate::drain::Shutdown;
use crate::listen::{ListenMetrics, Listener, ListenerOptions};

fn arriving(arrival: Arrival) -> Options {
    Options { arrival, ..options() }
}

fn loopback() -> Arc<[Network]> {
    Network::loopback().into()
}

/// The context in which the handler heard of a transaction.
fn context_of(handler: &Recorder) -> Context {
    handler.record(|record| record.context.clone()).unwrap()
}

/// A port on loopback; it is served until the shutdown is dropped.
fn port(handler: &Recorder, arrival: Arrival) -> (SocketAddr, Shutdown) {
    let limits =
        ListenerOptions { name: "smtp", max_connections: 10, max_per_network: None, busy_reply: BUSY_REPLY };
    let metrics = ListenMetrics::register(&mut Registry::default());
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), limits, metrics).unwrap();
    let (address, shutdown) = (listener.local_address(), Shutdown::new());
    let port = Port { listener, security: Security::Plain, options: arriving(arrival) };
    let (handler, stop) = (handler.clone(), shutdown.clone());
    tokio::spawn(async move { port.serve(&stop, || handler.clone()).await });
    (address, shutdown)
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_late_greeting_is_served() {
    let delay = Duration::from_secs(5);
    let arrival = Arrival { greeting_delay: delay, ..Arrival::default() };
    let begun = Instant::now();
    let (end, ()) = serving(
        Security::Plain,
        arriving(arrival),
        Recorder::default(),
        CancellationToken::new(),
        async |stream| {
            let mut client = Client::new(stream);
            assert!(client.reply().await.starts_with("220 "));
            assert!(begun.elapsed() >= delay);
            client.says("QUIT").await;
        },
    )
    .await;
    assert!(matches!(end, End::Quit), "{end}");
}

#[tokio::test(start_paused = true)]
async fn mail_that_is_pipelined_before_the_greeting_is_refused_with_one_reply() {
    let handler = Recorder::default();
    let arrival = Arrival { greeting_delay: Duration::from_secs(5), ..Arrival::default() };
    let (end, ()) = serving(
        Security::Plain,
        arriving(arrival),
        handler.clone(),
        CancellationToken::new(),
        async |stream| {
            let mut client = Client::new(stream);
            client.send("HELO x\r\nMAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\nspam\r\n.\r\n").await;
            assert_eq!(client.rest().await, "554 5.5.0 Wait for the greeting\r\n");
        },
    )
    .await;
    assert!(matches!(end, End::Refused(_)), "{end}");
    assert!(handler.heard().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_its_greeting_and_a_stop_end_the_wait() {
    let arrival = Arrival { greeting_delay: Duration::from_secs(5), ..Arrival::default() };
    let (end, ()) = serving(
        Security::Plain,
        arriving(arrival.clone()),
        Recorder::default(),
        CancellationToken::new(),
        async |stream| drop(stream),
    )
    .await;
    assert!(matches!(end, End::Lost(_)), "{end}");
    let stop = CancellationToken::new();
    stop.cancel();
    let (end, said) =
        serving(Security::Plain, arriving(arrival), Recorder::default(), stop, async |stream| {
            Client::new(stream).rest().await
        })
        .await;
    assert!(matches!(end, End::ShutDown), "{end}");
    assert!(said.starts_with("421 "), "{said}");
}

#[tokio::test]
async fn an_early_talker_can_be_served_and_known_for_one() {
    let handler = Recorder::default();
    let mut session = Config::new("mx.example.test".parse().unwrap());
    session.refuse_early_talkers = false;
    let arrival = Arrival { greeting_delay: Duration::from_hours(1), ..Arrival::default() };
    let options = Options { session: Arc::new(session), ..arriving(arrival) };
    serving(Security::Plain, options, handler.clone(), CancellationToken::new(), async |stream| {
        let mut client = Client::new(stream);
        client.send("EHLO client.test\r\n").await;
        assert!(client.reply().await.starts_with("220 "));
        client.reply().await;
        client.says("MAIL FROM:<>").await;
        client.says("QUIT").await;
    })
    .await;
    assert!(context_of(&handler).early_talker);
}

#[tokio::test]
async fn a_listed_proxy_tells_its_client_and_says_nothing_else_first() {
    let handler = Recorder::default();
    let (address, _shutdown) = port(&handler, Arrival { proxies: loopback(), ..Arrival::default() });
    let mut client = Client::new(TcpStream::connect(address).await.unwrap());
    client.send("PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n").await;
    assert!(client.reply().await.starts_with("220 "));
    client.says("EHLO client.test").await;
    client.says("MAIL FROM:<>").await;
    let context = context_of(&handler);
    assert_eq!(context.peer, "192.0.2.7:4711".parse().unwrap());
    assert_eq!(context.local, "192.0.2.1:25".parse().unwrap());

    // Garbage where the header should be, and a client that comes past the proxy.
    for start in ["EHLO client.test\r\n", "\r\n\r\n\0\r\nQUIT\nxxxxxxxxxxxxxxxxxxx", "PROXY TCP4 x y 1 2\r\n"]
    {
        let mut client = Client::new(TcpStream::connect(address).await.unwrap());
        client.send(start).await;
        let mut said = Vec::new();
        // Closed, or reset because it was not all read.
        let _ = client.stream.read_to_end(&mut said).await;
        assert!(said.is_empty(), "{said:?}");
    }
    assert_eq!(handler.heard(), ["mail <>"].map(|heard| heard.replace("<>", "")));
}

#[tokio::test]
async fn a_header_from_a_stranger_is_early_talk() {
    let handler = Recorder::default();
    // Waits for ever, unless the client talks.
    let arrival = Arrival { greeting_delay: Duration::from_hours(1), ..Arrival::default() };
    let (address, _shutdown) = port(&handler, arrival);
    let mut client = Client::new(TcpStream::connect(address).await.unwrap());
    client.send("PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n").await;
    assert!(client.rest().await.starts_with("554 "));
}

#[tokio::test]
async fn xclient_from_a_listed_host_makes_the_session_its_clients() {
    let handler = Recorder::default();
    let arrival = Arrival { xclient: loopback(), ..Arrival::default() };
    serving(Security::Plain, arriving(arrival), handler.clone(), CancellationToken::new(), async |stream| {
        let mut client = Client::new(stream);
        client.reply().await;
        assert!(client.says("EHLO proxy.test").await.contains("XCLIENT NAME ADDR"));
        let said = client.says("XCLIENT ADDR=IPV6:2001:db8::7 PORT=4711 DESTADDR=192.0.2.1").await;
        assert!(said.starts_with("220 "), "{said}");
        client.says("EHLO client.test").await;
        client.says("MAIL FROM:<>").await;
        client.says("QUIT").await;
    })
    .await;
    let context = context_of(&handler);
    assert_eq!(context.peer, "[2001:db8::7]:4711".parse().unwrap());
    assert_eq!(context.local, "192.0.2.1:25".parse().unwrap());
    assert_eq!(context.hello.unwrap().name, "client.test");
}
