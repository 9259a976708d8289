//! One address tried out at its next hop: MAIL and RCPT, and no message (RFC 5321 §3.3).

use message::{Address, Domain};
use service::smtp::client::{Connection, Options, Timeouts, Tls};
use service::smtp::envelope::to_wire;
use smtp::client::{Envelope, Outcome};
use smtp::{Mail, Rcpt, Reply};
use tokio_rustls::TlsConnector;

use super::Probed;
use crate::routing::{Route, Router, Sender};
use crate::site::{Sites, Target};

/// Hosts that are tried.
const MOST_HOSTS: usize = 3;

/// Finds an address' next hop and asks it.
pub(crate) struct Prober {
    pub(crate) router: Router,
    pub(crate) sites: Sites,
    /// What this host calls itself.
    pub(crate) hostname: Domain,
    /// `None`: STARTTLS is never used.
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) timeouts: Timeouts,
}

impl Prober {
    /// Asks. From the null reverse-path, which every server has to take, and which is no address to be verified.
    pub(super) async fn probe(&self, address: &Address) -> Probed {
        let route = self.router.route(Sender::default(), address.domain(), false, None);
        if matches!(route, Route::Mda) {
            return Probed::Exists;
        }
        let site = match self.sites.resolve(&route).await {
            Ok(site) => site,
            Err(unroutable) => return judged(to_wire(&unroutable.reply)),
        };
        let targets = self.sites.targets(&site).await;
        let mut failure = targets.failure.map(|unroutable| to_wire(&unroutable.reply));
        for target in targets.dial.iter().take(MOST_HOSTS) {
            match self.ask(target, address).await {
                Ok(probed) => return probed,
                Err(reply) => failure = Some(reply),
            }
        }
        let failure = failure.map_or_else(|| "no host could be reached".into(), |reply| reply.to_string());
        Probed::Unclear(failure)
    }

    /// Asks one host; an error if it did not want to talk at all.
    async fn ask(&self, target: &Target, address: &Address) -> Result<Probed, Reply> {
        let mut connection = Connection::connect(target.address, &self.options(target))
            .await
            .map_err(|error| error.failure().reply)?;
        let envelope = Envelope { mail: Mail::default(), recipients: vec![Rcpt::new(address.clone())] };
        let outcome = connection.probe(&envelope).await.into_iter().next();
        connection.quit().await;
        Ok(match outcome {
            Some(Outcome::Delivered(_)) => Probed::Exists,
            Some(outcome) => judged(outcome.reply().clone()),
            None => Probed::Unclear("no answer".into()),
        })
    }

    fn options(&self, target: &Target) -> Options {
        let server_name = target.host.to_string().try_into().unwrap_or_else(|_| target.address.ip().into());
        let tls = self.tls.clone().map(|connector| Tls { connector, server_name, implicit: false });
        Options { session: smtp::client::Options::new(self.hostname.clone()), tls, timeouts: self.timeouts }
    }
}

/// A refusal for good is about the address; of any other the address is not to blame.
fn judged(reply: Reply) -> Probed {
    if reply.is_permanent() { Probed::Unknown(reply) } else { Probed::Unclear(reply.to_string()) }
}
