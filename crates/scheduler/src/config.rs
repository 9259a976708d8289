//! The limits that the order obeys.

use std::collections::HashMap;

use crate::Millis;
use crate::line::Share;

/// What holds for all sites.
#[derive(Clone, Debug)]
pub struct Config {
    /// Units under way at all counted sites together ([`SiteLimits::counted`]).
    pub sessions: u32,
    /// While more sites want to start than there are sessions, a worker gives its place to another site after so many
    /// units.
    pub turn: u32,
    /// Units that an account may have started before it is the next account's turn; 1 for accounts not named.
    pub weights: HashMap<String, u32>,
    /// Units by which an account that comes anew to a site goes before those that keep it busy; as many times more as
    /// its weight says. 0: it takes its turn like all.
    pub burst: u32,
    /// How sites are left alone that cannot be reached.
    pub outage: OutageConfig,
}

impl Config {
    pub(crate) fn share(&self, account: &str) -> Share {
        let weight = self.weights.get(account).copied().unwrap_or(1).max(1);
        Share { weight, burst: self.burst.saturating_mul(weight) }
    }
}

/// How a site is left alone that cannot be reached.
#[derive(Clone, Copy, Debug)]
pub struct OutageConfig {
    /// It is left alone after so many attempts in a row that reached nobody; at least 1.
    pub after: u32,
    /// For how long at first; it doubles with each probe that fails.
    pub first: Millis,
    /// For how long at most.
    pub longest: Millis,
    /// Each time is changed at random by up to this share of itself, 0 to 1.
    pub jitter: f64,
}

/// What one site may have at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteLimits {
    /// Units under way at first, and again after an outage.
    pub initial: u32,
    /// The fewest, however often it turns sessions away; at least 1.
    pub min: u32,
    /// The most, however well it goes.
    pub max: u32,
    /// Messages begun.
    pub messages: Option<Rate>,
    /// Connections opened.
    pub connections: Option<Rate>,
    /// Whether what is under way there counts towards [`Config::sessions`]. Those that do not are places of our own, and
    /// never forgotten.
    pub counted: bool,
}

impl SiteLimits {
    /// A place of our own, with a limit that does not adapt.
    pub fn fixed(limit: u32) -> Self {
        Self { initial: limit, min: limit, max: limit, messages: None, connections: None, counted: false }
    }
}

/// So many in so long, and as many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub count: u32,
    /// At least 1.
    pub per: Millis,
}
