//! Another MTA: the MX hosts of a domain, over SMTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use message::Domain;
use proto::mail::Reply;
use scheduler::Feedback;
use service::smtp::client::{ConnectError, Connection, Options, Tls};
use service::smtp::envelope;
use smtp::client::{Envelope, Stage, StartTls};
use tokio_rustls::TlsConnector;

use crate::config::OutboundConfig;
use crate::queue::{Outcome, Verdict};
use crate::reply::reply;
use crate::site::{Site, Sites, Target, Targets, Unroutable};
use crate::spool::{self, Message, Spool, SpoolError};

/// Other MTAs.
pub(crate) struct Remote {
    pub(crate) sites: Sites,
    /// What this host calls itself.
    pub(crate) hostname: Domain,
    pub(crate) config: OutboundConfig,
    /// `None`: STARTTLS is never used.
    pub(crate) tls: Option<TlsConnector>,
}

/// A connection to one of a domain's hosts, on which messages go one after the other.
pub(crate) struct Session {
    connection: Connection,
    /// Host name and address.
    peer: String,
    /// TLS version and cipher; empty in clear.
    tls: String,
    /// Why it is in clear, if it could have been otherwise.
    downgrade: String,
}

impl Session {
    async fn send(
        &mut self,
        envelope: &Envelope,
        spool: &Arc<dyn Spool>,
        message: &Arc<Message>,
    ) -> Vec<smtp::client::Outcome> {
        let pieces = spool::pieces(Arc::clone(spool), Arc::clone(message)).map_err(io::Error::other);
        self.connection.send(envelope, Box::pin(pieces)).await
    }

    /// Says goodbye.
    pub(crate) async fn quit(self) {
        self.connection.quit().await;
    }
}

/// Why no host of a domain could be reached.
struct Unreachable {
    reply: Reply,
    peer: String,
    /// The peer gave the reply.
    said_by_peer: bool,
    feedback: Feedback,
}

impl Unreachable {
    fn local(reply: Reply) -> Self {
        Self { reply, peer: "local".into(), said_by_peer: false, feedback: Feedback::Nothing }
    }
}

/// What an attempt came to.
pub(crate) struct Attempt {
    /// For each recipient.
    pub(crate) outcomes: Vec<Outcome>,
    /// For the site.
    pub(crate) feedback: Feedback,
    /// The session that was given served.
    pub(crate) reused: bool,
}

impl Remote {
    /// Makes one attempt to send a message to recipients in `domain` at a site of theirs, each an index with its number
    /// of attempts. Uses `session` if it still serves, and leaves in it what serves for the next message.
    pub(crate) async fn send(
        &self,
        site: &Site,
        domain: &str,
        session: &mut Option<Session>,
        spool: &Arc<dyn Spool>,
        message: &Arc<Message>,
        recipients: &[(u32, u32)],
    ) -> Attempt {
        let all = |unreachable: &Unreachable| {
            let outcome = |&(index, attempts): &(u32, u32)| Outcome {
                peer: unreachable.peer.clone(),
                said_by_peer: unreachable.said_by_peer,
                ..Outcome::local(index, attempts, failed(&unreachable.reply))
            };
            let outcomes = recipients.iter().map(outcome).collect();
            Attempt { outcomes, feedback: unreachable.feedback, reused: false }
        };
        let envelope = match spool.envelope(message).await {
            Ok(envelope) => envelope,
            Err(error) => return all(&Unreachable::local(unreadable(&error))),
        };
        let envelope = match envelope_for(&envelope, recipients) {
            Ok(envelope) => envelope,
            Err(reply) => return all(&Unreachable::local(reply)),
        };
        let transacted = self.transact(site, domain, session.take(), &envelope, spool, message).await;
        let (current, results, reused) = match transacted {
            Ok(done) => done,
            Err(unreachable) => return all(&unreachable),
        };
        let feedback = feedback(&results);
        let reports = current.connection.extensions().dsn;
        let outcomes = recipients
            .iter()
            .zip(results)
            .map(|(&(index, attempts), result)| Outcome {
                index,
                attempts,
                verdict: verdict(&result, reports),
                peer: current.peer.clone(),
                said_by_peer: said_by_peer(&result),
                tls: current.tls.clone(),
                detail: current.downgrade.clone(),
            })
            .collect();
        if current.connection.is_ready() {
            *session = Some(current);
        }
        Attempt { outcomes, feedback, reused }
    }

    /// Sends a message over the session that there is, or over a new one: also when the server turns out to have ended
    /// the old one meanwhile, as it may at any time.
    async fn transact(
        &self,
        site: &Site,
        domain: &str,
        session: Option<Session>,
        envelope: &Envelope,
        spool: &Arc<dyn Spool>,
        message: &Arc<Message>,
    ) -> Result<(Session, Vec<smtp::client::Outcome>, bool), Unreachable> {
        if let Some(mut session) = session {
            let results = session.send(envelope, spool, message).await;
            if !results.iter().all(was_closed) {
                return Ok((session, results, true));
            }
        }
        let mut session = self.connect(site, domain).await?;
        let results = session.send(envelope, spool, message).await;
        Ok((session, results, false))
    }

    /// Connects to the first host of a domain that wants to talk.
    async fn connect(&self, site: &Site, domain: &str) -> Result<Session, Unreachable> {
        let local = |unroutable: Unroutable| Unreachable::local(unroutable.reply);
        let Targets { dial, failure } = self.sites.targets(site).await;
        let mut failure = failure.map(local);
        for target in &dial {
            match self.dial(target).await {
                Ok(session) => return Ok(session),
                Err(unreachable) => note(&mut failure, unreachable),
            }
        }
        Err(failure.unwrap_or_else(|| {
            Unreachable::local(reply(451, "4.4.1", format!("no host of {domain} could be dialled")))
        }))
    }

    /// Connects to one address: with TLS if the host offers it, in clear if the handshake fails.
    async fn dial(&self, target: &Target) -> Result<Session, Unreachable> {
        let peer = format!("{} {}", target.host, target.address);
        let mut options = self.options(&target.host, target.address);
        let mut downgrade = String::new();
        let connection = match Connection::connect(target.address, &options).await {
            Err(ConnectError::Tls(error)) => {
                downgrade = format!("sent in clear: TLS handshake failed: {error}");
                tracing::warn!(peer, %error, "TLS handshake failed; going on in clear");
                options.session.start_tls = StartTls::Never;
                options.tls = None;
                Connection::connect(target.address, &options).await
            }
            connection => connection,
        };
        let connection = connection.map_err(|error| {
            let failure = error.failure();
            let reply = envelope::from_wire(&failure.reply);
            // What a host says before any message is about itself, not about the message: another may take it, or
            // the same one later.
            let feedback = if failure.from_peer { Feedback::Pushback } else { Feedback::Unreachable };
            Unreachable {
                reply: temporary(reply),
                peer: peer.clone(),
                said_by_peer: failure.from_peer,
                feedback,
            }
        })?;
        if let Some(refusal) = connection.start_tls_refusal() {
            downgrade = format!("sent in clear: STARTTLS refused: {refusal}");
        }
        let tls = connection.tls().map(|tls| format!("{} {}", tls.version, tls.cipher)).unwrap_or_default();
        Ok(Session { connection, peer, tls, downgrade })
    }

    fn options(&self, host: &str, address: SocketAddr) -> Options {
        let server_name = host.to_owned().try_into().unwrap_or_else(|_| address.ip().into());
        let tls = self.tls.clone().map(|connector| Tls { connector, server_name, implicit: false });
        let session = smtp::client::Options {
            chunking: self.config.chunking,
            ..smtp::client::Options::new(self.hostname.clone())
        };
        Options { session, tls, timeouts: self.config.timeouts }
    }
}

/// Keeps what is to be said if no host can be reached: that it may work later, if that is so of any.
fn note(failure: &mut Option<Unreachable>, new: Unreachable) {
    let is_temporary = |failure: &Unreachable| failure.reply.code < 500;
    if is_temporary(&new) || !failure.as_ref().is_some_and(is_temporary) {
        *failure = Some(new);
    }
}

/// The envelope for some of a message's recipients.
///
/// REQUIRETLS asks for more than TLS: the server's certificate must be verified (RFC 8689 §4.2.1), and here none is.
fn envelope_for(whole: &proto::mail::Envelope, recipients: &[(u32, u32)]) -> Result<Envelope, Reply> {
    if whole.require_tls {
        let text = "REQUIRETLS cannot be met: certificates of other servers are not verified";
        return Err(reply(550, "5.7.30", text));
    }
    let invalid = |error: message::AddressError| reply(553, "5.1.3", error.to_string());
    let mail = envelope::mail(whole).map_err(invalid)?;
    let recipients = recipients
        .iter()
        .filter_map(|&(index, _)| whole.recipients.get(index as usize))
        .map(envelope::rcpt)
        .collect::<Result<_, _>>()
        .map_err(invalid)?;
    Ok(Envelope { mail, recipients })
}

/// Why a message cannot be read, as a reply. One that is damaged is not tried for ever; the sender gets to know.
fn unreadable(error: &SpoolError) -> Reply {
    match error {
        SpoolError::Damaged(_) => {
            reply(554, "5.3.0", "the message was damaged in storage and cannot be delivered")
        }
        error => reply(451, "4.3.0", error.to_string()),
    }
}

/// Whether the server was gone before it had the first command of the transaction: nothing can have come of it.
fn was_closed(result: &smtp::client::Outcome) -> bool {
    let smtp::client::Outcome::Transient(failure) = result else { return false };
    matches!(failure.stage, Stage::Reset | Stage::Mail) && (!failure.from_peer || failure.reply.code == 421)
}

/// What the results of a transaction say about the site: pushback is what it said to the session and not to a recipient,
/// or that it fell silent or broke off.
fn feedback(results: &[smtp::client::Outcome]) -> Feedback {
    use smtp::client::Outcome as Result;
    let is_about_the_session = |result: &Result| match result {
        Result::Delivered(_) | Result::Permanent(_) => false,
        Result::Unknown(_) => true,
        Result::Transient(failure) => {
            !failure.from_peer || failure.reply.code == 421 || failure.stage == Stage::Mail
        }
    };
    if results.iter().any(|result| matches!(result, Result::Delivered(_))) {
        Feedback::Taken
    } else if results.iter().any(is_about_the_session) {
        Feedback::Pushback
    } else {
        Feedback::Refused
    }
}

fn verdict(result: &smtp::client::Outcome, reports: bool) -> Verdict {
    use smtp::client::Outcome as Result;
    let reply = envelope::from_wire(result.reply());
    match result {
        Result::Delivered(_) => Verdict::Relayed { reply, reports },
        Result::Permanent(_) => Verdict::Failed(reply),
        // The server may have the message. Sending it again may give two; not sending it may lose it.
        Result::Transient(_) | Result::Unknown(_) => Verdict::Deferred(reply),
    }
}

fn said_by_peer(result: &smtp::client::Outcome) -> bool {
    use smtp::client::Outcome as Result;
    match result {
        Result::Delivered(_) => true,
        Result::Permanent(failure) | Result::Transient(failure) | Result::Unknown(failure) => {
            failure.from_peer
        }
    }
}

fn failed(reply: &Reply) -> Verdict {
    if reply.code >= 500 { Verdict::Failed(reply.clone()) } else { Verdict::Deferred(reply.clone()) }
}

/// The same reply as a temporary one.
fn temporary(mut reply: Reply) -> Reply {
    if reply.code >= 500 {
        reply.code -= 100;
        if let Some(rest) = reply.enhanced.strip_prefix('5') {
            reply.enhanced = format!("4{rest}");
        }
    }
    reply
}
