//! What the recipient's domain asks for, by DANE and MTA-STS.

use std::sync::Arc;
use std::time::SystemTime;

use proto::mail::Reply;
use tls_policy::dane::TlsaSet;
use tls_policy::mta_sts::{Applied, Mode, Policy, Trouble};
use tls_policy::tls_rpt::{PolicyKind, PolicyUsed, ResultType};
use tls_policy::verifier::Trust;

use super::TlsPolicies;
use super::dane::Found;
use super::decide::Question;
use super::decision::Watched;
use crate::reply::reply;
use crate::site::{Site, Target};

/// What a domain asks for.
#[derive(Default)]
pub(super) struct Asked {
    /// What the host's certificate must be; `None` if it may be any.
    pub(super) trust: Option<Trust>,
    /// There must be TLS.
    pub(super) encrypted: bool,
    /// Where `trust` comes from.
    pub(super) source: String,
    /// The name to ask for in the handshake, if it is not the host's.
    pub(super) server_name: Option<String>,
    /// MTA-STS knows the host as one of the domain's.
    pub(super) is_known_host: bool,
    /// What is worth telling.
    pub(super) remarks: Vec<String>,
    /// What is counted.
    pub(super) watched: Vec<Watched>,
    /// Why the host gets no mail.
    pub(super) refused: Option<Reply>,
}

impl TlsPolicies {
    /// Looks up what the recipient's domain asks for: DANE first, which MTA-STS must not weaken (RFC 8461 §2).
    pub(super) async fn ask(&self, question: &Question<'_>) -> Asked {
        let mut asked = Asked::default();
        self.ask_dane(question, &mut asked).await;
        self.ask_sts(question, &mut asked).await;
        if question.wish.is_optional() && !question.has_to_be_known() {
            asked.without_force(question.domain)
        } else {
            asked
        }
    }

    /// DANE, where DNSSEC covers the way from the domain to the host's addresses (RFC 7672 §2.2).
    async fn ask_dane(&self, question: &Question<'_>, asked: &mut Asked) {
        let Question { site, target, .. } = *question;
        let Some(dane) = self.dane.as_ref().filter(|_| site.secure && target.secure) else { return };
        match dane.lookup(target).await {
            Found::Nothing => {}
            Found::Unknown(reason) => {
                let text = format!("the TLSA records of {} cannot be looked up: {reason}", target.host);
                let policy = PolicyUsed::new(PolicyKind::Tlsa, &target.host);
                asked.watched.push(Watched::unmet(policy, ResultType::DnssecInvalid, &reason));
                asked.refused = Some(reply(451, "4.4.3", text));
            }
            Found::Records { base, records } => {
                asked.encrypted = true;
                asked.server_name = Some(base.clone());
                self.ask_records(question, &base, records, asked);
            }
        }
    }

    fn ask_records(&self, question: &Question<'_>, base: &str, records: TlsaSet, asked: &mut Asked) {
        let text = records.records().iter().map(ToString::to_string).collect();
        let policy = PolicyUsed { text, ..PolicyUsed::new(PolicyKind::Tlsa, base) };
        if !records.is_usable() {
            let why = format!("none of the TLSA records of {base} can be used");
            asked.watched.push(Watched::unmet(policy, ResultType::TlsaInvalid, &why));
            asked.remarks.push(format!("{why}: encrypted, and not authenticated by DANE"));
            return;
        }
        let names = names_for(base, question.domain, question.site, question.target);
        let trust = Trust::Dane { records, names };
        let verifier = Arc::new(self.connectors.verifier(trust.clone()));
        asked.watched.push(Watched::by(verifier, policy));
        asked.source = format!("TLSA records of {base}");
        asked.trust = Some(trust);
    }

    /// MTA-STS, which is about a domain's MX hosts.
    async fn ask_sts(&self, question: &Question<'_>, asked: &mut Asked) {
        let Question { domain, site, .. } = *question;
        let is_literal = domain.starts_with('[');
        let Some(sts) = self.sts.as_ref().filter(|_| site.by_mx && !is_literal) else { return };
        let Applied { policy, trouble } = sts.policy(domain, SystemTime::now()).await;
        if let Some(Trouble { result, reason }) = trouble {
            let policy = PolicyUsed::new(PolicyKind::Sts, domain);
            asked.watched.push(Watched::unmet(policy, result, &reason));
            asked.remarks.push(reason);
        }
        if let Some(policy) = policy.filter(|policy| policy.mode != Mode::None) {
            self.ask_policy(question, &policy, asked);
        }
    }

    fn ask_policy(&self, question: &Question<'_>, policy: &Policy, asked: &mut Asked) {
        let Question { domain, target, .. } = *question;
        let hosts = policy.mx.iter().map(ToString::to_string).collect();
        let used = PolicyUsed { text: policy.lines(), hosts, ..PolicyUsed::new(PolicyKind::Sts, domain) };
        asked.is_known_host = policy.allows(&target.host);
        // A host that DANE authenticates is the domain's own, beyond what MTA-STS could say; one that DANE refuses stays
        // refused.
        let is_enforced = policy.mode == Mode::Enforce && asked.trust.is_none() && asked.refused.is_none();
        let trust = Trust::Pkix { names: vec![target.host.to_string()] };
        let watched = if asked.is_known_host {
            Watched::by(Arc::new(self.connectors.verifier(trust.clone())), used)
        } else {
            let why = format!("it does not allow the host {}", target.host);
            Watched::unmet(used, ResultType::ValidationFailure, &why)
        };
        asked.watched.push(Watched { is_test: !is_enforced, ..watched });
        if !is_enforced {
            return;
        }
        if asked.is_known_host {
            asked.encrypted = true;
            asked.trust = Some(trust);
            asked.source = format!("MTA-STS policy of {domain}");
        } else {
            let text = format!("the MTA-STS policy of {domain} does not allow the host {}", target.host);
            asked.refused = Some(reply(451, "4.7.0", text));
        }
    }
}

impl Asked {
    /// The same for a sender who does without: nothing fails, and what would have is told (RFC 8689 §4.2.2).
    fn without_force(self, domain: &str) -> Self {
        let Self { mut remarks, mut watched, server_name, .. } = self;
        if self.refused.is_some() || self.trust.is_some() || self.encrypted {
            remarks.push(format!("TLS-Required: No, so that the policy of {domain} is not enforced"));
        }
        for policy in &mut watched {
            policy.is_test = true;
        }
        Self { server_name, remarks, watched, ..Self::default() }
    }
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
