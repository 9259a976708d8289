//! What an operator can set: `mta --print-config` shows all of it with its defaults.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use service::config::{
    ByteSize, DnsConfig, GrpcConfig, HttpConfig, LogConfig, PeerConfig, RuntimeConfig, TlsConfig,
};

use service::smtp::client::Timeouts;

use crate::queue::{RetryConfig, SitesConfig};
use crate::receiving::ReceivingConfig;
use crate::routing::RouteConfig;
use crate::spool::{MAX_RECIPIENTS, SpoolConfig};
use crate::tls::{DaneConfig, MtaStsConfig, TlsReportConfig};

/// The MTA's configuration file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The name this host greets with and stands under in MX records; a fully qualified domain name.
    pub hostname: String,
    /// The name of this node among the MTAs, in receipts and traces. Default `mta`.
    pub node: String,
    /// A file of authorities (PEM) that certificates of other MTAs and of MTA-STS policy hosts are verified by. Default:
    /// those that Mozilla trusts, as they were when this program was built.
    pub tls_roots: Option<PathBuf>,
    /// Threads and draining.
    pub runtime: RuntimeConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// `Transfer` and `Queue` for the other services and the operator.
    pub grpc: GrpcConfig,
    /// Metrics and health.
    pub http: HttpConfig,
    /// The certificate that other MTAs see. Without it there is no STARTTLS.
    pub tls: Option<TlsConfig>,
    /// Where mail from other MTAs is taken.
    pub smtp: SmtpConfig,
    /// Whom it is taken from, and for whom.
    pub receiving: ReceivingConfig,
    /// Where messages wait.
    pub spool: SpoolConfig,
    /// Where the story of each message is kept.
    pub events: EventsConfig,
    /// The MDA: who exists, and where local mail goes.
    pub mda: PeerConfig,
    /// The name servers that are asked for MX and address records.
    pub dns: DnsConfig,
    /// How mail goes to other MTAs.
    pub outbound: OutboundConfig,
    /// `[[route]]`, the routing table: the first rule that matches a recipient decides where its mail goes. None (the
    /// default) means the MX of its domain.
    pub route: Vec<RouteConfig>,
    /// Policies of recipients' domains over HTTPS.
    pub mta_sts: MtaStsConfig,
    /// Certificates of recipients' hosts in DNS.
    pub dane: DaneConfig,
    /// What recipients' domains hear about TLS.
    pub tls_report: TlsReportConfig,
    /// When and how long delivery is tried again; `[[retry.rule]]` for some recipients.
    pub retry: RetryConfig,
    /// What one client or message may take.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: "localhost".into(),
            node: "mta".into(),
            tls_roots: None,
            runtime: RuntimeConfig::default(),
            log: LogConfig::default(),
            grpc: GrpcConfig::on_port(7025),
            http: HttpConfig::on_port(8025),
            tls: None,
            smtp: SmtpConfig::default(),
            receiving: ReceivingConfig::default(),
            spool: SpoolConfig::default(),
            events: EventsConfig::default(),
            mda: PeerConfig::at(["localhost:7143"]),
            dns: DnsConfig::default(),
            outbound: OutboundConfig::default(),
            route: Vec::new(),
            mta_sts: MtaStsConfig::default(),
            dane: DaneConfig::default(),
            tls_report: TlsReportConfig::default(),
            retry: RetryConfig::default(),
            limits: Limits::default(),
        }
    }
}

/// A setting with which the MTA could not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} must be {range}")]
pub struct ConfigError {
    setting: &'static str,
    range: &'static str,
}

impl Config {
    /// Checks what the types cannot say.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let at_least_one = [
            ("outbound.sessions", self.outbound.sessions),
            ("outbound.messages_per_session", self.outbound.messages_per_session),
            ("limits.recipients", self.limits.recipients),
            ("limits.connections", self.limits.connections),
            ("limits.queued_messages", self.limits.queued_messages),
        ];
        if let Some((setting, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError { setting, range: "at least 1" });
        }
        if self.limits.recipients > MAX_RECIPIENTS {
            return Err(ConfigError { setting: "limits.recipients", range: "at most 1000" });
        }
        if self.outbound.timeouts.zero().is_some() {
            return Err(ConfigError { setting: "every one of outbound.timeouts", range: "longer than 0" });
        }
        if let Some((setting, range)) = self.mta_sts.fault().or_else(|| self.tls_report.fault()) {
            return Err(ConfigError { setting, range });
        }
        if let Some((setting, range)) = self.receiving.fault() {
            return Err(ConfigError { setting, range });
        }
        if let Some((setting, range)) = self.outbound.sites.problem() {
            return Err(ConfigError { setting, range });
        }
        Ok(())
    }
}

/// `port` on every address of this host, both families.
fn everywhere(port: u16) -> SocketAddr {
    (Ipv6Addr::UNSPECIFIED, port).into()
}

/// The listener for other MTAs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmtpConfig {
    /// Addresses to listen on; none turns it off. Default: port 25 everywhere.
    pub listen: Vec<SocketAddr>,
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self { listen: vec![everywhere(25)] }
    }
}

/// The log of events behind `Queue.Trace`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsConfig {
    /// Its directory; made if missing.
    pub dir: PathBuf,
    /// The oldest events go when it has grown beyond this size. Default 512 MiB.
    pub keep: ByteSize,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self { dir: "/var/lib/waypost/mta/events".into(), keep: ByteSize::mib(512) }
    }
}

/// How mail goes to other MTAs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutboundConfig {
    /// The port on which other MTAs are dialled. Default 25.
    pub port: u16,
    /// STARTTLS is used where it is offered. `false` never tries it, whatever policies other domains publish, except where
    /// a rule of the routing table asks for TLS. Default `true`.
    pub starttls: bool,
    /// What each site may have at a time, and how the accounts share it.
    pub sites: SitesConfig,
    /// Sessions with all sites together. Default 500.
    pub sessions: usize,
    /// Messages that one session may carry. Default 100.
    pub messages_per_session: usize,
    /// Messages go in chunks (BDAT) where the next server takes them: small ones with all commands in one round trip.
    /// Default `true`.
    pub chunking: bool,
    /// Memory for messages above 256 KiB that have to be converted for a server without 8BITMIME or BINARYMIME. Those
    /// that find none free wait for their next attempt; larger ones than this are not converted. Default 256 MiB.
    pub conversion_memory: ByteSize,
    /// How long the next server may take.
    pub timeouts: Timeouts,
    /// Addresses that are this host's although no listener names them (behind NAT, say): an MX that points there is a
    /// loop.
    pub own_addresses: Vec<std::net::IpAddr>,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        Self {
            port: 25,
            starttls: true,
            sites: SitesConfig::default(),
            sessions: 500,
            messages_per_session: 100,
            chunking: true,
            conversion_memory: ByteSize::mib(256),
            timeouts: Timeouts::default(),
            own_addresses: Vec::new(),
        }
    }
}

/// What one client or message may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Size of a message. Default 50 MiB.
    pub message_size: ByteSize,
    /// Recipients of a message; at most 1,000, the default.
    pub recipients: usize,
    /// SMTP connections at a time. Default 2,000.
    pub connections: usize,
    /// How much of a message is held in memory while it arrives; larger ones are written as they come. Also the
    /// largest message that is handed straight to the MDA. Default 256 KiB.
    pub in_memory: ByteSize,
    /// The same for all messages together. Beyond it messages are written as they come, however small. Default 256 MiB.
    pub in_memory_total: ByteSize,
    /// Messages in the spool; beyond it mail is refused with a temporary error. Default 2,000,000.
    pub queued_messages: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: ByteSize::mib(50),
            recipients: 1_000,
            connections: 2_000,
            in_memory: ByteSize::kib(256),
            in_memory_total: ByteSize::mib(256),
            queued_messages: 2_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_stop_the_queue_or_make_it_spin_is_refused() {
        assert_eq!(Config::default().validate(), Ok(()));
        type Change = (&'static str, fn(&mut Config));
        let changes: [Change; 3] = [
            ("outbound.sessions must", |config| config.outbound.sessions = 0),
            ("limits.recipients must", |config| config.limits.recipients = 0),
            ("limits.recipients must", |config| config.limits.recipients = 1_001),
        ];
        for (said, change) in changes {
            let mut config = Config::default();
            change(&mut config);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
