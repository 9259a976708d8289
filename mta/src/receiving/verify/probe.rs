//! One address tried out at its next hop: MAIL and RCPT, and no message (RFC 5321 §3.3).

use std::sync::Arc;

use message::Address;
use service::smtp::envelope::to_wire;
use smtp::client::{Envelope, Outcome, Stage};
use smtp::{Mail, Rcpt, Reply};

use super::Probed;
use crate::deliver::{Connected, Connector, Errand};
use crate::routing::{Route, Router, Sender};

/// Finds an address' next hop and asks it.
pub(crate) struct Prober {
    pub(crate) router: Router,
    pub(crate) connector: Arc<Connector>,
}

impl Prober {
    /// Asks. From the null reverse-path, which every server has to take, and which is no address to be verified.
    pub(super) async fn probe(&self, address: &Address) -> Probed {
        let route = self.router.route(Sender::default(), address.domain(), false, None);
        if matches!(route, Route::Mda) {
            return Probed::Exists;
        }
        let site = match self.connector.sites.resolve(&route).await {
            Ok(site) => site,
            Err(unroutable) => return judged(to_wire(&unroutable.reply)),
        };
        let domain = route.policy_domain(address.domain());
        let errand = Errand { site: &site, domain: &domain, letter: None };
        match self.connector.connect(&errand).await {
            Ok(Connected { mut session, .. }) => {
                let mail = Mail { smtputf8: !address.is_ascii(), ..Mail::default() };
                let envelope = Envelope { mail, recipients: vec![Rcpt::new(address.clone())] };
                let outcome = session.probe(&envelope).await.into_iter().next();
                session.quit().await;
                match outcome {
                    Some(outcome) => judged_session(outcome),
                    None => Probed::Unclear("no answer".into()),
                }
            }
            Err(unreachable) => Probed::Unclear(to_wire(&unreachable.reply).to_string()),
        }
    }
}

/// Only what the server says to RCPT is about the address: whoever refuses the null reverse-path knows nothing of it.
fn judged_session(outcome: Outcome) -> Probed {
    match outcome {
        Outcome::Delivered(_) => Probed::Exists,
        Outcome::Permanent(failure) if failure.from_peer && failure.stage == Stage::Rcpt => {
            Probed::Unknown(failure.reply)
        }
        outcome => Probed::Unclear(outcome.reply().to_string()),
    }
}

/// A refusal for good is about the address; of any other the address is not to blame.
fn judged(reply: Reply) -> Probed {
    if reply.is_permanent() { Probed::Unknown(reply) } else { Probed::Unclear(reply.to_string()) }
}
