//! Who may send to whom: everything that a session asks before it takes a message.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use message::{Address, ReversePath};
use parking_lot::Mutex;
use service::directory::{Directory, Resolution};
use service::dns::Dns;
use service::drain::Shutdown;
use service::smtp::envelope::to_wire;
use service::smtp::server::Context;
use smtp::{Mail, Reply};

use super::config::{ReceivingConfig, RelayDomainError};
use super::greylist::Greylist;
use super::limits::{Connected, Counted, NetworkLimits};
use super::metrics::{Metrics, Refusal};
use super::recent::Recent;
use super::reputation::{Reputation, Score, Verdict};
use super::verify::{Probed, Prober, Verifier};
use crate::reply;
use crate::routing::{DomainSet, Route, Router, Sender};

/// The policy of a node. One for all sessions.
pub(crate) struct Policy {
    config: ReceivingConfig,
    relayed: DomainSet,
    metrics: Metrics,
    directory: Arc<Directory>,
    router: Router,
    limits: Arc<NetworkLimits>,
    reputation: Reputation,
    greylist: Arc<Greylist>,
    verifier: Verifier,
    /// Aliases and lists that led somewhere, and when they did.
    expanded: Mutex<Recent<String, Instant>>,
}

/// How long it is believed that an alias leads somewhere.
const EXPANSION_BELIEVED: Duration = Duration::from_mins(1);
/// Aliases of which that is remembered.
const EXPANSIONS: usize = 4_096;

const DIRECTORY_AWAY: Reply = Reply::fixed(451, 4, 3, "recipients cannot be looked up now, try again later");

/// What is known of the client of a session.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// None of the rules for strangers is for it.
    trusted: bool,
    /// `None` if it is trusted.
    connected: Option<Connected>,
    score: Score,
}

impl Policy {
    /// Reads what the greylist remembers, which may block.
    pub(crate) fn new(
        config: &ReceivingConfig,
        directory: Arc<Directory>,
        dns: Dns,
        prober: Prober,
        metrics: Metrics,
    ) -> Result<Self, RelayDomainError> {
        Ok(Self {
            relayed: config.relayed()?,
            directory,
            router: prober.router.clone(),
            limits: Arc::new(NetworkLimits::new(&config.limits, metrics.clone())),
            reputation: Reputation::new(&config.reputation, dns),
            greylist: Arc::new(Greylist::open(&config.greylist)),
            verifier: Verifier::new(&config.verify, prober, metrics.clone()),
            expanded: Mutex::new(Recent::new(EXPANSIONS)),
            config: config.clone(),
            metrics,
        })
    }

    /// Keeps what is to be remembered, until the shutdown.
    pub(crate) fn keep(&self, shutdown: Shutdown) -> impl Future<Output = ()> + Send + 'static {
        Arc::clone(&self.greylist).keep(shutdown)
    }

    /// A client has come. An error is said to it in place of the greeting.
    pub(super) async fn meet(&self, address: IpAddr) -> Result<Client, Reply> {
        if self.config.trusted.iter().any(|network| network.contains(address)) {
            return Ok(Client { trusted: true, ..Client::default() });
        }
        let connected = Some(self.limits.connect(address)?);
        let score = self.reputation.score(address).await;
        Ok(Client { trusted: false, connected, score })
    }

    /// A client's session was ended because of how it spoke.
    pub(super) fn count_breach(&self, context: &Context) {
        let is_early = context.early_talker && context.hello.is_none();
        self.metrics.refused(if is_early { Refusal::EarlyTalker } else { Refusal::Protocol });
    }

    /// Looks at a sender, and at what it asks for. An error is the reply.
    pub(super) async fn check_sender(
        &self,
        client: &Client,
        context: &Context,
        mail: &mut Mail,
    ) -> Result<(), Reply> {
        client.spend(Counted::Messages, 1)?;
        let may_hurry = self.config.honour_priority && (client.trusted || context.authenticated);
        if !may_hurry {
            mail.priority = mail.priority.map(|priority| priority.min(0));
        }
        let Some(sender) = mail.reverse_path.address() else { return Ok(()) };
        if client.trusted || !self.verifier.is_for_senders() || !self.is_elsewhere(sender).await {
            return Ok(());
        }
        let Some(probed) = self.verifier.probe_sender(sender, context.peer.ip()).await else {
            // Refused, mail would wait for those who have others' senders asked for.
            tracing::debug!(sender = %sender, "a sender is not verified: too many are being asked for");
            return Ok(());
        };
        let refused = match probed {
            Probed::Exists => return Ok(()),
            Probed::Unknown(said) => {
                Reply::new(550, 1, 8, format!("the sender's server does not know the sender: {}", said.text))
            }
            Probed::Unclear(why) => {
                tracing::debug!(sender = %sender, why, "a sender could not be verified");
                Reply::new(450, 1, 8, "the sender cannot be verified now, try again later")
            }
        };
        self.metrics.refused(Refusal::Verification);
        Err(refused)
    }

    /// Whether an address is for certain in no domain of ours.
    async fn is_elsewhere(&self, address: &Address) -> bool {
        let resolved = self.directory.resolve(&[&address.to_string()]).await;
        resolved.is_ok_and(|resolutions| resolutions.first() == Some(&Resolution::Remote))
    }

    /// Looks at a recipient. An error is the reply.
    pub(super) async fn check_recipient(
        &self,
        client: &Client,
        context: &Context,
        sender: &ReversePath,
        recipient: &Address,
    ) -> Result<(), Reply> {
        client.spend(Counted::Recipients, 1)?;
        // Whoever is refused unjustly has to be able to say so (RFC 5321 §4.5.1).
        let is_postmaster = recipient.local_part().as_str().eq_ignore_ascii_case("postmaster");
        // Whoever has authenticated to its proxy is known, wherever it writes from.
        let is_known = client.trusted || context.authenticated || is_postmaster;
        let verdict = if is_known {
            Verdict::Accept
        } else {
            self.reputation.judge(context.peer.ip(), &client.score, context.early_talker)
        };
        let refuse = |code, detail, text| {
            self.metrics.refused(Refusal::Reputation);
            Err(Reply::new(code, 7, detail, text))
        };
        let greylists = match verdict {
            Verdict::Refuse(text) => return refuse(554, 1, text),
            Verdict::Defer(text) => return refuse(450, 1, text),
            Verdict::Greylist => true,
            Verdict::Accept => self.greylist.is_for_all() && !is_known,
        };
        let relayed = self.is_taken(recipient).await?;
        self.check_route(sender, recipient, !relayed)?;
        if greylists {
            let (sender, to) = (sender.to_string(), recipient.to_string());
            if !self.greylist.passes(context.peer.ip(), &sender, &to) {
                self.metrics.refused(Refusal::Greylist);
                return Err(Reply::fixed(451, 7, 1, "greylisted: try again in some minutes"));
            }
        }
        if relayed && self.verifier.is_for_recipients() {
            self.verify_recipient(recipient).await?;
        }
        Ok(())
    }

    /// Whether mail for the address is ours (`false`) or to be relayed (`true`); an error if it is neither.
    async fn is_taken(&self, recipient: &Address) -> Result<bool, Reply> {
        let address = recipient.to_string();
        let resolution = match self.directory.resolve(&[&address]).await {
            Ok(resolutions) => resolutions.first().copied(),
            Err(error) => {
                tracing::warn!(recipient = address, %error, "a recipient could not be looked up");
                None
            }
        };
        let (refusal, reply) = match resolution {
            Some(Resolution::Mailbox) => return Ok(false),
            Some(Resolution::FullMailbox) => {
                (Refusal::Quota, Reply::fixed(452, 2, 2, "the mailbox is full, try again later"))
            }
            Some(Resolution::Alias | Resolution::List) => match self.leads_somewhere(address).await {
                Some(true) => return Ok(false),
                Some(false) => (Refusal::UnknownUser, to_wire(&reply::leads_nowhere())),
                None => (Refusal::Directory, DIRECTORY_AWAY),
            },
            Some(Resolution::Remote) if self.relayed.contains(recipient.domain()) => return Ok(true),
            Some(Resolution::UnknownUser) => (Refusal::UnknownUser, to_wire(&reply::unknown_user())),
            Some(Resolution::Remote) => (Refusal::Relay, Reply::fixed(554, 7, 1, "relaying denied")),
            None => (Refusal::Directory, DIRECTORY_AWAY),
        };
        self.metrics.refused(refusal);
        Err(reply)
    }

    /// Whether there is anybody behind an alias or a list; `None` if nobody can tell. That there is, is remembered: there
    /// may be thousands to be told of.
    async fn leads_somewhere(&self, alias: String) -> Option<bool> {
        let is_recent = |since: &Instant| since.elapsed() < EXPANSION_BELIEVED;
        if self.expanded.lock().get(&alias).is_some_and(is_recent) {
            return Some(true);
        }
        let found = self.directory.expand(&alias).await.ok()?;
        // What is no alias any more has become something else in this moment: the intake looks again.
        let leads = found.is_none_or(|found| !found.targets.is_empty());
        if leads {
            self.expanded.lock().insert(alias, Instant::now());
        }
        Some(leads)
    }

    /// Refuses here what the routing table refuses, so that it is never bounced.
    fn check_route(&self, sender: &ReversePath, recipient: &Address, is_mailbox: bool) -> Result<(), Reply> {
        let sender = sender.to_string();
        let sender = Sender { reverse_path: &sender, account: "" };
        match self.router.route(sender, recipient.domain(), is_mailbox, None) {
            Route::Refuse(reply) => {
                self.metrics.refused(Refusal::Route);
                Err(to_wire(&reply))
            }
            Route::Mda | Route::Mx { .. } | Route::Hosts { .. } => Ok(()),
        }
    }

    /// Asks the next hop of a relayed domain, so that mail for nobody is refused here and never bounced.
    async fn verify_recipient(&self, recipient: &Address) -> Result<(), Reply> {
        let refused = match self.verifier.probe_recipient(recipient).await {
            Probed::Exists => return Ok(()),
            Probed::Unknown(said) => {
                Reply::new(550, 1, 1, format!("the recipient's server refuses the recipient: {}", said.text))
            }
            Probed::Unclear(why) => {
                tracing::info!(%recipient, why, "a recipient could not be verified");
                Reply::new(450, 1, 1, "the recipient cannot be verified now, try again later")
            }
        };
        self.metrics.refused(Refusal::Verification);
        Err(refused)
    }
}

impl Client {
    /// Counts what the client does, if it is a stranger.
    pub(super) fn spend(&self, what: Counted, number: u32) -> Result<(), Reply> {
        self.connected.as_ref().map_or(Ok(()), |connected| connected.spend(what, number))
    }
}
