//! What a service makes of a session: the seam between the protocol and its policy.

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use smtp::server::{Abort, Hello, Tally};
use smtp::{Credentials, Mail, Rcpt, Reply, Said, XClient};

use super::End;
use crate::smtp::TlsFacts;

/// Decides what happens in one session. The driver calls one method at a time and awaits it, so that a handler needs no
/// locks; what it takes, the client waits for.
///
/// A transaction is `mail`, `rcpt` for each recipient, `begin`, `chunk` for each piece of the message, and `finish`.
/// Instead of whatever is next, `abort` can come at any point behind an accepted `mail`; every accepted `mail` has
/// exactly one end: a `finish`, an `abort`, or an error that `begin` or `chunk` returned.
///
/// The order of commands, sizes, the number of recipients, TLS and AUTH before MAIL, smuggling and malformed input have
/// been dealt with before a handler hears of anything.
pub trait Handler: Send {
    /// A client has connected (and taken the TLS handshake, if the listener begins with it). An error is said to it in
    /// place of the greeting, and the session ends. Called again when a proxy says for which client it speaks from
    /// here on (XCLIENT): whatever was held for the one before is given back then.
    fn connected(&mut self, context: &Context) -> impl Future<Output = Result<(), Reply>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// What the client has used up since this was called last; called before each wait for it. An error is said to the
    /// client, and the session ends.
    fn used(&mut self, context: &Context, used: Tally) -> impl Future<Output = Result<(), Reply>> + Send {
        let _ = (context, used);
        async { Ok(()) }
    }

    /// The client says who it is. An error is the reply: 535 5.7.8 if it is not so, 454 4.7.0 if nobody can tell.
    fn authenticate(
        &mut self,
        context: &Context,
        credentials: Credentials,
    ) -> impl Future<Output = Result<(), Reply>> + Send;

    /// The mechanisms that the client may use, now that there is TLS; asked once. None: those of the listener's
    /// configuration. An error is said to the client, and the session ends: to one that is told of no mechanism, mail
    /// would be refused for good.
    fn mechanisms(
        &mut self,
        context: &Context,
    ) -> impl Future<Output = Result<Option<Vec<&'static str>>, Reply>> + Send {
        let _ = context;
        async { Ok(None) }
    }

    /// The same as [`Handler::authenticate`], in one of [`Handler::mechanisms`] beside PLAIN and LOGIN. Called for what
    /// the client says until it is let in or refused; a new [`Said::Begin`] may come at any time.
    fn exchange(
        &mut self,
        context: &Context,
        said: Said,
    ) -> impl Future<Output = Result<Answer, Reply>> + Send {
        let _ = (context, said);
        async { Err(Reply::fixed(504, 5, 4, "Unknown mechanism")) }
    }

    /// The client has given such an exchange up, or did not keep to base64 in it.
    fn exchange_cancelled(&mut self) {}

    /// A transaction begins. A positive reply accepts the sender.
    fn mail(&mut self, context: &Context, mail: Mail) -> impl Future<Output = Reply> + Send;

    /// The transaction has one more recipient, if the reply is positive.
    fn rcpt(&mut self, context: &Context, rcpt: Rcpt) -> impl Future<Output = Reply> + Send;

    /// The message is about to be sent; at least one recipient was accepted. An error is the reply, and ends the
    /// transaction.
    fn begin(&mut self, context: &Context) -> impl Future<Output = Result<(), Reply>> + Send;

    /// A piece of the message: CRLF line ends, dot-stuffing undone. Nothing more is read while this is awaited.
    ///
    /// An error ends the transaction for the handler; the client gets it as the reply once it has sent everything.
    fn chunk(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), Reply>> + Send;

    /// The message is whole. A positive reply makes it ours, so it must be on stable storage by then; 421 also closes
    /// the session.
    fn finish(&mut self, context: &Context) -> impl Future<Output = Reply> + Send;

    /// The transaction has come to nothing.
    fn abort(&mut self, abort: Abort) -> impl Future<Output = ()> + Send;

    /// The session is over, and why; not called if a TLS handshake has failed.
    fn ended(&mut self, context: &Context, end: &End) {
        let _ = (context, end);
    }
}

/// How an exchange goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The client is told this, and responds.
    Challenge(Vec<u8>),
    /// It is let in.
    Authenticated,
}

/// What is known of a session: enough for a Received field, for policy and for logs.
#[derive(Clone, Debug)]
pub struct Context {
    /// The client's address.
    pub peer: SocketAddr,
    /// The address that it connected to.
    pub local: SocketAddr,
    /// TLS, if it is in use.
    pub tls: Option<TlsFacts>,
    /// What the client calls itself.
    pub hello: Option<Hello>,
    /// The client has authenticated.
    pub authenticated: bool,
    /// The client sends commands without waiting for replies.
    pub pipelined: bool,
    /// The client spoke before it was greeted.
    pub early_talker: bool,
}

impl Context {
    /// Of a session that begins.
    pub fn new(peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            peer,
            local,
            tls: None,
            hello: None,
            authenticated: false,
            pipelined: false,
            early_talker: false,
        }
    }

    /// Makes it the context of the client that a proxy speaks for. What the proxy does not know stays as it is.
    pub(super) fn take_over(&mut self, client: &XClient) {
        let XClient { address, port, destination, destination_port, .. } = client;
        if let Some(address) = address {
            self.peer = (*address, port.unwrap_or(0)).into();
        }
        self.local.set_ip(destination.unwrap_or(self.local.ip()));
        self.local.set_port(destination_port.unwrap_or(self.local.port()));
    }

    /// What stands behind `with` in a Received field (RFC 3848, and RFC 6531 §4.3 for a message with SMTPUTF8).
    pub fn protocol(&self, smtputf8: bool) -> &'static str {
        let esmtp = self.hello.as_ref().is_some_and(|hello| hello.esmtp);
        match (esmtp, smtputf8, self.tls.is_some(), self.authenticated) {
            (false, _, _, _) => "SMTP",
            (true, false, false, false) => "ESMTP",
            (true, false, true, false) => "ESMTPS",
            (true, false, false, true) => "ESMTPA",
            (true, false, true, true) => "ESMTPSA",
            (true, true, false, false) => "UTF8SMTP",
            (true, true, true, false) => "UTF8SMTPS",
            (true, true, false, true) => "UTF8SMTPA",
            (true, true, true, true) => "UTF8SMTPSA",
        }
    }
}
