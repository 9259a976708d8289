//! What an operator can set: `mta --print-config` shows all of it with its defaults.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use service::config::{
    ByteSize, DnsConfig, GrpcConfig, HttpConfig, HumanDuration, LogConfig, PeerConfig, RuntimeConfig,
    TlsConfig,
};

pub use crate::queue::RetryConfig;
pub use crate::spool::SpoolConfig;

/// The MTA's configuration file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The name this host greets with and stands under in MX records; a fully qualified domain name.
    pub hostname: String,
    /// The name of this node among the MTAs, in receipts and traces. Default `mta`.
    pub node: String,
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
    /// Mail from other MTAs.
    pub smtp: SmtpConfig,
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
    /// When and how long delivery is tried again.
    pub retry: RetryConfig,
    /// What one client or message may take.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: "localhost".into(),
            node: "mta".into(),
            runtime: RuntimeConfig::default(),
            log: LogConfig::default(),
            grpc: GrpcConfig::on_port(7025),
            http: HttpConfig::on_port(8025),
            tls: None,
            smtp: SmtpConfig::default(),
            spool: SpoolConfig::default(),
            events: EventsConfig::default(),
            mda: PeerConfig::at(["localhost:7143"]),
            dns: DnsConfig::default(),
            outbound: OutboundConfig::default(),
            retry: RetryConfig::default(),
            limits: Limits::default(),
        }
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
    /// STARTTLS is used where it is offered, whoever the certificate names. `false` never tries it. Default `true`.
    pub starttls: bool,
    /// Sessions with one domain at a time. Default 20.
    pub sessions_per_domain: usize,
    /// Sessions with all domains together. Default 500.
    pub sessions: usize,
    /// Messages that one session may carry. Default 100.
    pub messages_per_session: usize,
    /// How long to wait for a connection to one address. Default 30s.
    pub connect_timeout: HumanDuration,
    /// Addresses that are this host's although no listener names them (behind NAT, say): an MX that points there is a
    /// loop.
    pub own_addresses: Vec<std::net::IpAddr>,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        Self {
            port: 25,
            starttls: true,
            sessions_per_domain: 20,
            sessions: 500,
            messages_per_session: 100,
            connect_timeout: HumanDuration::from_secs(30),
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
    /// Recipients of a message. Default 1,000.
    pub recipients: usize,
    /// SMTP connections at a time. Default 2,000.
    pub connections: usize,
    /// How much of a message is held in memory while it arrives; larger ones are written as they come. Also the
    /// largest message that is handed straight to the MDA. Default 256 KiB.
    pub in_memory: ByteSize,
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
            queued_messages: 2_000_000,
        }
    }
}
