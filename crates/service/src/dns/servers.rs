//! The name servers: one is asked, and the next if it has nothing to say.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver, TokioResolver};
use tokio::time::timeout;

use super::DnsSetupError;
use super::answer::{Outcome, is_unsigned_zone, outcome, unproven_denial};
use super::cache::Question;
use crate::config::DnsConfig;

/// Validation and aliases make several queries of one. All of them together have so many times the timeout.
const QUERIES_OF_ONE: u32 = 4;

/// The name servers, in the order of the configuration.
pub(super) struct Servers {
    /// Each asks one server, once, and remembers nothing.
    list: Vec<TokioResolver>,
    /// The one that answered last, with which the next question begins.
    preferred: AtomicUsize,
    /// How often all are asked.
    rounds: usize,
    /// What one server has to answer one question.
    patience: Duration,
    /// Answers are validated.
    validates: bool,
}

impl Servers {
    pub(super) fn new(config: &DnsConfig) -> Result<Self, DnsSetupError> {
        let (servers, options) = if config.servers.is_empty() {
            let (system, options) = read_system_conf()?;
            (system.name_servers().to_vec(), options)
        } else {
            (named_servers(config), without_hosts_file())
        };
        let options = options_for(config, options);
        let anchors = trust_anchors(config)?;
        let validates = anchors.is_some();
        let single = |server| single(server, &options, anchors.clone());
        Ok(Self {
            list: servers.into_iter().map(single).collect::<Result<_, _>>()?,
            preferred: AtomicUsize::new(0),
            rounds: config.attempts + 1,
            patience: *config.timeout * QUERIES_OF_ONE,
            validates,
        })
    }

    /// What the servers say: the first that knows. If none does, what the first of them said, a response before silence.
    pub(super) async fn ask(&self, question: &Question) -> (Outcome, Duration) {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut failure = None;
        for _ in 0..self.rounds {
            for index in (0..self.list.len()).map(|offset| (first + offset) % self.list.len()) {
                let (outcome, ttl) = self.ask_one(&self.list[index], question).await;
                if !outcome.is_failure() {
                    self.preferred.store(index, Ordering::Relaxed);
                    return (outcome, ttl);
                }
                if failure.is_none() || is_silence(failure.as_ref()) && !is_silence(Some(&outcome)) {
                    failure = Some(outcome);
                }
            }
            // A response is one in the next round as well.
            if !is_silence(failure.as_ref()) {
                break;
            }
        }
        (failure.unwrap_or_else(|| Outcome::failed("there is no name server to ask")), Duration::ZERO)
    }

    async fn ask_one(&self, server: &TokioResolver, question: &Question) -> (Outcome, Duration) {
        let lookup = |kind| timeout(self.patience, server.lookup(question.name.clone(), kind));
        let Ok(result) = lookup(question.kind).await else {
            return (Outcome::failed("request timed out"), Duration::ZERO);
        };
        if self.validates
            && let Some(denied) = unproven_denial(&result, question)
            && !timeout(self.patience, is_unsigned(server, denied)).await.unwrap_or(false)
        {
            return (Outcome::Bogus, Duration::ZERO);
        }
        let told = outcome(result, question);
        // Aliases that lead in a circle look as if there were no records, but for the zone that would say so.
        if told == (Outcome::NoData, Duration::ZERO)
            && let Ok(Ok(alias)) = lookup(RecordType::CNAME).await
            && let (Outcome::Found { .. }, _) =
                outcome(Ok(alias), &Question::new(&question.name, RecordType::CNAME))
        {
            let reason = "its aliases lead in a circle, or nowhere".into();
            return (Outcome::Failed { reason, silence: false }, Duration::ZERO);
        }
        told
    }
}

/// Whether the zone of a name is proven to be unsigned, so that nothing about the name can be proven. The zone is the
/// nearest one that has name servers; the validator knows whether these are signed, must be, or need not be.
async fn is_unsigned(server: &TokioResolver, mut name: Name) -> bool {
    while !name.is_root() {
        match server.lookup(name.clone(), RecordType::NS).await {
            Ok(servers) => {
                if let Some(is_unsigned) = is_unsigned_zone(&name, &servers) {
                    return is_unsigned;
                }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(_) | DnsError::Nsec { .. })) => {}
            Err(_) => return false,
        }
        name = name.base_name();
    }
    false
}

fn is_silence(outcome: Option<&Outcome>) -> bool {
    matches!(outcome, None | Some(Outcome::Failed { silence: true, .. }))
}

fn single(
    server: NameServerConfig,
    options: &ResolverOpts,
    anchors: Option<Arc<TrustAnchors>>,
) -> Result<TokioResolver, DnsSetupError> {
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options.clone();
    if let Some(anchors) = anchors {
        builder = builder.with_trust_anchor(anchors);
    }
    Ok(builder.build()?)
}

/// The servers of the configuration, over UDP and, where an answer does not fit, over TCP.
pub(super) fn named_servers(config: &DnsConfig) -> Vec<NameServerConfig> {
    let named = config.servers.iter().map(|server| {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = server.port();
        }
        NameServerConfig::new(server.ip(), true, connections)
    });
    named.collect()
}

/// A domain's mail must not be routed by this machine's hosts file, except where the system's resolver is asked.
fn without_hosts_file() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.use_hosts_file = ResolveHosts::Never;
    options
}

fn options_for(config: &DnsConfig, mut options: ResolverOpts) -> ResolverOpts {
    options.timeout = *config.timeout;
    // Asking again and remembering are ours.
    options.attempts = 0;
    options.cache_size = 0;
    // An alias that is not proven makes an answer insecure, so all must be seen.
    options.preserve_intermediates = true;
    options
}

/// What validation starts from; `None` if there is no validation.
pub(super) fn trust_anchors(config: &DnsConfig) -> Result<Option<Arc<TrustAnchors>>, DnsSetupError> {
    if !config.dnssec {
        return Ok(None);
    }
    let Some(file) = &config.trust_anchors else { return Ok(Some(Arc::default())) };
    let unusable = |reason: String| DnsSetupError::TrustAnchors { path: file.display().to_string(), reason };
    let anchors = TrustAnchors::from_file(file).map_err(|error| unusable(error.to_string()))?;
    if anchors.is_empty() {
        return Err(unusable("it holds no DNSKEY of the root".into()));
    }
    Ok(Some(Arc::new(anchors)))
}
