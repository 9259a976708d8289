use tokio::net::TcpListener;

use super::*;

const WITHIN: Duration = Duration::from_secs(30);

fn target(address: SocketAddr) -> Target {
    Target { address, source: None }
}

/// A port of this host on which nobody listens.
async fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn an_address_that_refuses_is_passed_over_and_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let targets =
        [target(refusing().await), target(listener.local_addr().unwrap()), target(refusing().await)];
    let dialled = dial(&targets, WITHIN).await;
    assert_eq!(dialled.connected.unwrap().0, 1);
    assert_eq!(dialled.failed.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [0]);
}

#[tokio::test]
async fn an_address_that_is_silent_does_not_hold_up_the_next() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // A full backlog: the kernel lets no more connections begin, and answers nothing.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = socket.listen(1).unwrap();
    let silent_address = silent.local_addr().unwrap();
    let mut crowd = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(silent_address)).await {
        crowd.push(stream.unwrap());
    }
    let targets = [target(silent_address), target(listener.local_addr().unwrap())];
    let dialled = dial(&targets, WITHIN).await;
    assert_eq!(dialled.connected.unwrap().0, 1);
    assert!(dialled.failed.is_empty(), "{:?}", dialled.failed);
    // Alone, it has its time and no more.
    let dialled = dial(&targets[..1], Duration::from_millis(20)).await;
    let [(0, error)] = &dialled.failed[..] else { panic!("{dialled:?}") };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn connections_come_from_the_address_that_was_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = Some("127.0.0.9".parse().unwrap());
    let targets = [Target { source, ..target(listener.local_addr().unwrap()) }];
    let dialled = dial(&targets, WITHIN).await;
    assert!(dialled.connected.unwrap().1.nodelay().unwrap());
    let (_, peer) = listener.accept().await.unwrap();
    assert_eq!(Some(peer.ip()), source);
}

#[tokio::test]
async fn nothing_to_dial_is_nothing_reached() {
    let dialled = dial(&[], WITHIN).await;
    assert!(dialled.connected.is_none() && dialled.failed.is_empty());
}
