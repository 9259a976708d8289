//! Submission as any mail program does it: SMTP over TLS, logged in (RFC 6409, RFC 8314).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use message::{Address, Domain, MessageId, ReversePath};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use service::smtp::client::{ConnectError, Connection, Options, Timeouts, Tls};
use smtp::client::{Outcome, StartTls};
use smtp::{BodyType, Credentials, Mail, Password, Rcpt, Reply};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;

use super::Envelope;
use super::source::Source;
use crate::failure::{Explain, Failure};
use crate::pipeline::host_of;

/// Pieces of the message that wait for the connection.
const PIECES_AHEAD: usize = 4;

/// Where to submit.
#[derive(Debug)]
pub(super) struct Server {
    /// `host:port` of a listener with TLS from the start.
    pub(super) address: String,
    /// PEM file of the authority to trust.
    pub(super) ca: PathBuf,
}

/// Who submits.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// What the server took.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// The message's id.
    pub(super) id: String,
    /// Recipients that the server refused, with its replies.
    pub(super) refused: Vec<(Address, String)>,
}

/// Sends.
pub(super) async fn send(
    server: &Server,
    login: Login,
    envelope: &Envelope,
    source: Source,
) -> Result<Sent, Failure> {
    let options = options(server, login)?;
    let mut connection = connect(server, &options).await?;
    let (pieces, body) = mpsc::channel(PIECES_AHEAD);
    let reading = read(source, pieces);
    let envelope_of_smtp = envelope_of(envelope);
    let outcomes = {
        let mut sending = pin!(connection.send(&envelope_of_smtp, ReceiverStream::new(body)));
        // A refusal is told at once, also when standard input goes on.
        tokio::select! {
            outcomes = &mut sending => outcomes,
            () = reading => sending.await,
        }
    };
    connection.quit().await;
    sent(&envelope.to, &outcomes)
}

async fn connect(server: &Server, options: &Options) -> Result<Connection, Failure> {
    let what = || format!("cannot submit at {}", server.address);
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(&server.address).await.explain(what)?.collect();
    let mut last = Failure::new(what(), "the name has no address");
    for address in addresses {
        match Connection::connect(address, options).await {
            Ok(connection) => return Ok(connection),
            Err(error @ ConnectError::Connect(_)) => last = Failure::new(what(), error),
            Err(error) => return Err(Failure::new(what(), error)),
        }
    }
    Err(last)
}

fn options(server: &Server, login: Login) -> Result<Options, Failure> {
    let what = || format!("cannot submit at {}", server.address);
    let server_name = ServerName::try_from(host_of(&server.address).to_owned()).explain(what)?;
    let mut session = smtp::client::Options::new(Domain::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST)));
    session.start_tls = StartTls::Required;
    session.credentials = Some(Credentials {
        authorization: None,
        username: login.user,
        password: Password::new(login.password),
    });
    let tls = Tls { connector: connector(&server.ca)?, server_name, implicit: true };
    Ok(Options { session, tls: Some(tls), timeouts: Timeouts::default() })
}

fn connector(ca: &Path) -> Result<TlsConnector, Failure> {
    let what = || format!("cannot use {}", ca.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).explain(what)? {
        roots.add(certificate.explain(what)?).explain(what)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn envelope_of(envelope: &Envelope) -> smtp::client::Envelope {
    let mail = Mail {
        reverse_path: ReversePath::from(envelope.from.clone()),
        // The message is not looked at beforehand, and every MSA of ours offers 8BITMIME.
        body: BodyType::EightBitMime,
        smtputf8: !envelope.from.is_ascii() || envelope.to.iter().any(|to| !to.is_ascii()),
        ..Mail::default()
    };
    smtp::client::Envelope { mail, recipients: envelope.to.iter().cloned().map(Rcpt::new).collect() }
}

/// Feeds the message to the connection; an error of the source breaks it, so that no half message is taken for whole.
async fn read(mut source: Source, pieces: mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let piece = source.next().await;
        if matches!(&piece, Ok(octets) if octets.is_empty()) {
            return;
        }
        let failed = piece.is_err();
        if pieces.send(piece).await.is_err() || failed {
            return;
        }
    }
}

fn sent(recipients: &[Address], outcomes: &[Outcome]) -> Result<Sent, Failure> {
    let Some(taken) = outcomes.iter().find(|outcome| outcome.is_delivered()) else {
        let why = outcomes.first().map_or_else(|| "nobody took it".to_owned(), reason);
        return Err(Failure::new("cannot send the message", why));
    };
    let id = id_in(taken.reply()).ok_or_else(|| {
        Failure::new(
            "the message was taken, and its id is not known",
            format!("the server said {}", taken.reply()),
        )
    })?;
    let refused = recipients
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| !outcome.is_delivered())
        .map(|(recipient, outcome)| (recipient.clone(), reason(outcome)))
        .collect();
    Ok(Sent { id, refused })
}

fn reason(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered(reply) => reply.to_string(),
        Outcome::Transient(failure) | Outcome::Permanent(failure) => failure.to_string(),
        Outcome::Unknown(failure) => format!("{failure}; the server may have taken it all the same"),
    }
}

/// The message's id stands in the reply to its end.
fn id_in(reply: &Reply) -> Option<String> {
    let words = reply.text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.map(MessageId::parse).find_map(Result::ok).map(|id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use smtp::client::{Failure as SmtpFailure, Stage};

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn the_id_is_found_in_the_reply() {
        let id = MessageId::new().to_string();
        let reply = Reply::new(250, 2, 0, format!("OK: queued as <{id}>."));
        assert_eq!(id_in(&reply), Some(id));
        assert_eq!(id_in(&Reply::new(250, 2, 0, "OK")), None);
    }

    #[test]
    fn who_was_refused_is_told_beside_the_id() {
        let id = MessageId::new().to_string();
        let outcomes = [
            Outcome::Delivered(Reply::new(250, 2, 0, format!("OK {id}"))),
            Outcome::from(SmtpFailure::from_peer(Stage::Rcpt, Reply::new(550, 1, 1, "no such user"))),
        ];
        let recipients = [address("bob@example.test"), address("nobody@example.test")];
        assert_eq!(
            sent(&recipients, &outcomes).unwrap(),
            Sent { id, refused: vec![(recipients[1].clone(), "RCPT: 550 5.1.1 no such user".to_owned())] }
        );
    }

    #[test]
    fn when_nobody_takes_it_the_servers_words_are_told() {
        let refused =
            Outcome::from(SmtpFailure::from_peer(Stage::Mail, Reply::new(550, 7, 1, "not your address")));
        assert_eq!(
            sent(&[address("bob@example.test")], &[refused]).unwrap_err().to_string(),
            "cannot send the message: MAIL: 550 5.7.1 not your address"
        );
    }

    #[tokio::test]
    async fn a_message_ends_only_when_it_was_read_to_its_end() {
        let (pieces, mut body) = mpsc::channel(PIECES_AHEAD);
        tokio::join!(read(Source::bytes(b"x".to_vec()), pieces), async {
            assert_eq!(body.recv().await.unwrap().unwrap(), "x");
            assert!(body.recv().await.is_none());
        });
    }
}
