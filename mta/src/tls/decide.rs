//! From route, recipient's domain and sender to a decision.

use std::sync::Arc;

use proto::mail::Reply;
use rustls::pki_types::ServerName;
use tls_policy::mta_sts;
use tls_policy::tls_rpt::{PolicyKind, PolicyUsed};
use tls_policy::verifier::{Fingerprint, Trust};

use super::connectors::Connectors;
use super::dane::Dane;
use super::decision::{Decision, Encryption, Refusal, Watched};
use super::published::Asked;
use super::reporting::Reporting;
use super::wish::Wish;
use crate::reply::reply;
use crate::routing::TlsMode;
use crate::site::{Site, Target};

#[cfg(test)]
mod tests;

/// Everything that has a say about TLS towards other MTAs. One per node; shared by reference.
pub(crate) struct TlsPolicies {
    /// `false`: opportunistic means never.
    pub(super) starttls: bool,
    pub(super) connectors: Connectors,
    /// `None`: DANE is off.
    pub(super) dane: Option<Dane>,
    /// `None`: MTA-STS is off.
    pub(super) sts: Option<mta_sts::Cache>,
    /// `None`: results are not counted.
    pub(super) reporting: Option<Reporting>,
}

/// What is being decided.
pub(super) struct Question<'a> {
    pub(super) domain: &'a str,
    pub(super) site: &'a Site,
    pub(super) target: &'a Target,
    /// What the route asks for.
    pub(super) mode: &'a TlsMode,
    pub(super) wish: Wish,
}

/// How a host is to be met, and who says so.
struct Terms {
    encryption: Encryption,
    trust: Trust,
    source: String,
}

impl TlsPolicies {
    /// What the host behind `target` has to show before it gets mail for `domain` (in ASCII and lower case), which is
    /// the domain whose MX records were looked up, or the recipient's if none were.
    ///
    /// # Errors
    /// The host gets none: it is not one that the domain's policy allows, what it would have to show cannot be found
    /// out now, or there is nothing that it could show to meet the sender's wish. Another host may do.
    pub(crate) async fn decide(
        &self,
        domain: &str,
        site: &Site,
        target: &Target,
        wish: Wish,
    ) -> Result<Decision, Box<Refusal>> {
        let mode = match &site.settings.tls {
            TlsMode::Opportunistic if !self.starttls => &TlsMode::None,
            mode => mode,
        };
        let question = Question { domain, site, target, mode, wish };
        let asked = if question.follows_policies() { self.ask(&question).await } else { Asked::default() };
        self.merge(&question, asked)
    }

    /// Puts together what the operator, the domain and the sender ask for.
    fn merge(&self, question: &Question<'_>, asked: Asked) -> Result<Decision, Box<Refusal>> {
        let Question { domain, target, wish, .. } = *question;
        let Asked { trust, encrypted, source, server_name, is_known_host, mut remarks, mut watched, refused } =
            asked;
        let host = Arc::clone(&target.host);
        let reported_to = question.is_counted().then(|| Arc::from(domain));
        let is_imposed = encrypted || trust.is_some();
        let asked = Terms {
            encryption: if encrypted { Encryption::Always } else { Encryption::IfOffered },
            trust: trust.unwrap_or(Trust::Any),
            source,
        };
        let terms = match refused {
            Some(reply) => Err(reply),
            None => {
                let allowed = question.allowed_by_route(asked, is_known_host);
                question.required_by_sender(allowed, is_known_host)
            }
        };
        let client = terms.and_then(|terms| {
            let client = self.connectors.client(terms.trust.clone());
            let failed = |error| reply(451, "4.3.5", format!("TLS cannot be set up: {error}"));
            client.map_err(failed).map(|client| (client, terms))
        });
        let (client, Terms { encryption, source, .. }) = match client {
            Ok(client) => client,
            Err(reply) => return Err(Box::new(Refusal { reply, watched, reported_to, host })),
        };
        if encryption == Encryption::Never {
            remarks.push(format!("in clear: {} turns TLS off", question.route()));
        }
        if watched.is_empty() {
            watched.push(Watched::encryption(PolicyUsed::new(PolicyKind::NoPolicyFound, domain)));
        }
        Ok(Decision {
            encryption,
            client,
            server_name: question.server_name(server_name.as_deref()),
            source,
            is_imposed,
            needs_requiretls: wish == Wish::Required,
            remarks,
            watched,
            reported_to,
            host,
        })
    }
}

impl Question<'_> {
    /// Whether the recipient's domain has a say. If not, the operator knows better, and says so.
    fn follows_policies(&self) -> bool {
        matches!(self.mode, TlsMode::Opportunistic | TlsMode::Required) || self.has_to_be_known()
    }

    /// Whether the host has to be known as one of the domain's, and the operator does not say by which name. Then the
    /// domain's policies are a way to know it, also for a sender who would do without.
    pub(super) fn has_to_be_known(&self) -> bool {
        self.site.by_mx && matches!(self.mode, TlsMode::Verified { names } if names.is_empty())
    }

    /// Whether the domain may hear how it went.
    fn is_counted(&self) -> bool {
        self.site.by_mx && self.wish != Wish::OwnReport && self.follows_policies()
    }

    /// What the operator makes of what the domain asks for.
    fn allowed_by_route(&self, asked: Terms, is_known_host: bool) -> Terms {
        let route = |encryption, trust| Terms { encryption, trust, source: self.route() };
        match self.mode {
            TlsMode::Opportunistic => asked,
            TlsMode::Required => Terms { encryption: Encryption::Always, ..asked },
            TlsMode::None => route(Encryption::Never, Trust::Any),
            // What the domain asks for tells of more than a name does.
            TlsMode::Verified { names } if names.is_empty() && asked.trust != Trust::Any => {
                Terms { encryption: Encryption::Always, ..asked }
            }
            TlsMode::Verified { names } if names.is_empty() => {
                route(Encryption::Always, self.as_known(is_known_host))
            }
            TlsMode::Verified { names } => {
                let names = names.iter().map(|name| name.ascii().to_owned()).collect();
                route(Encryption::Always, Trust::Pkix { names })
            }
            TlsMode::Fingerprint(known) => {
                let known = known.iter().map(|known| Fingerprint::new(known.0)).collect();
                route(Encryption::Always, Trust::Fingerprint(known))
            }
        }
    }

    /// What the sender's REQUIRETLS makes of it: the host must be authenticated, by a name that nobody could have forged
    /// or that MTA-STS or the operator knows (RFC 8689 §4.2.1). The error is why that cannot be.
    fn required_by_sender(&self, terms: Terms, is_known_host: bool) -> Result<Terms, Reply> {
        if self.wish != Wish::Required {
            return Ok(terms);
        }
        match terms {
            Terms { encryption: Encryption::Never, .. } => {
                let text = format!("{} turns TLS off, and the sender requires it", self.route());
                Err(reply(550, "5.7.10", text))
            }
            Terms { trust: Trust::Any, .. } if self.site.secure || is_known_host => Ok(Terms {
                encryption: Encryption::Always,
                trust: self.as_certified(),
                source: "REQUIRETLS".into(),
            }),
            Terms { trust, .. }
                if trust == Trust::Any || self.has_to_be_known() && !self.site.secure && !is_known_host =>
            {
                let text = format!(
                    "the sender requires TLS with a host that is known to be one of {}, and neither DNSSEC nor \
                     MTA-STS says so of {}",
                    self.domain, self.target.host
                );
                Err(reply(550, "5.7.10", text))
            }
            terms => Ok(Terms { encryption: Encryption::Always, ..terms }),
        }
    }

    /// A certificate for the host, if its name could not have been forged; else for the domain, or for the host if that is
    /// below the domain: whoever forges an MX record can name any host, and have a certificate for it.
    fn as_known(&self, is_known_host: bool) -> Trust {
        let Self { domain, site, target: Target { host, .. }, .. } = *self;
        if !site.by_mx || site.secure || is_known_host || host.starts_with('[') || **host == *domain {
            return self.as_certified();
        }
        let is_below = host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        let host = is_below.then(|| host.to_string());
        Trust::Pkix { names: host.into_iter().chain([domain.to_owned()]).collect() }
    }

    /// A certificate for the host itself.
    fn as_certified(&self) -> Trust {
        let target = self.target;
        let is_address = target.host.starts_with('[');
        let name = if is_address { target.address.ip().to_string() } else { target.host.to_string() };
        Trust::Pkix { names: vec![name] }
    }

    /// The name to ask for in the handshake.
    fn server_name(&self, other: Option<&str>) -> ServerName<'static> {
        let name = other.unwrap_or(&self.target.host).to_owned();
        ServerName::try_from(name).unwrap_or_else(|_| self.target.address.ip().into())
    }

    /// Who says what holds for the route.
    fn route(&self) -> String {
        match self.site.settings.name.as_str() {
            "" => "the configuration".to_owned(),
            name => format!("the rule {name}"),
        }
    }
}
