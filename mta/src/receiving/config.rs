//! What an operator can set about mail from other MTAs.

use std::path::PathBuf;
use std::sync::Arc;

use message::{AddressError, Domain};
use serde::{Deserialize, Serialize};
use service::config::HumanDuration;
use service::listen::Network;
use service::smtp::server::Arrival;

use crate::routing::DomainSet;

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
    /// Proxies whose XCLIENT is believed, up to the first MAIL behind it: what comes then is the client's, so that each
    /// client needs a connection of its own. What a client says before that, the proxy must not pass on unread.
    /// Default: none.
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
    /// The domain under which the client's address is looked up. Must be given.
    pub zone: String,
    /// What being listed adds to a client's score; below 0 for a list of clients that can be trusted. Must be given.
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
    /// How long one attempt may take, and how long a recipient waits for one to be free. Default 20s.
    pub timeout: HumanDuration,
    /// Attempts at a time, for recipients and for senders each. Clients of one network can have a fifth of those for
    /// senders; where no attempt is free for a sender, it is not verified. Default 20.
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

/// A name among `relay_domains` that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("receiving.relay_domains: `{name}`: {source}")]
pub struct RelayDomainError {
    name: String,
    source: AddressError,
}

/// Clients wait so long for a greeting (RFC 5321 §4.5.3.2.1).
const CLIENTS_PATIENCE: HumanDuration = HumanDuration::from_mins(5);

impl ReceivingConfig {
    /// The first setting of no use, and what it must be.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let Self { reputation, greylist, verify, .. } = self;
        let any_list = |is_fault: fn(&DnsList) -> bool| reputation.lists.iter().any(is_fault);
        let faults = [
            (self.greeting_delay >= CLIENTS_PATIENCE, "receiving.greeting_delay", "shorter than 5m"),
            (self.limits.networks == 0, "receiving.limits.networks", "at least 1"),
            (
                any_list(|list| Domain::parse(&list.zone).is_err()),
                "receiving.reputation.lists.zone",
                "a domain name",
            ),
            (any_list(|list| list.weight == 0), "receiving.reputation.lists.weight", "other than 0"),
            (reputation.refuse_score <= 0, "receiving.reputation.refuse_score", "above 0"),
            (reputation.defer_score <= 0, "receiving.reputation.defer_score", "above 0"),
            (reputation.greylist_score <= 0, "receiving.reputation.greylist_score", "above 0"),
            (reputation.timeout.is_zero(), "receiving.reputation.timeout", "longer than 0"),
            (greylist.entries == 0, "receiving.greylist.entries", "at least 1"),
            (greylist.retry_within <= greylist.delay, "receiving.greylist.retry_within", "longer than delay"),
            (verify.entries == 0, "receiving.verify.entries", "at least 1"),
            (verify.probes == 0, "receiving.verify.probes", "at least 1"),
            (verify.timeout.is_zero(), "receiving.verify.timeout", "longer than 0"),
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

    /// The domains whose mail is taken from everyone, to be relayed.
    pub(crate) fn relayed(&self) -> Result<DomainSet, RelayDomainError> {
        DomainSet::parse(&self.relay_domains).map_err(|(name, source)| RelayDomainError { name, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relayed_domain_is_itself_and_one_with_a_dot_is_what_is_below_it() {
        let relaying = |domains: &[&str]| {
            let relay_domains = domains.iter().map(|&domain| domain.to_owned()).collect();
            ReceivingConfig { relay_domains, ..ReceivingConfig::default() }.relayed()
        };
        let relayed = relaying(&["Partner.test", ".below.test", "bücher.test"]).unwrap();
        for domain in ["partner.test", "a.below.test", "b.a.below.test", "xn--bcher-kva.test"] {
            assert!(relayed.contains(&domain.parse().unwrap()), "{domain}");
        }
        for domain in ["a.partner.test", "below.test", "xbelow.test", "test", "other.test"] {
            assert!(!relayed.contains(&domain.parse().unwrap()), "{domain}");
        }
        let error = relaying(&["partner.test", "no domain"]).unwrap_err().to_string();
        assert!(error.starts_with("receiving.relay_domains: `no domain`: "), "{error}");
    }

    #[test]
    fn what_is_of_no_use_is_named() {
        assert_eq!(ReceivingConfig::default().fault(), None);
        type Change = (&'static str, fn(&mut ReceivingConfig));
        let changes: [Change; 6] = [
            ("greeting_delay", |config| config.greeting_delay = HumanDuration::from_mins(5)),
            ("greylist.retry_within", |config| config.greylist.retry_within = HumanDuration::from_secs(1)),
            ("reputation.lists.zone", |config| config.reputation.lists.push(list("no zone", 3))),
            ("reputation.lists.weight", |config| config.reputation.lists.push(list("list.test", 0))),
            ("reputation.refuse_score", |config| config.reputation.refuse_score = 0),
            ("verify.timeout", |config| config.verify.timeout = HumanDuration::from_secs(0)),
        ];
        for (setting, change) in changes {
            let mut config = ReceivingConfig::default();
            change(&mut config);
            assert_eq!(config.fault().unwrap().0, format!("receiving.{setting}"));
        }
    }

    #[test]
    fn the_example_in_the_readme_is_a_configuration_that_says_what_it_means() {
        let readme = include_str!("../../../README.md");
        let mut blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let example = blocks.find(|block| block.starts_with("[receiving]")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mta.toml");
        std::fs::write(&file, example).unwrap();
        let config: crate::Config = service::config::load_with(&file, "mta", []).unwrap();
        config.validate().unwrap();
        let ReceivingConfig { greeting_delay, limits, reputation, greylist, verify, .. } = &config.receiving;
        assert_eq!(*greeting_delay, HumanDuration::from_secs(2));
        assert_eq!((limits.messages_per_minute, limits.errors_per_minute), (300, 50));
        assert_eq!(reputation.lists, [list("dnsbl.example", 10), list("allow.example", -10)]);
        let ReputationConfig { refuse_score, defer_score, greylist_score, .. } = ReputationConfig::default();
        assert_eq!((refuse_score, defer_score, greylist_score), (10, 8, 5), "as the comment says");
        assert!(greylist.enabled && verify.senders);
        assert!(config.receiving.relayed().unwrap().contains(&"branch.example".parse().unwrap()));
    }

    fn list(zone: &str, weight: i32) -> DnsList {
        DnsList { zone: zone.into(), weight, ..DnsList::default() }
    }
}
