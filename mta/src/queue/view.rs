//! What can be seen of the queue: why a recipient waits, and how the sites are doing.

use std::time::Duration;

use message::MessageId;
use proto::mail::Reply;
use proto::mta::{Explanation, Site, WaitReason};
use scheduler::{Scope, SiteName, SiteView, Wait};

use super::Queue;
use crate::clock;
use crate::deliver::MDA;
use crate::reply;
use crate::site::MDA_SITE;
use crate::spool::{Message, Status};

/// Where a recipient stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// The site it waits for, was tried at last or is tried at; `None` until it is known.
    pub(crate) site: Option<SiteName>,
    /// Somebody is at work on it.
    pub(crate) in_hand: bool,
}

impl Queue {
    /// Why each recipient of a message has not gone yet. `None` if it is not in the spool.
    pub(crate) fn explain(&self, id: MessageId) -> Option<Vec<Explanation>> {
        let message = self.parts.spool.get(id)?;
        let waits = self.scheduler.lock().explain(id, self.pace.now());
        let explain = |(status, index): (Status, u32)| {
            let wait = waits.iter().find(|wait| wait.recipients.iter().any(|waiting| waiting == index));
            let explanation = match wait {
                _ if status.is_final() => plain(WaitReason::Final, "it has come to its end"),
                _ if status.handed_to().is_some() => handed(self.ends_at(&message, index), &status),
                _ if status.is_held() => held(message.deadline(index)),
                Some(wait) => {
                    let site = wait.site.as_ref().map(shown).unwrap_or_default().to_owned();
                    Explanation { site, ..self.because(&wait.wait, &status) }
                }
                None => plain(WaitReason::InFlight, "its last result is being written"),
            };
            Explanation { recipient: message.address(index).into(), ..explanation }
        };
        Some(message.statuses().into_iter().zip(0..).map(explain).collect())
    }

    fn because(&self, wait: &Wait, status: &Status) -> Explanation {
        let at = |at| Some(clock::timestamp(self.pace.to_clock(at)));
        match wait {
            Wait::Scheduled { due } => {
                let text = match status.last_reply() {
                    Some(last) => format!("attempt {} failed: {}", status.attempts, reply::line(last)),
                    None => "a service of this node did not answer".into(),
                };
                let reason =
                    if status.attempts > 0 { WaitReason::Scheduled } else { WaitReason::ServiceAway };
                Explanation { next_attempt_at: at(*due), ..plain(reason, text) }
            }
            Wait::Routing { waiting } => plain(WaitReason::InLine, format!("one of {waiting} to be routed")),
            Wait::InFlight => {
                plain(WaitReason::InFlight, "an attempt is under way, or its site is being looked up")
            }
            Wait::InLine { waiting, of_account, busy, limit } => plain(
                WaitReason::InLine,
                format!(
                    "one of {waiting} in line for the site, {of_account} of them of its account; \
                     {busy} of at most {limit} connections are busy"
                ),
            ),
            Wait::Connections { limit } => plain(
                WaitReason::Connections,
                format!("next of its account; all {limit} connections are busy"),
            ),
            Wait::Sessions { limit } => {
                plain(WaitReason::Connections, format!("all {limit} sessions of this node are busy"))
            }
            Wait::Rate { until } => {
                let text = "the rate of messages or connections to the site is used up";
                Explanation { next_attempt_at: at(*until), ..plain(WaitReason::Rate, text) }
            }
            Wait::Down { probing: true, .. } => {
                plain(WaitReason::SiteDown, "the site could not be reached; another message is trying it now")
            }
            Wait::Down { until, .. } => {
                let wait = Duration::from_millis(until.saturating_sub(self.pace.now()));
                let text =
                    format!("the site could not be reached; it is tried again in {} s", wait.as_secs());
                Explanation { next_attempt_at: at(*until), ..plain(WaitReason::SiteDown, text) }
            }
            Wait::Suspended(scope) => {
                let what = match scope {
                    Scope::Site(name) => format!("the site {name}"),
                    Scope::Domain(name) => format!("the domain {name}"),
                    Scope::Account(name) => format!("the account {name}"),
                };
                plain(WaitReason::Suspended, format!("{what} is suspended"))
            }
        }
    }

    /// Where each recipient of a message stands, in the envelope's order.
    pub(crate) fn places(&self, message: &Message) -> Vec<Place> {
        let waits = self.scheduler.lock().explain(message.id, self.pace.now());
        let mut places = vec![Place::default(); message.recipients()];
        for wait in &waits {
            for index in wait.recipients.iter() {
                if let Some(place) = places.get_mut(index as usize) {
                    place.site = wait.site.as_ref().map(|site| SiteName::new(shown(site)));
                    place.in_hand = wait.wait == Wait::InFlight;
                }
            }
        }
        places
    }

    /// The busiest sites, at most `limit`; how many there are; and units whose site is not known.
    pub(crate) fn sites(&self, limit: usize) -> (Vec<Site>, usize, usize) {
        let scheduler = self.scheduler.lock();
        let (sites, total) = scheduler.sites(limit, self.pace.now());
        let unrouted = scheduler.unrouted();
        drop(scheduler);
        (sites.into_iter().map(|site| self.describe(site)).collect(), total, unrouted)
    }

    fn describe(&self, site: SiteView) -> Site {
        let last_failure = site.last_failure.map(|failure| Reply {
            code: failure.code,
            enhanced: failure.enhanced,
            text: failure.text,
        });
        Site {
            name: shown(&site.name).to_owned(),
            ready: site.ready as u64,
            scheduled: site.scheduled as u64,
            aside: site.aside as u64,
            in_flight: site.in_flight.into(),
            connections: site.connections,
            connection_limit: site.limit,
            delivered_last_minute: site.delivered_last_minute,
            deferred_last_minute: site.deferred_last_minute,
            down_until: site.down_until.map(|until| clock::timestamp(self.pace.to_clock(until))),
            suspended: site.suspended,
            last_failure,
        }
    }
}

/// What a site is called where people see it.
pub(super) fn shown(site: &SiteName) -> &str {
    if site.as_str() == MDA_SITE { MDA } else { site.as_str() }
}

fn plain(reason: WaitReason, text: impl Into<String>) -> Explanation {
    Explanation { reason: reason.into(), text: text.into(), ..Explanation::default() }
}

fn handed(deadline: u64, status: &Status) -> Explanation {
    let until = clock::timestamp(deadline);
    let node = status.handed_to().map_or("", |node| node);
    let text = format!(
        "being handed to {node}, which has not said yet whether it took it; it is asked again and again"
    );
    Explanation { next_attempt_at: Some(until), ..plain(WaitReason::InFlight, text) }
}

fn held(deadline: u64) -> Explanation {
    let until = clock::timestamp(deadline);
    let text = "held by an operator; it is given up when its time is over";
    Explanation { next_attempt_at: Some(until), ..plain(WaitReason::Held, text) }
}
