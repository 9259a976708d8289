//! From a site to a session with the first of its hosts that may have the mail, and wants to talk.
//!
//! Hosts are tried in their order, and only the addresses of one host are dialled side by side: a less preferred host is
//! no faster way around a more preferred one (RFC 5321 §5.1).

use std::io;
use std::sync::Arc;
use std::time::Instant;

use message::Domain;
use proto::mail::Reply;
use scheduler::Feedback;
use service::smtp::client::{self, ConnectError, Connection, Dialled, Options, Timeouts, dial};
use smtp::client::{Failure, Stage, StartTls};
use smtp::{Credentials, Password};
use tokio::net::TcpStream;

use super::dead::Dead;
use super::letter::Letter;
use super::session::Session;
use super::source::{Source, Sources};
use crate::reply::{self, reply};
use crate::routing::TlsMode;
use crate::site::{Site, Sites, Target, Targets, Unroutable};
use crate::tls::{Decision, Ended, Ends, Refusal, TlsPolicies, Wish};

/// Connects to other MTAs. One per node; shared by reference.
pub(crate) struct Connector {
    pub(crate) sites: Sites,
    /// What this host calls itself, where a route says nothing else.
    pub(crate) hostname: Domain,
    pub(crate) tls: Arc<TlsPolicies>,
    pub(crate) timeouts: Timeouts,
    /// Messages go in chunks where that is offered.
    pub(crate) chunking: bool,
    pub(crate) sources: Sources,
    pub(crate) dead: Dead,
}

/// What a session is wanted for.
pub(crate) struct Errand<'a> {
    pub(crate) site: &'a Site,
    /// Whose policies count: the domain whose MX records were looked up, or the recipient's if none were.
    pub(crate) domain: &'a str,
    /// `None`: no message is going to be sent.
    pub(crate) letter: Option<&'a Letter<'a>>,
}

/// A session, and what is to be told of the way to it.
pub(crate) struct Connected {
    pub(crate) session: Session,
    /// What the host had to show.
    pub(super) decision: Decision,
    /// Hosts that were passed over, and why.
    pub(super) passed: Vec<String>,
}

/// Why no host of a site could be reached.
pub(crate) struct Unreachable {
    pub(crate) reply: Reply,
    /// Host name and address, or `local`.
    pub(super) peer: String,
    /// The peer gave the reply.
    pub(super) said_by_peer: bool,
    pub(super) feedback: Feedback,
    /// What became of the other hosts.
    pub(super) detail: String,
}

impl Unreachable {
    /// What was found out here, before any host was asked.
    pub(super) fn local(reply: Reply) -> Self {
        let (peer, detail) = ("local".into(), String::new());
        Self { reply, peer, said_by_peer: false, feedback: Feedback::Nothing, detail }
    }

    fn at(target: &Target, reply: Reply, feedback: Feedback) -> Self {
        Self { peer: peer(target), feedback, ..Self::local(reply) }
    }
}

fn is_same_host(one: &Target, next: &Target) -> bool {
    one.host == next.host
}

/// How a host stands in traces and reports.
pub(super) fn peer(target: &Target) -> String {
    format!("{} {}", target.host, target.address)
}

/// An address that may have the mail.
struct Candidate<'a> {
    target: &'a Target,
    decision: Decision,
    dial: client::Target,
    source: Option<Source>,
}

/// What became of hosts that were tried in vain.
#[derive(Default)]
struct Vain {
    /// What is to be said if no host can be reached: that it may work later, if that is so of any.
    failure: Option<Unreachable>,
    /// All of it, for the trace.
    told: Vec<String>,
}

impl Vain {
    fn note(&mut self, new: Unreachable) {
        self.told.push(format!("{}: {}", new.peer, new.reply.text));
        let is_temporary = |failure: &Unreachable| failure.reply.code < 500;
        if is_temporary(&new) || !self.failure.as_ref().is_some_and(is_temporary) {
            self.failure = Some(new);
        }
    }
}

impl Connector {
    /// Connects to the first host of a site that may have the mail and wants to talk.
    pub(crate) async fn connect(&self, errand: &Errand<'_>) -> Result<Connected, Unreachable> {
        let local = |unroutable: Unroutable| Unreachable::local(unroutable.reply);
        let Targets { dial, failure } = self.sites.targets(errand.site).await;
        let mut vain = Vain { failure: failure.map(local), told: Vec::new() };
        let now = Instant::now();
        let (dead, living): (Vec<Target>, Vec<Target>) =
            dial.into_iter().partition(|target| self.dead.holds(target.address, now));
        for host in living.chunk_by(is_same_host) {
            if let Some((session, decision)) = self.connect_to_host(errand, host, &mut vain).await {
                let left_alone =
                    |target| format!("{}: left alone, for it could not be reached", peer(target));
                let passed = dead.iter().map(left_alone).chain(vain.told).collect();
                return Ok(Connected { session, decision, passed });
            }
        }
        for host in dead.chunk_by(is_same_host) {
            if let Some((session, decision)) = self.connect_to_host(errand, host, &mut vain).await {
                return Ok(Connected { session, decision, passed: vain.told });
            }
        }
        let Vain { failure, told } = vain;
        let nothing = || {
            let text = format!("no host of {} could be dialled", errand.domain);
            Unreachable::local(reply(451, "4.4.1", text))
        };
        let others = if told.len() > 1 { reply::detail(&told) } else { String::new() };
        Err(Unreachable { detail: others, ..failure.unwrap_or_else(nothing) })
    }

    /// Connects to one of a host's addresses.
    async fn connect_to_host(
        &self,
        errand: &Errand<'_>,
        host: &[Target],
        vain: &mut Vain,
    ) -> Option<(Session, Decision)> {
        let mut candidates = self.candidates(errand, host, vain).await;
        while !candidates.is_empty() {
            let addresses: Vec<client::Target> = candidates.iter().map(|candidate| candidate.dial).collect();
            let Dialled { connected, failed } = dial(&addresses, *self.timeouts.connect).await;
            let mut done: Vec<usize> = failed.iter().map(|(place, _)| *place).collect();
            for (place, error) in failed {
                let target = candidates[place].target;
                self.dead.note(target.address, Instant::now());
                vain.note(unconnected(target, error));
            }
            let (place, stream) = connected?;
            self.dead.forget(candidates[place].target.address);
            done.push(place);
            match Box::pin(self.begin(errand, &candidates[place], stream)).await {
                Ok(session) => {
                    let Candidate { decision, source, .. } = candidates.swap_remove(place);
                    return Some((session.from(source), decision));
                }
                Err(unreachable) => vain.note(unreachable),
            }
            let mut place = 0..;
            candidates.retain(|_| place.next().is_some_and(|place| !done.contains(&place)));
        }
        None
    }

    /// The addresses of a host that may have the mail.
    async fn candidates<'a>(
        &self,
        errand: &Errand<'_>,
        host: &'a [Target],
        vain: &mut Vain,
    ) -> Vec<Candidate<'a>> {
        let mut candidates = Vec::with_capacity(host.len());
        let mut is_refused = false;
        for target in host {
            match self.decide(errand, target).await {
                Ok(decision) => {
                    let Site { name, settings, .. } = errand.site;
                    let source = self.sources.take(name, settings, target.address.ip());
                    let address = source.as_ref().map(Source::address);
                    let dial = client::Target { address: target.address, source: address };
                    candidates.push(Candidate { target, decision, dial, source });
                }
                // It is told and counted once, however many addresses the host has.
                Err(_) if is_refused => {}
                Err(refusal) => {
                    let ends = Ends { ours: None, theirs: Some(target.address.ip()) };
                    self.tls.record_refusal(&refusal, ends);
                    vain.note(Unreachable::at(target, refusal.reply, Feedback::Nothing));
                    is_refused = true;
                }
            }
        }
        candidates
    }

    /// What a host has to show before it gets this mail.
    pub(super) async fn decide(
        &self,
        errand: &Errand<'_>,
        target: &Target,
    ) -> Result<Decision, Box<Refusal>> {
        let &Errand { site, domain, letter } = errand;
        let wish = letter.map_or(Wish::Default, Letter::wish);
        let decided = self.tls.decide(domain, site, target, wish).await;
        // The header is read only if something depends on it.
        if wish == Wish::Default && decided.as_ref().is_ok_and(|decision| !decision.is_imposed()) {
            return decided;
        }
        match letter {
            Some(letter) if wish == Wish::Default && letter.has_opted_out().await => {
                self.tls.decide(domain, site, target, Wish::Optional).await
            }
            _ => decided,
        }
    }

    /// Goes as far as that mail can be sent: with TLS as the decision asks for it, in clear if the handshake fails and
    /// that may be.
    async fn begin(
        &self,
        errand: &Errand<'_>,
        candidate: &Candidate<'_>,
        stream: TcpStream,
    ) -> Result<Session, Unreachable> {
        let Candidate { target, decision, .. } = candidate;
        let settings = &errand.site.settings;
        let options = self.options(errand.site, decision);
        let ours = stream.local_addr().ok().map(|address| address.ip());
        let connection = Connection::over(stream, &options).await;
        let ends = Ends { ours, theirs: Some(target.address.ip()) };
        if let Some(ended) = ended(&connection) {
            self.tls.record(decision, ends, &ended);
        }
        let session = match connection {
            Ok(connection) => Session::new(connection, target, settings, why_clear(decision)),
            Err(ConnectError::Tls(error)) if decision.may_be_clear() => {
                tracing::warn!(peer = peer(target), %error, "TLS handshake failed; going on in clear");
                let connection = self.connect_in_clear(candidate, options).await;
                let connection = connection.map_err(|error| failed(candidate, &error))?;
                Session::new(connection, target, settings, Some(format!("TLS handshake failed: {error}")))
            }
            Err(error) => {
                if let ConnectError::Session(Failure { stage: Stage::Auth, reply, .. }) = &error {
                    let route = &errand.site.settings.name;
                    tracing::warn!(peer = peer(target), route, %reply, "the login of a route failed");
                }
                return Err(failed(candidate, &error));
            }
        };
        match session.lacks(decision) {
            None => Ok(session),
            Some(lack) => {
                session.quit().await;
                Err(Unreachable::at(target, lack, Feedback::Refused))
            }
        }
    }

    async fn connect_in_clear(
        &self,
        candidate: &Candidate<'_>,
        mut options: Options,
    ) -> Result<Connection, ConnectError> {
        options.session.start_tls = StartTls::Never;
        options.tls = None;
        let Dialled { connected, failed } = dial(&[candidate.dial], *self.timeouts.connect).await;
        match connected {
            Some((_, stream)) => Connection::over(stream, &options).await,
            None => {
                let error = failed.into_iter().next().map(|(_, error)| error);
                Err(ConnectError::Connect(error.unwrap_or_else(|| io::ErrorKind::TimedOut.into())))
            }
        }
    }

    fn options(&self, site: &Site, decision: &Decision) -> Options {
        let settings = &site.settings;
        let credentials = settings.credentials.as_ref().map(|known| Credentials {
            authorization: None,
            username: known.username.clone(),
            password: Password::new(known.password.clone()),
        });
        let session = smtp::client::Options {
            hello: settings.ehlo.clone().unwrap_or_else(|| self.hostname.clone()),
            start_tls: decision.start_tls(),
            credentials,
            // In so many words: a route with a login asks for TLS, and a certificate, by itself.
            auth_in_clear: settings.tls == TlsMode::None,
            chunking: self.chunking,
        };
        Options { session, tls: decision.tls(settings.implicit_tls), timeouts: self.timeouts }
    }
}

/// How a connection came out for the reports; `None` if it did not come to speak of TLS.
fn ended(connection: &Result<Connection, ConnectError>) -> Option<Ended<'_>> {
    match connection {
        Ok(connection) => Some(connection.tls().map_or(Ended::Clear, Ended::Encrypted)),
        Err(ConnectError::Tls(error)) => Some(Ended::Broken(error)),
        Err(ConnectError::Session(failure)) if failure.stage == Stage::StartTls => Some(Ended::Clear),
        Err(ConnectError::Connect(_) | ConnectError::Session(_)) => None,
    }
}

/// Why a session is in clear, if it is and the server does not say.
fn why_clear(decision: &Decision) -> Option<String> {
    (decision.start_tls() != StartTls::Never).then(|| "STARTTLS is not offered".to_owned())
}

fn unconnected(target: &Target, error: io::Error) -> Unreachable {
    let failure = ConnectError::Connect(error).failure();
    Unreachable::at(target, reply::heard(&failure.reply), Feedback::Unreachable)
}

/// Why a host that was dialled is of no use.
fn failed(candidate: &Candidate<'_>, error: &ConnectError) -> Unreachable {
    let Candidate { target, decision, .. } = candidate;
    let failure = error.failure();
    let said = reply::heard(&failure.reply);
    match (error, failure.stage) {
        (ConnectError::Tls(error), _) => Unreachable::at(target, decision.distrust(error), Feedback::Refused),
        // It is about the policy of one domain or sender: the host may be good for others.
        (_, Stage::StartTls) if !failure.from_peer => {
            Unreachable::at(target, decision.unencrypted(said), Feedback::Refused)
        }
        (_, Stage::Auth) => {
            let said = temporary(said);
            let reply = Reply { text: format!("the login at this host failed: {}", said.text), ..said };
            Unreachable::at(target, reply, Feedback::Pushback)
        }
        // What a host says before any message is about itself, not about the message: another may take it, or the same
        // one later.
        _ => {
            let feedback = if failure.from_peer { Feedback::Pushback } else { Feedback::Unreachable };
            Unreachable {
                said_by_peer: failure.from_peer,
                ..Unreachable::at(target, temporary(said), feedback)
            }
        }
    }
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
