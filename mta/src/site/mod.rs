//! From a route to the hosts that are dialled.
//!
//! A **site** is a set of hosts with the way to connect to them: the mail exchangers of a domain, or the fixed hosts of a
//! rule. Domains that name the same exchangers are one site, so they share its limits and its sessions.
//!
//! ```text
//! Route ── resolve: MX records ──▶ Site ── targets: addresses ──▶ Targets, in the order to dial
//! ```

mod exchanges;
mod name;
mod own;
mod targets;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use message::Domain;
use proto::mail::Reply;
use service::dns::{Dns, DnsError, Mx};

pub(crate) use own::Own;
pub(crate) use scheduler::SiteName;
pub(crate) use targets::{Target, Targets};

use crate::reply::reply;
use crate::routing::{HopHost, NextHop, Route, RouteSettings};
use exchanges::Exchanges;

/// The line of the MDA, as the order of the queue knows it. No host has such a name, so no site takes its place.
pub(crate) const MDA_SITE: &str = "<mda>";

/// Finds sites and their addresses. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Sites {
    dns: Dns,
    own: Arc<Own>,
    /// The port of hosts that name none.
    port: u16,
}

/// Hosts, and how to connect to them.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) name: SiteName,
    /// By preference, the most preferred first; the order within a group does not matter. No group is empty, and there
    /// are no groups only for the MDA.
    pub(crate) groups: Vec<Vec<NextHop>>,
    pub(crate) settings: Arc<RouteSettings>,
    /// Nobody could have forged which hosts these are: they stand in the configuration, or DNSSEC proved the MX records
    /// (RFC 7672 §2.2.1).
    pub(crate) secure: bool,
    /// The hosts come from MX records, or from their absence.
    pub(crate) by_mx: bool,
}

/// Why there is no site: the reply that the recipients get, for good or for now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unroutable {
    pub(crate) reply: Reply,
}

impl Unroutable {
    fn new(code: u32, enhanced: &str, text: impl Into<String>) -> Self {
        Self { reply: reply(code, enhanced, text) }
    }

    /// The same may work later.
    pub(crate) fn is_temporary(&self) -> bool {
        self.reply.code < 500
    }
}

impl Sites {
    /// Finds hosts with `dns`, and dials those that name no port on `port`.
    pub(crate) fn new(dns: Dns, own: Own, port: u16) -> Self {
        Self { dns, own: Arc::new(own), port }
    }

    /// The site of a route: for an MX route its domain's MX records are looked up (RFC 5321 §5.1), which the resolver
    /// remembers for as long as they hold.
    ///
    /// # Errors
    /// The route refuses the mail, the domain does not exist or takes no mail, or nothing is known now.
    pub(crate) async fn resolve(&self, route: &Route) -> Result<Arc<Site>, Unroutable> {
        let site = match route {
            Route::Mda => Site::mda(),
            Route::Hosts { hops, settings } => Site::fixed(hops, settings),
            Route::Mx { domain, settings } => self.exchangers(domain, settings).await?,
            Route::Refuse(reply) => return Err(Unroutable { reply: reply.clone() }),
        };
        Ok(Arc::new(site))
    }

    async fn exchangers(&self, domain: &str, settings: &Arc<RouteSettings>) -> Result<Site, Unroutable> {
        // An address literal is its own host (RFC 5321 §4.1.3).
        if let Some(address) = Domain::parse(domain).ok().and_then(|domain| domain.ip()) {
            let hop = NextHop { host: HopHost::Address(address), port: None };
            return Ok(Site::of_exchangers(vec![vec![hop]], settings, false));
        }
        let (records, secure) = self.mx(domain).await?;
        match exchanges::order(domain, records, |name| self.own.is_named(name)) {
            Exchanges::Groups(groups) => Ok(Site::of_exchangers(groups, settings, secure)),
            Exchanges::Null => {
                Err(Unroutable::new(556, "5.1.10", format!("{domain} takes no mail (null MX)")))
            }
            Exchanges::Loop => Err(self.own.loop_at(domain)),
        }
    }

    /// The MX records, none if the domain has none, and whether that is proven. For a domain without MX records its own
    /// addresses count: those are as secure as the proof that there are no MX records, which stands in the same zone.
    async fn mx(&self, domain: &str) -> Result<(Vec<Mx>, bool), Unroutable> {
        match self.dns.mx(domain).await {
            Ok(answer) => Ok((answer.records, answer.secure)),
            Err(DnsError::NoData(_)) => Ok((Vec::new(), true)),
            Err(DnsError::NoSuchDomain(_)) => {
                Err(Unroutable::new(550, "5.1.2", format!("the domain {domain} does not exist")))
            }
            Err(error @ DnsError::InvalidName(_)) => Err(Unroutable::new(550, "5.1.2", error.to_string())),
            Err(error) => Err(Unroutable::new(451, "4.4.3", error.to_string())),
        }
    }
}

impl Site {
    /// Where mail for our own mailboxes goes.
    fn mda() -> Self {
        Self {
            name: SiteName::new(MDA_SITE),
            groups: Vec::new(),
            settings: Arc::default(),
            secure: true,
            by_mx: false,
        }
    }

    fn fixed(hops: &[NextHop], settings: &Arc<RouteSettings>) -> Self {
        Self {
            name: name::of_hops(hops, settings),
            groups: hops.iter().map(|hop| vec![hop.clone()]).collect(),
            settings: Arc::clone(settings),
            secure: true,
            by_mx: false,
        }
    }

    fn of_exchangers(groups: Vec<Vec<NextHop>>, settings: &Arc<RouteSettings>, secure: bool) -> Self {
        Self {
            name: name::of_exchanges(&groups, settings),
            groups,
            settings: Arc::clone(settings),
            secure,
            by_mx: true,
        }
    }
}
