//! The HTTPS server of domains that publish MTA-STS policies.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::names::Names;

/// A domain's policy: its mode, and the host that it allows.
pub type Policy = (&'static str, &'static str, &'static str);

/// Serves policies to whoever asks for the host that the handshake names; returns the port.
pub async fn serve(acceptor: TlsAcceptor, policies: &'static [Policy]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that goes away ends only its own conversation.
            tokio::spawn(answer(acceptor.clone(), stream, policies));
        }
    });
    port
}

/// The records by which policies are found.
pub fn publish(names: Names, policies: &[Policy]) -> Names {
    policies.iter().fold(names, |names, (domain, ..)| {
        names
            .txt(&format!("_mta-sts.{domain}"), "v=STSv1; id=1")
            .a(&format!("mta-sts.{domain}"), Ipv4Addr::LOCALHOST)
    })
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream, policies: &[Policy]) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let name = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let policy = policies.iter().find(|(domain, ..)| name == format!("mta-sts.{domain}"));
    let (_, mode, host) = policy.unwrap();
    let body = format!("version: STSv1\r\nmode: {mode}\r\nmx: {host}\r\nmax_age: 86400\r\n");
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.shutdown().await
}
