//! From route, recipient's domain and sender to a decision.

use std::sync::Arc;
use std::time::SystemTime;

use proto::mail::Reply;
use rustls::pki_types::ServerName;
use tls_policy::mta_sts::{self, Applied, Mode, Policy};
use tls_policy::tls_rpt::{PolicyKind, PolicyUsed, ResultType};
use tls_policy::verifier::{Fingerprint, Trust};

use super::connectors::Connectors;
use super::dane::{Dane, Found};
use super::decision::{Decision, Encryption, Refusal, Watched};
use super::reporting::Reporting;
use super::wish::Wish;
use crate::reply::reply;
use crate::routing::TlsMode;
use crate::site::{Site, Target};

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
struct Question<'a> {
    /// The policy domain: that whose MX records were looked up, in ASCII and lower case.
    domain: &'a str,
    site: &'a Site,
    target: &'a Target,
    /// What the route asks for.
    mode: &'a TlsMode,
    wish: Wish,
}

/// What the recipient's domain asks for.
#[derive(Default)]
struct Asked {
    /// The strongest that holds for sure; `None` if nothing does.
    trust: Option<Trust>,
    /// It must be encrypted.
    encrypted: bool,
    source: String,
    /// The name to ask for in the handshake, if it is not the host's.
    server_name: Option<String>,
    /// MTA-STS knows the host as the domain's own.
    is_known_host: bool,
    remarks: Vec<String>,
    watched: Vec<Watched>,
    /// Why the host gets no mail.
    refused: Option<Reply>,
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
        let asked = match mode {
            TlsMode::Opportunistic | TlsMode::Required => self.ask(&question).await,
            // The operator knows better than the domain, and says so.
            TlsMode::None | TlsMode::Verified { .. } | TlsMode::Fingerprint(_) => Asked::default(),
        };
        self.merge(&question, asked)
    }

    /// Looks up what the recipient's domain asks for: DANE first, which MTA-STS must not weaken (RFC 8461 §2).
    async fn ask(&self, question: &Question<'_>) -> Asked {
        let mut asked = Asked::default();
        self.ask_dane(question, &mut asked).await;
        self.ask_sts(question, &mut asked).await;
        if question.wish.is_optional() {
            let ignored = asked.refused.is_some() || asked.trust.is_some() || asked.encrypted;
            if ignored {
                asked.remarks.push(format!(
                    "TLS-Required: No, so that the policy of {} is not enforced",
                    question.domain
                ));
            }
            let Asked { remarks, mut watched, server_name, .. } = asked;
            watched.iter_mut().for_each(|watched| watched.is_test = true);
            return Asked { remarks, watched, server_name, ..Asked::default() };
        }
        asked
    }

    /// DANE, where DNSSEC covers the way from the domain to the host's addresses (RFC 7672 §2.2).
    async fn ask_dane(&self, question: &Question<'_>, asked: &mut Asked) {
        let Question { domain, site, target, .. } = *question;
        let Some(dane) = self.dane.as_ref().filter(|_| site.secure && target.secure) else { return };
        match dane.lookup(target).await {
            Found::Nothing => {}
            Found::Unknown(reason) => {
                let policy = PolicyUsed {
                    kind: PolicyKind::Tlsa,
                    text: Vec::new(),
                    domain: target.host.to_string(),
                    hosts: Vec::new(),
                };
                let unmet = Some((ResultType::DnssecInvalid, reason.clone()));
                asked.watched.push(Watched { policy, verifier: None, unmet, is_test: false });
                let text = format!("the TLSA records of {} cannot be looked up: {reason}", target.host);
                asked.refused = Some(reply(451, "4.4.3", text));
            }
            Found::Records { base, records } => {
                let policy = PolicyUsed {
                    kind: PolicyKind::Tlsa,
                    text: records.records().iter().map(ToString::to_string).collect(),
                    domain: base.clone(),
                    hosts: Vec::new(),
                };
                asked.encrypted = true;
                asked.server_name = Some(base.clone());
                if records.is_usable() {
                    let trust = Trust::Dane { names: names_for(&base, domain, site, target), records };
                    let verifier = Some(Arc::new(self.connectors.verifier(trust.clone())));
                    asked.watched.push(Watched { policy, verifier, unmet: None, is_test: false });
                    asked.source = format!("TLSA records of {base}");
                    asked.trust = Some(trust);
                } else {
                    let why = format!("none of the TLSA records of {base} can be used");
                    let unmet = Some((ResultType::TlsaInvalid, why.clone()));
                    asked.watched.push(Watched { policy, verifier: None, unmet, is_test: false });
                    asked.remarks.push(format!("{why}: encrypted, and not authenticated by DANE"));
                }
            }
        }
    }

    /// MTA-STS, which is about a domain's MX hosts.
    async fn ask_sts(&self, question: &Question<'_>, asked: &mut Asked) {
        let Question { domain, site, target, .. } = *question;
        let is_name = |text: &str| !text.starts_with('[');
        let Some(sts) = self.sts.as_ref().filter(|_| site.by_mx && is_name(domain)) else { return };
        let Applied { policy, trouble } = sts.policy(domain, SystemTime::now()).await;
        if let Some(trouble) = trouble {
            let used = PolicyUsed {
                kind: PolicyKind::Sts,
                text: Vec::new(),
                domain: domain.to_owned(),
                hosts: Vec::new(),
            };
            asked.remarks.push(trouble.reason.clone());
            let unmet = Some((trouble.result, trouble.reason));
            asked.watched.push(Watched { policy: used, verifier: None, unmet, is_test: false });
        }
        let Some(policy) = policy.filter(|policy| policy.mode != Mode::None) else { return };
        let is_allowed = policy.allows(&target.host);
        asked.is_known_host = is_allowed;
        let trust = Trust::Pkix { names: vec![target.host.to_string()] };
        let unmet = (!is_allowed)
            .then(|| (ResultType::ValidationFailure, format!("it does not allow the host {}", target.host)));
        asked.watched.push(Watched {
            policy: sts_used(domain, &policy),
            verifier: Some(Arc::new(self.connectors.verifier(trust.clone()))),
            unmet,
            is_test: policy.mode == Mode::Testing || asked.trust.is_some(),
        });
        // A host that DANE authenticates is the domain's own, beyond what MTA-STS could say.
        if policy.mode != Mode::Enforce || asked.trust.is_some() || asked.refused.is_some() {
            return;
        }
        if is_allowed {
            asked.encrypted = true;
            asked.trust = Some(trust);
            asked.source = format!("MTA-STS policy of {domain}");
        } else {
            let text = format!("the MTA-STS policy of {domain} does not allow the host {}", target.host);
            asked.refused = Some(reply(451, "4.7.0", text));
        }
    }

    /// Puts together what the operator, the domain and the sender ask for.
    fn merge(&self, question: &Question<'_>, asked: Asked) -> Result<Decision, Box<Refusal>> {
        let Question { domain, site, target, mode, wish } = *question;
        let is_counted = site.by_mx && wish != Wish::OwnReport && follows_policies(mode);
        let reported_to = is_counted.then(|| Arc::from(domain));
        let refuse = |reply, watched| {
            let host = Arc::clone(&target.host);
            Err(Box::new(Refusal { reply, watched, reported_to: reported_to.clone(), host }))
        };
        if let Some(reply) = asked.refused {
            return refuse(reply, asked.watched);
        }
        let is_imposed = asked.encrypted || asked.trust.is_some();
        let own_names = || vec![target.host.to_string()];
        let route = || match site.settings.name.as_str() {
            "" => "the configuration".to_owned(),
            name => format!("the rule {name}"),
        };
        let (encryption, trust, source) = match mode {
            TlsMode::None => (Encryption::Never, Trust::Any, route()),
            TlsMode::Verified { names } => {
                let names: Vec<String> = names.iter().map(|name| name.ascii().to_owned()).collect();
                let names = if names.is_empty() { own_names() } else { names };
                (Encryption::Always, Trust::Pkix { names }, route())
            }
            TlsMode::Fingerprint(known) => {
                let known = known.iter().map(|known| Fingerprint::new(known.0)).collect();
                (Encryption::Always, Trust::Fingerprint(known), route())
            }
            mode @ (TlsMode::Opportunistic | TlsMode::Required) => {
                let is_required = asked.encrypted || *mode == TlsMode::Required;
                let encryption = if is_required { Encryption::Always } else { Encryption::IfOffered };
                (encryption, asked.trust.unwrap_or(Trust::Any), asked.source)
            }
        };
        let (encryption, trust, source) = if wish == Wish::Required {
            match (encryption, trust) {
                (Encryption::Never, _) => {
                    let text = format!("{} turns TLS off, and the sender requires it", route());
                    return refuse(reply(550, "5.7.10", text), asked.watched);
                }
                // Nobody could have forged the host's name, or MTA-STS knows it (RFC 8689 §4.2.1).
                (_, Trust::Any) if site.secure || asked.is_known_host => {
                    (Encryption::Always, Trust::Pkix { names: own_names() }, "REQUIRETLS".into())
                }
                (_, Trust::Any) => {
                    let text = format!(
                        "the sender requires TLS with a host that is known to be {domain}'s, and neither DNSSEC nor \
                         MTA-STS says so of {}",
                        target.host
                    );
                    return refuse(reply(550, "5.7.10", text), asked.watched);
                }
                (_, trust) => (Encryption::Always, trust, source),
            }
        } else {
            (encryption, trust, source)
        };
        let mut remarks = asked.remarks;
        if encryption == Encryption::Never {
            remarks.push(format!("in clear: {} turns TLS off", route()));
        }
        let client = match self.connectors.client(trust) {
            Ok(client) => client,
            Err(error) => {
                let text = format!("TLS cannot be set up: {error}");
                return refuse(reply(451, "4.3.5", text), asked.watched);
            }
        };
        let mut watched = asked.watched;
        if watched.is_empty() && is_counted {
            watched.push(nothing_found(domain));
        }
        Ok(Decision {
            encryption,
            client,
            server_name: server_name(asked.server_name.as_deref().unwrap_or(&target.host), target),
            source,
            is_imposed,
            needs_requiretls: wish == Wish::Required,
            remarks,
            watched,
            reported_to: reported_to.clone(),
            host: Arc::clone(&target.host),
        })
    }
}

/// Whether the recipient's domain has a say.
fn follows_policies(mode: &TlsMode) -> bool {
    matches!(mode, TlsMode::Opportunistic | TlsMode::Required)
}

/// Names of which one must stand in a certificate that an authority named by DANE has signed (RFC 7672 §3.2.3).
fn names_for(base: &str, domain: &str, site: &Site, target: &Target) -> Vec<String> {
    let mut names = vec![base.to_owned()];
    let others = [&*target.host].into_iter().chain(site.by_mx.then_some(domain));
    for name in others {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn sts_used(domain: &str, policy: &Policy) -> PolicyUsed {
    PolicyUsed {
        kind: PolicyKind::Sts,
        text: policy.lines(),
        domain: domain.to_owned(),
        hosts: policy.mx.iter().map(ToString::to_string).collect(),
    }
}

fn nothing_found(domain: &str) -> Watched {
    let policy = PolicyUsed {
        kind: PolicyKind::NoPolicyFound,
        text: Vec::new(),
        domain: domain.to_owned(),
        hosts: Vec::new(),
    };
    Watched { policy, verifier: None, unmet: None, is_test: false }
}

fn server_name(name: &str, target: &Target) -> ServerName<'static> {
    ServerName::try_from(name.to_owned()).unwrap_or_else(|_| target.address.ip().into())
}
