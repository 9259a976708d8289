//! A session with another MTA.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use proto::mail::Reply;
use service::smtp::client::Connection;
use smtp::Extensions;
use smtp::client::{Envelope, Outcome};

use super::connect::peer;
use super::source::Source;
use crate::reply::{self, reply};
use crate::routing::RouteSettings;
use crate::site::Target;
use crate::tls::Decision;

/// A session with a host, on which messages go one after the other.
pub(crate) struct Session {
    connection: Connection,
    target: Target,
    /// How the connection was made.
    settings: Arc<RouteSettings>,
    /// In use for as long as the session is.
    _source: Option<Source>,
    /// Why it is in clear, if it could have been otherwise.
    downgrade: String,
}

/// What goes over a session.
pub(super) enum Content {
    /// A small message: with its commands in one breath, where the server takes that.
    Whole(Bytes),
    /// A large one.
    Pieces(BoxStream<'static, io::Result<Bytes>>),
}

impl Session {
    /// `why_clear` is why there is no TLS, if there is none and the server does not say why.
    pub(super) fn new(
        connection: Connection,
        target: &Target,
        settings: &Arc<RouteSettings>,
        why_clear: Option<String>,
    ) -> Self {
        let refusal = connection.start_tls_refusal().map(reply::heard);
        let refusal = refusal.map(|refusal| format!("STARTTLS refused: {}", reply::line(&refusal)));
        let why = refusal.or(why_clear).filter(|_| connection.tls().is_none());
        let downgrade = why.map(|why| format!("sent in clear: {why}")).unwrap_or_default();
        let (target, settings) = (target.clone(), Arc::clone(settings));
        Self { connection, target, settings, _source: None, downgrade }
    }

    /// The same session, which comes from this address.
    pub(super) fn from(self, source: Option<Source>) -> Self {
        Self { _source: source, ..self }
    }

    /// The host, by name and address.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Whether it was made as these settings say: those of a route may have changed since.
    pub(super) fn is_made_by(&self, settings: &Arc<RouteSettings>) -> bool {
        Arc::ptr_eq(&self.settings, settings) || self.settings.connects_like(settings)
    }

    /// The host, for traces and reports.
    pub(super) fn peer(&self) -> String {
        peer(&self.target)
    }

    /// What the host offers.
    pub(super) fn offers(&self) -> &Extensions {
        self.connection.extensions()
    }

    /// Whether the host promises to keep REQUIRETLS. In clear the offer is a mistake or a trap (RFC 8689 §2).
    pub(super) fn takes_requiretls(&self) -> bool {
        self.connection.tls().is_some() && self.offers().require_tls
    }

    /// Why the session is not good enough for a message; `None` if it is.
    pub(super) fn lacks(&self, decision: &Decision) -> Option<Reply> {
        let host = &self.target.host;
        if let Err(fault) = decision.check(self.connection.tls()) {
            return Some(reply(451, "4.7.5", format!("the session with {host} will not do: {fault}")));
        }
        let is_lacking = decision.needs_requiretls() && !self.takes_requiretls();
        let text = || format!("{host} does not offer REQUIRETLS, which the sender asks for");
        is_lacking.then(|| reply(550, "5.7.30", text()))
    }

    /// How the session is protected, in the words of a trace; empty in clear.
    pub(super) fn tls(&self, decision: &Decision) -> String {
        self.connection.tls().map(|facts| decision.describe(facts)).unwrap_or_default()
    }

    /// What else there is to tell: why it is in clear, and which policies it does not meet.
    pub(super) fn notes(&self, decision: &Decision) -> Vec<String> {
        let notes = [self.downgrade.clone(), decision.notes(self.connection.tls())];
        notes.into_iter().filter(|note| !note.is_empty()).collect()
    }

    /// Sends a message; says what became of it for each recipient.
    pub(super) async fn send(&mut self, envelope: &Envelope, content: Content) -> Vec<Outcome> {
        match content {
            Content::Whole(message) => self.connection.send_whole(envelope, message).await,
            Content::Pieces(pieces) => self.connection.send(envelope, pieces).await,
        }
    }

    /// Asks for each recipient whether it would be accepted, and sends no message.
    pub(crate) async fn probe(&mut self, envelope: &Envelope) -> Vec<Outcome> {
        self.connection.probe(envelope).await
    }

    /// Whether it serves for another message.
    pub(super) fn is_ready(&self) -> bool {
        self.connection.is_ready()
    }

    /// Says goodbye.
    pub(crate) async fn quit(self) {
        self.connection.quit().await;
    }
}

#[cfg(test)]
mod tests {
    use service::smtp::client::{Options, Timeouts};
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::routing::TlsMode;

    #[tokio::test]
    async fn a_session_is_not_for_settings_that_have_changed_since() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let host = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 mx\r\n250 mx\r\n").await.unwrap();
            stream
        };
        let session = smtp::client::Options::new("mta.example.test".parse().unwrap());
        let options = Options { session, tls: None, timeouts: Timeouts::default() };
        let (connection, _stream) = tokio::join!(Connection::connect(address, &options), host);
        let target = Target { host: "mx".into(), canonical: "mx".into(), address, secure: false };
        let made = Arc::new(RouteSettings { name: "partner".into(), ..RouteSettings::default() });
        let session = Session::new(connection.unwrap(), &target, &made, None);
        let renamed = RouteSettings { name: "friend".into(), ..RouteSettings::default() };
        let ehlo = RouteSettings { ehlo: Some("out.example.test".parse().unwrap()), ..renamed.clone() };
        let source = RouteSettings { sources: vec![address.ip()], ..renamed.clone() };
        let tls = RouteSettings { tls: TlsMode::Required, ..renamed.clone() };
        assert!(session.is_made_by(&made) && session.is_made_by(&Arc::new(renamed)));
        for changed in [ehlo, source, tls] {
            assert!(!session.is_made_by(&Arc::new(changed)));
        }
    }
}
