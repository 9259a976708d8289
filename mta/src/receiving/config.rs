//! What an operator can set about mail from other MTAs.

use std::path::PathBuf;
use std::sync::Arc;

use message::Domain;
use serde::{Deserialize, Serialize};
use service::config::HumanDuration;
use service::listen::Network;
use service::smtp::server::Arrival;

/// `[receiving]`: whom mail is taken from, and for whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReceivingConfig {
    /// How long a client waits for the greeting. Mail servers wait; much of what sends spam talks at once, and is known
    /// by that. Default 0s: whoever talks before the greeting leaves is still noticed.
    pub greeting_delay: HumanDuration,
    /// What becomes of a client that talks before it is greeted. Default `refuse`.
    pub early_talkers: EarlyTalkers,
    /// Clients that are not delayed, limited, looked up or greylisted. Default: this host.
    pub trusted: Vec<Network>,
    /// Proxies whose connections begin with a header of the PROXY protocol, version 1 or 2. Default: none.
    pub proxies: Vec<Network>,
    /// Proxies whose XCLIENT is believed. Default: none.
    pub xclient: Vec<Network>,
    /// A client's MT-PRIORITY above 0 counts if it is trusted or has authenticated to its proxy. Default `false`: it
    /// can only make its mail less urgent.
    pub honour_priority: bool,
    /// Domains that are not ours and whose mail is taken from everyone, to be relayed: the next hop is asked whether
    /// the recipient exists. `.example.test` means all subdomains. Default: none.
    pub relay_domains: Vec<String>,
    /// What the clients of one network (an IPv4 /24, an IPv6 /64) may do.
    pub limits: NetworkLimitsConfig,
    /// DNS lists of clients.
    pub reputation: ReputationConfig,
    /// Unknown senders come again.
    pub greylist: GreylistConfig,
    /// Addresses are tried out at their next hop.
    pub verify: VerifyConfig,
}

impl Default for ReceivingConfig {
    fn default() -> Self {
        Self {
            greeting_delay: HumanDuration::from_secs(0),
            early_talkers: EarlyTalkers::default(),
            trusted: Network::loopback(),
            proxies: Vec::new(),
            xclient: Vec::new(),
            honour_priority: false,
            relay_domains: Vec::new(),
            limits: NetworkLimitsConfig::default(),
            reputation: ReputationConfig::default(),
            greylist: GreylistConfig::default(),
            verify: VerifyConfig::default(),
        }
    }
}

/// What becomes of a client that talks before it is greeted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EarlyTalkers {
    /// It gets 554 in place of the greeting.
    #[default]
    Refuse,
    /// It is served, and `reputation.early_talker_score` is added to its score.
    Score,
}

/// `[receiving.limits]`: what the clients of one network may do. 0 is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkLimitsConfig {
    /// Connections at a time. Default 100.
    pub connections: u32,
    /// New connections per minute. Default 600.
    pub connections_per_minute: u32,
    /// Commands per minute. Default 20,000.
    pub commands_per_minute: u32,
    /// Wrong commands, and refused senders and recipients, per minute. Default 200.
    pub errors_per_minute: u32,
    /// Messages per minute. Default 3,000.
    pub messages_per_minute: u32,
    /// Recipients per minute. Default 10,000.
    pub recipients_per_minute: u32,
    /// Networks that are remembered; of more, those that were seen longest ago are forgotten. Default 65,536.
    pub networks: usize,
}

impl Default for NetworkLimitsConfig {
    fn default() -> Self {
        Self {
            connections: 100,
            connections_per_minute: 600,
            commands_per_minute: 20_000,
            errors_per_minute: 200,
            messages_per_minute: 3_000,
            recipients_per_minute: 10_000,
            networks: 65_536,
        }
    }
}

/// `[receiving.reputation]`: the weights of the lists that a client is on are added up to its score.
///
/// A list that does not answer in time counts nothing. Nobody is refused who writes to a postmaster alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReputationConfig {
    /// The lists. Default: none.
    pub lists: Vec<DnsList>,
    /// From this score on recipients are refused for good. Default 10.
    pub refuse_score: i32,
    /// From this score on recipients are refused for now. Default 8.
    pub defer_score: i32,
    /// From this score on a client is greylisted, whether or not `greylist.enabled` is set. Default 5.
    pub greylist_score: i32,
    /// What talking before the greeting adds, with `early_talkers = "score"`. Default 5.
    pub early_talker_score: i32,
    /// How long all lists together may take to answer. Default 5s.
    pub timeout: HumanDuration,
}

impl Default for ReputationConfig {
    fn default() -> Self {
        Self {
            lists: Vec::new(),
            refuse_score: 10,
            defer_score: 8,
            greylist_score: 5,
            early_talker_score: 5,
            timeout: HumanDuration::from_secs(5),
        }
    }
}

/// A list of clients in DNS (RFC 5782).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsList {
    /// The domain under which the client's address is looked up.
    pub zone: String,
    /// What being listed adds to a client's score; below 0 for a list of clients that can be trusted.
    pub weight: i32,
    /// Answers that count. Default: all in 127.0.0.0/8, save 127.255.255.0/24 by which lists tell of errors.
    pub answers: Vec<Network>,
    /// What a client that is refused hears in place of the list's own text (TXT). Default: none.
    pub text: String,
}

/// `[receiving.greylist]`: mail from a network, sender and recipient that are new together is refused for now. A mail
/// server comes again; much of what sends spam does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GreylistConfig {
    /// Every client is greylisted. Default `false`: only those of whom `reputation.greylist_score` says so.
    pub enabled: bool,
    /// How long it is before a repeated attempt is let through. Default 5m.
    pub delay: HumanDuration,
    /// How long after the first attempt one must have been let through. Default 2d.
    pub retry_within: HumanDuration,
    /// How long what was let through is remembered after its last message. Default 36d.
    pub remember: HumanDuration,
    /// Triples that a network must have got through before it is greylisted no more; 0 for never. Default 5.
    pub enough: u32,
    /// Triples, and networks, that are remembered; of more, those that were seen longest ago are forgotten. Default
    /// 100,000.
    pub entries: usize,
    /// Where it is remembered over a restart.
    pub file: PathBuf,
}

impl Default for GreylistConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            delay: HumanDuration::from_mins(5),
            retry_within: HumanDuration::from_days(2),
            remember: HumanDuration::from_days(36),
            enough: 5,
            entries: 100_000,
            file: "/var/lib/waypost/mta/greylist".into(),
        }
    }
}

/// `[receiving.verify]`: addresses are tried out at their next hop, by a message that stops before DATA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifyConfig {
    /// Recipients in `relay_domains` are verified. Default `true`.
    pub recipients: bool,
    /// Senders are verified, save `<>` and those of our own domains. Default `false`: not every server likes it.
    pub senders: bool,
    /// How long it is believed that an address exists. Default 12h.
    pub remember_good: HumanDuration,
    /// How long it is believed that one does not. Default 1h.
    pub remember_bad: HumanDuration,
    /// How long it is believed that nothing can be known. Default 1m.
    pub remember_unknown: HumanDuration,
    /// How long one attempt may take. Default 20s.
    pub timeout: HumanDuration,
    /// Attempts at a time. Default 20.
    pub probes: usize,
    /// Addresses that are remembered; of more, those that were asked for longest ago are forgotten. Default 50,000.
    pub entries: usize,
}

impl Default for VerifyConfig {
    fn default() -> Self {
        Self {
            recipients: true,
            senders: false,
            remember_good: HumanDuration::from_hours(12),
            remember_bad: HumanDuration::from_hours(1),
            remember_unknown: HumanDuration::from_mins(1),
            timeout: HumanDuration::from_secs(20),
            probes: 20,
            entries: 50_000,
        }
    }
}

impl ReceivingConfig {
    /// The first setting of no use, and what it must be.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let is_domain = |domain: &String| Domain::parse(domain.trim_start_matches('.')).is_ok();
        let faults = [
            (self.limits.networks == 0, "receiving.limits.networks", "at least 1"),
            (self.greylist.entries == 0, "receiving.greylist.entries", "at least 1"),
            (self.verify.entries == 0, "receiving.verify.entries", "at least 1"),
            (self.verify.probes == 0, "receiving.verify.probes", "at least 1"),
            (
                self.greylist.retry_within <= self.greylist.delay,
                "receiving.greylist.retry_within",
                "longer than delay",
            ),
            (!self.relay_domains.iter().all(is_domain), "receiving.relay_domains", "domain names"),
            (
                !self.reputation.lists.iter().all(|list| Domain::parse(&list.zone).is_ok()),
                "receiving.reputation.lists.zone",
                "a domain name",
            ),
        ];
        faults.into_iter().find(|(is_fault, ..)| *is_fault).map(|(_, setting, range)| (setting, range))
    }

    /// What comes before a session's first command.
    pub(crate) fn arrival(&self) -> Arrival {
        let networks = |networks: &[Network]| Arc::from(networks);
        Arrival {
            greeting_delay: *self.greeting_delay,
            not_delayed: networks(&self.trusted),
            proxies: networks(&self.proxies),
            xclient: networks(&self.xclient),
        }
    }

    /// Whether mail for a domain (in A-labels and lower case) is taken from everyone, to be relayed.
    pub(crate) fn relays(&self, domain: &str) -> bool {
        self.relay_domains.iter().any(|relayed| {
            let suffix = relayed.strip_prefix('.');
            match suffix {
                Some(parent) => domain.len().checked_sub(parent.len() + 1).is_some_and(|at| {
                    domain.is_char_boundary(at) && domain[at..].eq_ignore_ascii_case(relayed)
                }),
                None => relayed.eq_ignore_ascii_case(domain),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relayed_domain_is_itself_and_one_with_a_dot_is_what_is_below_it() {
        let relay_domains = vec!["partner.test".to_owned(), ".below.test".to_owned()];
        let config = ReceivingConfig { relay_domains, ..ReceivingConfig::default() };
        for domain in ["partner.test", "a.below.test", "b.a.below.test"] {
            assert!(config.relays(domain), "{domain}");
        }
        for domain in ["a.partner.test", "below.test", "xbelow.test", "test", "other.test"] {
            assert!(!config.relays(domain), "{domain}");
        }
    }

    #[test]
    fn what_is_of_no_use_is_named() {
        assert_eq!(ReceivingConfig::default().fault(), None);
        let mut config = ReceivingConfig::default();
        config.greylist.retry_within = HumanDuration::from_secs(1);
        assert_eq!(config.fault().unwrap().0, "receiving.greylist.retry_within");
        let list = DnsList { zone: "no zone".into(), ..DnsList::default() };
        let mut config = ReceivingConfig::default();
        config.reputation.lists.push(list);
        assert_eq!(config.fault().unwrap().0, "receiving.reputation.lists.zone");
    }
}
