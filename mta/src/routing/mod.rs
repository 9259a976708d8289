//! Where mail for a recipient goes: to our own mailboxes, to a domain's MX, to fixed hosts, or nowhere.
//!
//! The rules of the configuration are tried in order; the first that matches decides. What no rule matches goes to the
//! MDA if the recipient is ours, else to the MX of its domain. An operator's own next hop goes before all of it.
//!
//! It decides from names alone, and looks nothing up: that is [`crate::site`]'s.

mod config;
mod hop;
mod matching;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use message::Domain;
use parking_lot::RwLock;
use proto::mail::Reply;

pub use config::{RouteConfig, RouteError, RouteTls, RouteTo};
pub(crate) use hop::{HopHost, NextHop};
pub(crate) use matching::{AccountSet, DomainSet};
#[cfg(test)]
pub(crate) use settings::Fingerprint;
pub(crate) use settings::{RouteSettings, TlsMode};

use config::Rule;

/// Who sends a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sender<'a> {
    /// Without angle brackets; empty is the null reverse-path.
    pub(crate) reverse_path: &'a str,
    /// The account that submitted the message; empty if it came from another MTA.
    pub(crate) account: &'a str,
}

/// Where mail for a recipient goes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Route {
    /// To the MDA, which keeps our mailboxes.
    Mda,
    /// To the mail exchangers of `domain`, which need not be the recipient's.
    Mx {
        /// In A-labels and lower case, or an address literal.
        domain: Arc<str>,
        settings: Arc<RouteSettings>,
    },
    /// To the first of these that can be reached, whatever the MX records say.
    Hosts {
        /// At least one, the most preferred first.
        hops: Arc<[NextHop]>,
        settings: Arc<RouteSettings>,
    },
    /// Nowhere: the recipient fails with this reply; for good, or for now if its code says so.
    Refuse(Reply),
}

impl Route {
    /// The domain whose policies count for mail to recipients in `recipient`: the one whose MX records are looked up, or
    /// the recipient's if none are.
    pub(crate) fn policy_domain(&self, recipient: &Domain) -> Arc<str> {
        match self {
            Self::Mx { domain, .. } => Arc::clone(domain),
            Self::Mda | Self::Hosts { .. } | Self::Refuse(_) => recipient.ascii().into(),
        }
    }
}

/// The routing table. Clones share it: reloading one reloads all.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    rules: Arc<RwLock<Arc<[Rule]>>>,
    /// Those of a route that no rule made.
    plain: Arc<RouteSettings>,
}

impl Router {
    /// Reads the rules, and the files that they name.
    ///
    /// # Errors
    /// Says which rule is of no use, and why.
    pub(crate) fn new(rules: &[RouteConfig]) -> Result<Self, RouteError> {
        let rules = config::rules(rules)?;
        Ok(Self { rules: Arc::new(RwLock::new(rules)), plain: Arc::default() })
    }

    /// Puts other rules in place of those that hold. After an error nothing has changed.
    ///
    /// # Errors
    /// As [`Router::new`].
    pub(crate) fn reload(&self, rules: &[RouteConfig]) -> Result<(), RouteError> {
        let rules = config::rules(rules)?;
        *self.rules.write() = rules;
        Ok(())
    }

    /// Whether a rule asks who the sender is, whom [`Router::route`] has to be told then.
    pub(crate) fn asks_for_senders(&self) -> bool {
        self.rules.read().iter().any(Rule::asks_for_sender)
    }

    /// Where mail from `sender` for a recipient in `domain` goes. `is_mailbox`: the directory knows the recipient as a
    /// mailbox of ours; such mail leaves only by a rule that names the recipient's domain, so that a smart host for
    /// everything does not take the mail that people here send to each other.
    ///
    /// `override_route` is an operator's own next hop as [`NextHop::parse`] reads it. One that cannot be read (it was
    /// checked when it was given) counts as none. What the rule that matches asks of TLS holds for it too; all else that
    /// the rule says, its login above all, is for the rule's own hosts.
    pub(crate) fn route(
        &self,
        sender: Sender<'_>,
        domain: &Domain,
        is_mailbox: bool,
        override_route: Option<&str>,
    ) -> Route {
        let rules = Arc::clone(&self.rules.read());
        let matching = rules.iter().find(|rule| rule.matches(sender, domain, is_mailbox));
        if let Some(hop) = override_route.and_then(|text| NextHop::parse(text).ok()) {
            let settings = matching.and_then(Rule::settings).and_then(RouteSettings::rerouted);
            let settings = settings.map_or_else(|| Arc::clone(&self.plain), Arc::new);
            return Route::Hosts { hops: Arc::new([hop]), settings };
        }
        match matching {
            Some(rule) => rule.route(domain),
            None if is_mailbox => Route::Mda,
            None => Route::Mx { domain: domain.ascii().into(), settings: Arc::clone(&self.plain) },
        }
    }
}
