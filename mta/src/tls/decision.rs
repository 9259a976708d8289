//! What a host has to show, and whether it did.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use proto::mail::Reply;
use rustls::pki_types::{ServerName, UnixTime};
use service::smtp::TlsFacts;
use service::smtp::client::Tls;
use smtp::client::StartTls;
use tls_policy::tls_rpt::{Failure, PolicyUsed, ResultType};
use tls_policy::verifier::{Fault, Trust, Verifier, fault_of};

use super::connectors::Client;
use crate::reply::reply;

/// What one host has to show before it gets mail for one domain.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    /// Whether there is to be TLS.
    pub(super) encryption: Encryption,
    pub(super) client: Client,
    /// The name that is asked for in the handshake (SNI).
    pub(super) server_name: ServerName<'static>,
    /// Who asks for it, in the words of a trace; empty for nobody.
    pub(super) source: String,
    /// The recipient's domain asks for it, so that a sender's `TLS-Required: No` would take it away.
    pub(super) is_imposed: bool,
    /// The sender asks for REQUIRETLS.
    pub(super) needs_requiretls: bool,
    /// What is worth telling before anything was tried.
    pub(super) remarks: Vec<String>,
    /// Policies whose results are watched, whether they are enforced or not.
    pub(super) watched: Vec<Watched>,
    /// Where results are counted: the recipient's domain; `None` if they are not.
    pub(super) reported_to: Option<Arc<str>>,
    pub(super) host: Arc<str>,
}

/// Whether there is TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    Never,
    IfOffered,
    Always,
}

/// A policy that applies to the session.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) policy: PolicyUsed,
    /// What the host has to show to meet it; `None` if TLS is enough.
    pub(super) verifier: Option<Arc<Verifier>>,
    /// Why it cannot be met, whatever the host shows.
    pub(super) unmet: Option<(ResultType, String)>,
    /// It is only watched; whether it is met is told.
    pub(super) is_test: bool,
}

/// A host that gets no mail for this domain from this message, without being asked.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// For good (5xx) or for now, in our words.
    pub(crate) reply: Reply,
    /// For the reports.
    pub(super) watched: Vec<Watched>,
    pub(super) reported_to: Option<Arc<str>>,
    pub(super) host: Arc<str>,
}

/// How a connection came out, as far as TLS is concerned.
pub(crate) enum Ended<'a> {
    /// TLS is in use.
    Encrypted(&'a TlsFacts),
    /// It is not: STARTTLS was not offered, or was refused.
    Clear,
    /// The handshake failed.
    Broken(&'a io::Error),
}

/// Both ends of a connection; `None` if unknown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ends {
    pub(crate) ours: Option<IpAddr>,
    pub(crate) theirs: Option<IpAddr>,
}

impl Decision {
    /// What to say to the server about TLS.
    pub(crate) fn start_tls(&self) -> StartTls {
        match self.encryption {
            Encryption::Never => StartTls::Never,
            Encryption::IfOffered => StartTls::Opportunistic,
            Encryption::Always => StartTls::Required,
        }
    }

    /// How to connect with TLS; `None` if that is not to be tried.
    pub(crate) fn tls(&self, implicit: bool) -> Option<Tls> {
        let tls = || Tls {
            connector: self.client.connector.clone(),
            server_name: self.server_name.clone(),
            implicit,
        };
        (self.encryption != Encryption::Never).then(tls)
    }

    /// Whether the mail may go in clear if TLS cannot be had.
    pub(crate) fn may_be_clear(&self) -> bool {
        self.encryption != Encryption::Always
    }

    /// Whether the host must offer REQUIRETLS, and be told it with the message (RFC 8689 §4.2.1).
    pub(crate) fn needs_requiretls(&self) -> bool {
        self.needs_requiretls
    }

    /// Whether the recipient's domain asks for more than the route does: then a message with `TLS-Required: No` (see
    /// [`has_opted_out`](super::has_opted_out)) is to be decided on again, with
    /// [`Wish::Optional`](super::Wish::Optional).
    pub(crate) fn is_imposed(&self) -> bool {
        self.is_imposed
    }

    /// Whether a session that there is already, made for whichever domain, is good enough.
    ///
    /// # Errors
    /// Says what it lacks.
    pub(crate) fn check(&self, session: Option<&TlsFacts>) -> Result<(), Fault> {
        match (self.encryption, session) {
            (Encryption::Always, None) => Err(Fault::Invalid("the session is not encrypted".into())),
            // Opportunistic TLS that a server does not offer cannot be had; `None` is no less than clear.
            (Encryption::Never | Encryption::IfOffered, None) | (Encryption::Never, Some(_)) => Ok(()),
            (Encryption::IfOffered | Encryption::Always, Some(facts)) => {
                self.client.verifier.judge(&facts.certificates, UnixTime::now())
            }
        }
    }

    /// What is said of a handshake that failed, if there is nothing without TLS.
    pub(crate) fn distrust(&self, error: &io::Error) -> Reply {
        match fault_of(error) {
            Some(fault) => self.unencrypted(reply(451, "4.7.5", format!("TLS handshake failed: {fault}"))),
            None => reply(451, "4.7.5", format!("TLS handshake failed: {error}{}", self.for_source())),
        }
    }

    /// What is said of a host that has no TLS to offer, or not the right one: for good where the sender requires it
    /// (RFC 8689 §4.2.1), and for now where the recipient's domain or the route does, which may change their mind.
    pub(crate) fn unencrypted(&self, said: Reply) -> Reply {
        let text = format!("{}{}", said.text, self.for_source());
        if self.needs_requiretls { reply(550, "5.7.10", text) } else { Reply { text, ..said } }
    }

    /// TLS in the words of a trace: version, cipher, and by what the host was known.
    pub(crate) fn describe(&self, facts: &TlsFacts) -> String {
        let known_by = match self.client.verifier.trust() {
            Trust::Any => "not verified".into(),
            Trust::Pkix { names } => format!("verified as {}{}", names.join(" or "), self.for_source()),
            trust @ (Trust::Dane { .. } | Trust::Fingerprint(_)) => {
                format!("verified by {trust}{}", self.for_source())
            }
        };
        format!("{} {}, {known_by}", facts.version, facts.cipher)
    }

    fn for_source(&self) -> String {
        if self.source.is_empty() { String::new() } else { format!(" ({})", self.source) }
    }

    /// What else there is to tell of a session: every policy that was not met, and why.
    pub(crate) fn notes(&self, session: Option<&TlsFacts>) -> String {
        let mut notes = self.remarks.clone();
        let tests = self.watched.iter().filter(|watched| watched.is_test);
        notes.extend(tests.filter_map(|test| {
            let (_, why) = test.result(&session.map_or(Ended::Clear, Ended::Encrypted)).err()?;
            Some(format!("{}: {why}", test.described()))
        }));
        notes.join("; ")
    }
}

impl Watched {
    /// A policy that is met by TLS as such.
    pub(super) fn encryption(policy: PolicyUsed) -> Self {
        Self { policy, verifier: None, unmet: None, is_test: false }
    }

    /// A policy that is met by a host that stands up to the verifier.
    pub(super) fn by(verifier: Arc<Verifier>, policy: PolicyUsed) -> Self {
        Self { policy, verifier: Some(verifier), unmet: None, is_test: false }
    }

    /// A policy that cannot be met.
    pub(super) fn unmet(policy: PolicyUsed, result: ResultType, why: &str) -> Self {
        Self { policy, verifier: None, unmet: Some((result, why.to_owned())), is_test: false }
    }

    fn described(&self) -> String {
        use tls_policy::tls_rpt::PolicyKind::{NoPolicyFound, Sts, Tlsa};
        let domain = &self.policy.domain;
        match self.policy.kind {
            Sts => format!("the MTA-STS policy of {domain} is not met"),
            Tlsa => format!("the TLSA records of {domain} are not met"),
            NoPolicyFound => "not encrypted".into(),
        }
    }

    /// Whether a connection met the policy, and if not, what was wrong.
    pub(super) fn result(&self, ended: &Ended<'_>) -> Result<(), (ResultType, String)> {
        if let Some(unmet) = &self.unmet {
            return Err(unmet.clone());
        }
        match ended {
            Ended::Clear => {
                Err((ResultType::StarttlsNotSupported, "the host does not offer or begin STARTTLS".into()))
            }
            Ended::Broken(error) => Err(match fault_of(*error) {
                Some(fault) => failure(&fault),
                None => (ResultType::ValidationFailure, error.to_string()),
            }),
            Ended::Encrypted(facts) => match &self.verifier {
                None => Ok(()),
                Some(verifier) => {
                    let judged = verifier.judge(&facts.certificates, UnixTime::now());
                    judged.map_err(|fault| failure(&fault))
                }
            },
        }
    }

    pub(super) fn as_failure(host: &str, ends: Ends, (result_type, reason): (ResultType, String)) -> Failure {
        let text = |ip: Option<IpAddr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
        Failure {
            result_type,
            sending_mta_ip: text(ends.ours),
            receiving_mx_hostname: host.to_owned(),
            receiving_ip: text(ends.theirs),
            failure_reason_code: reason,
        }
    }
}

/// A fault as a report names it.
fn failure(fault: &Fault) -> (ResultType, String) {
    let result = match fault {
        Fault::Name(_) => ResultType::CertificateHostMismatch,
        Fault::Expired | Fault::NotYetValid => ResultType::CertificateExpired,
        Fault::Untrusted => ResultType::CertificateNotTrusted,
        Fault::NoCertificate | Fault::NotNamed | Fault::NoAnchor | Fault::Fingerprint | Fault::Invalid(_) => {
            ResultType::ValidationFailure
        }
    };
    (result, fault.to_string())
}
