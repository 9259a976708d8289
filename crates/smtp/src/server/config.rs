//! What a listener offers and where its limits are.

use message::Domain;

use crate::auth::Mechanisms;
use crate::extensions::{Extensions, Limits};

/// What a server offers and how much it takes: one for all sessions of a listener.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the server calls itself, in the greeting and in the reply to EHLO; also the domain of `<Postmaster>`.
    pub hostname: Domain,
    /// Octets of a message at most (RFC 1870).
    pub max_message_size: u64,
    /// Recipients of a message at most, those refused not counted (RFC 5321 §4.5.3.1.8 wants 100 or more).
    pub max_recipients: u32,
    /// Messages in a session at most; more get 421, and the client comes again.
    pub max_messages: u32,
    /// STARTTLS is offered.
    pub starttls: bool,
    /// AUTH is offered, under TLS only.
    pub mechanisms: Mechanisms,
    /// MAIL needs TLS.
    pub mail_needs_tls: bool,
    /// MAIL needs AUTH.
    pub mail_needs_auth: bool,
    /// REQUIRETLS is offered, under TLS only (RFC 8689).
    pub require_tls: bool,
    /// BINARYMIME is offered (RFC 3030 §3): whoever takes the message must get along with any octets.
    pub binary_mime: bool,
    /// MT-PRIORITY is offered (RFC 6710). What a client asks for is for the handler to honour or not.
    pub mt_priority: bool,
    /// Whoever speaks before the greeting is refused. Otherwise [`super::Session::is_early_talker`] tells of it.
    pub refuse_early_talkers: bool,
    /// Malformed, unknown and out-of-order commands in a session before it is closed.
    pub max_errors: u32,
    /// Senders and recipients refused in a session before it is closed: whoever tries names has enough of them.
    pub max_refusals: u32,
    /// Failed AUTH commands in a session before it is closed.
    pub max_auth_failures: u32,
    /// NOOP, RSET, VRFY, HELP and EHLO between two messages before the session is closed.
    pub max_idle_commands: u32,
}

impl Config {
    /// Sensible limits for a server that is called `hostname`, without TLS and AUTH.
    pub fn new(hostname: Domain) -> Self {
        Self {
            hostname,
            max_message_size: 50 * 1024 * 1024,
            max_recipients: 1000,
            max_messages: 1000,
            starttls: false,
            mechanisms: Mechanisms::NONE,
            mail_needs_tls: false,
            mail_needs_auth: false,
            require_tls: false,
            binary_mime: false,
            mt_priority: false,
            refuse_early_talkers: true,
            max_errors: 10,
            max_refusals: 100,
            max_auth_failures: 3,
            max_idle_commands: 100,
        }
    }

    /// What EHLO offers. AUTH stands there before the client has authenticated, and everything else beside it: no
    /// client says EHLO again behind AUTH.
    pub(super) fn extensions(&self, tls: bool, authenticated: bool) -> Extensions {
        Extensions {
            pipelining: true,
            size: Some(self.max_message_size),
            eight_bit_mime: true,
            smtputf8: true,
            chunking: true,
            binary_mime: self.binary_mime,
            enhanced_status_codes: true,
            dsn: true,
            auth: if tls { self.mechanisms } else { Mechanisms::NONE },
            starttls: self.starttls && !tls && !authenticated,
            require_tls: self.require_tls && tls,
            mt_priority: self.mt_priority,
            limits: Limits {
                mail: Some(self.max_messages),
                rcpt: Some(self.max_recipients),
                rcpt_domains: None,
            },
        }
    }
}
