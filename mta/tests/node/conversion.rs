//! Mail for servers that take less than it holds.

use std::net::Ipv4Addr;

use proto::mail::Envelope;
use proto::mta::EventKind;

use super::exchange::{self, Exchange, Script};
use super::host::{Host, Offers};
use super::names::Names;
use super::node::{Node, envelope};

const HEADER: &str = "From: alice@example.test\r\nMessage-ID: <1@example.test>\r\nMIME-Version: 1.0\r\n";
const TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 12, last)
}

/// A node, and a host for `remote.test` that takes ASCII alone.
async fn ascii_only(last: u8) -> (Node, Exchange) {
    let script = Script { offers: exchange::Offers::Ascii, ..Script::default() };
    let exchange = Exchange::start(ip(last), 0, script).await;
    let names = Names::default().a("remote.test", ip(last));
    let node = Node::start(names, exchange.address.port()).await;
    (node, exchange)
}

#[tokio::test]
async fn text_becomes_quoted_printable_for_a_server_that_takes_ascii_alone() {
    let (node, mut exchange) = ascii_only(1).await;
    let body = format!("{HEADER}{TEXT}\r\nzwölf Boxkämpfer\r\n");
    node.enqueue(envelope(&["bob@remote.test"]), &body).await.unwrap();
    let received = exchange.received().await.body;
    assert!(received.is_ascii());
    assert!(received.contains("\r\nContent-Transfer-Encoding: quoted-printable\r\n"), "{received}");
    assert!(received.ends_with("\r\n\r\nzw=C3=B6lf Boxk=C3=A4mpfer\r\n"), "{received}");
}

#[tokio::test]
async fn a_large_message_is_converted_on_its_way() {
    let (node, mut exchange) = ascii_only(2).await;
    let line = "zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich\r\n";
    let body = format!("{HEADER}{TEXT}\r\n{}", line.repeat(10_000));
    node.enqueue(envelope(&["bob@remote.test"]), &body).await.unwrap();
    let received = exchange.received().await.body;
    assert!(received.is_ascii());
    assert_eq!(received.matches("zw=C3=B6lf Boxk=C3=A4mpfer jagen").count(), 10_000);
}

#[tokio::test]
async fn what_is_signed_is_not_touched_and_comes_back() {
    let (node, _exchange) = ascii_only(3).await;
    let body = format!(
        "{HEADER}Content-Type: multipart/signed; boundary=b; protocol=\"application/pgp-signature\"\r\n\r\n\
         --b\r\n{TEXT}\r\nzwölf\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nsignature\r\n--b--\r\n"
    );
    let envelope = envelope(&["bob@remote.test"]);
    node.enqueue(envelope.clone(), &body).await.unwrap();
    let reply = node.event(&envelope.message_id, EventKind::Bounced).await.reply.unwrap();
    assert_eq!((reply.code, reply.enhanced.as_str()), (554, "5.6.3"));
    assert!(reply.text.contains("its signature covers content"), "{}", reply.text);
}

#[tokio::test]
async fn a_message_that_needs_no_smtputf8_goes_where_there_is_none() {
    let (node, mut exchange) = ascii_only(4).await;
    let utf8 = |recipient: &str| Envelope { smtputf8: true, ..envelope(&[recipient]) };
    // The address has a form in ASCII, the header is in it, and the text can be converted.
    let body = format!("{HEADER}{TEXT}\r\nzwölf\r\n");
    node.enqueue(utf8("bob@remote.test"), &body).await.unwrap();
    assert!(exchange.received().await.body.ends_with("zw=C3=B6lf\r\n"));

    let in_header = format!("Subject: zwölf\r\n{body}");
    for (recipient, body) in [("bob@remote.test", &in_header), ("zwölf@remote.test", &body)] {
        let envelope = utf8(recipient);
        node.enqueue(envelope.clone(), body).await.unwrap();
        let reply = node.event(&envelope.message_id, EventKind::Bounced).await.reply.unwrap();
        assert_eq!(reply.enhanced, "5.6.7", "{}", reply.text);
    }
}

#[tokio::test]
async fn nothing_changes_for_a_server_that_takes_all() {
    let mut host = Host::start(ip(5), 0, Offers::nothing());
    let names = Names::default().a("remote.test", ip(5));
    let node = Node::start(names, host.address.port()).await;
    let small = format!("{HEADER}{TEXT}\r\n.zwölf\r\n..\r\n");
    let large = format!("{small}{}", "Boxkämpfer\r\n.\r\n".repeat(30_000));
    for body in [small, large] {
        node.enqueue(envelope(&["bob@remote.test"]), &body).await.unwrap();
        assert!(host.taken().await.body == body.as_bytes());
    }
}
