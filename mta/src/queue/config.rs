//! `[outbound.sites]`: how much at a time, and to whom first.

use std::collections::BTreeMap;

use scheduler::{Config, OutageConfig, Rate, SiteLimits};
use serde::{Deserialize, Serialize};
use service::config::HumanDuration;

use crate::clock;

/// Routing asks the directory for many recipients at a time: more would only wait there.
const ROUTING: u32 = 16;
/// The MDA shares its disk among all who deliver.
const MDA: u32 = 32;
/// While sites wait for a session, a worker gives its place to another after so many messages.
const TURN: u32 = 10;

/// What one site (the hosts that take a domain's mail, together for all domains that name the same ones) may have at a
/// time, and how the accounts share it. A site to which a route sends from several addresses (`source`) may have as much
/// from each of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SitesConfig {
    /// Messages under way at one site at first. Grows by one with each round that goes well, and halves when the site
    /// turns a session away or times out. Default 5.
    pub first: u32,
    /// Never fewer than this. Default 1.
    pub least: u32,
    /// Never more than this. Default 20.
    pub most: u32,
    /// Messages begun at one site, at most so many in so long. Default: no limit.
    pub messages: Option<RateConfig>,
    /// Connections opened to one site, at most so many in so long. Default: no limit.
    pub connections: Option<RateConfig>,
    /// Recipients of a message that go in one transaction; more go in several. Default 100.
    pub recipients: usize,
    /// How long a session is kept open that nobody uses. Default 10s.
    pub idle: HumanDuration,
    /// A site is left alone after so many attempts in a row that reached none of its hosts. Default 3.
    pub down_after: u32,
    /// For how long at first; it doubles each time that it is tried in vain. As long, one host that could not be reached
    /// is left alone while others of its site can be. Default 30s.
    pub down_first: HumanDuration,
    /// For how long at most. Default 15m.
    pub down_longest: HumanDuration,
    /// Messages that an account may have sent in its turn, by account; 1 for accounts that are not named. Mail from
    /// other servers goes as the account `<others>`, reports of this node as `<reports>`.
    pub weights: BTreeMap<String, u32>,
    /// Messages of an account that comes anew to a site that go before those of accounts which keep the site busy. They
    /// count towards its share. Default 100.
    pub burst: u32,
}

impl Default for SitesConfig {
    fn default() -> Self {
        Self {
            first: 5,
            least: 1,
            most: 20,
            messages: None,
            connections: None,
            recipients: 100,
            idle: HumanDuration::from_secs(10),
            down_after: 3,
            down_first: HumanDuration::from_secs(30),
            down_longest: HumanDuration::from_mins(15),
            weights: BTreeMap::new(),
            burst: 100,
        }
    }
}

/// So many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateConfig {
    /// How many; as many also at once after a pause.
    pub count: u32,
    /// In how long.
    pub per: HumanDuration,
}

impl SitesConfig {
    /// A setting with which no mail would go out, and what it must be.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let rates = [self.messages, self.connections];
        let numbers = [
            ("outbound.sites.first", self.first as usize),
            ("outbound.sites.least", self.least as usize),
            ("outbound.sites.most", self.most as usize),
            ("outbound.sites.recipients", self.recipients),
            ("outbound.sites.down_after", self.down_after as usize),
        ];
        if let Some((setting, _)) = numbers.into_iter().find(|(_, number)| *number == 0) {
            return Some((setting, "at least 1"));
        }
        if self.least > self.most || self.first > self.most {
            return Some(("outbound.sites.least and outbound.sites.first", "at most outbound.sites.most"));
        }
        if rates.into_iter().flatten().any(|rate| rate.count == 0 || rate.per.is_zero()) {
            return Some((
                "count and per of outbound.sites.messages and outbound.sites.connections",
                "above 0",
            ));
        }
        if self.weights.values().any(|weight| *weight == 0) {
            return Some(("every one of outbound.sites.weights", "at least 1"));
        }
        None
    }

    /// What a site may have to which mail goes from so many addresses.
    pub(super) fn limits(&self, sources: u32) -> SiteLimits {
        let rate = |rate: RateConfig| Rate {
            count: rate.count.saturating_mul(sources),
            per: clock::millis(*rate.per),
        };
        SiteLimits {
            initial: self.first.saturating_mul(sources),
            min: self.least,
            max: self.most.saturating_mul(sources),
            messages: self.messages.map(rate),
            connections: self.connections.map(rate),
            counted: true,
        }
    }

    /// What all sites together may have. `jitter` is that of the retries.
    pub(super) fn order(&self, sessions: usize, jitter: f64) -> Config {
        let outage = OutageConfig {
            after: self.down_after,
            first: clock::millis(*self.down_first),
            longest: clock::millis(*self.down_longest),
            jitter,
        };
        Config {
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
            turn: TURN,
            weights: self.weights.clone().into_iter().collect(),
            burst: self.burst,
            outage,
        }
    }
}

/// The limits of routing.
pub(super) fn routing() -> SiteLimits {
    SiteLimits::fixed(ROUTING)
}

/// The limits of the MDA.
pub(super) fn mda() -> SiteLimits {
    SiteLimits::fixed(MDA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_that_mail_goes_from_has_the_limits_of_a_site() {
        let rate = RateConfig { count: 3, per: HumanDuration::from_secs(1) };
        let config = SitesConfig { connections: Some(rate), ..SitesConfig::default() };
        let limits = config.limits(2);
        assert_eq!((limits.initial, limits.min, limits.max), (10, 1, 40));
        assert_eq!(limits.connections, Some(Rate { count: 6, per: 1_000 }));
    }

    #[test]
    fn what_would_stop_mail_is_refused() {
        assert_eq!(SitesConfig::default().problem(), None);
        let wrong = [
            SitesConfig { first: 0, ..SitesConfig::default() },
            SitesConfig { least: 21, ..SitesConfig::default() },
            SitesConfig { recipients: 0, ..SitesConfig::default() },
            SitesConfig {
                messages: Some(RateConfig { count: 1, per: HumanDuration::from_secs(0) }),
                ..SitesConfig::default()
            },
            SitesConfig { weights: BTreeMap::from([("a".into(), 0)]), ..SitesConfig::default() },
        ];
        for config in wrong {
            assert!(config.problem().is_some(), "{config:?}");
        }
    }
}
