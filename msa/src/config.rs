//! What an operator can set: `msa --print-config` shows all of it with its defaults.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use service::config::{
    ByteSize, GrpcConfig, HttpConfig, HumanDuration, LogConfig, PeerConfig, RuntimeConfig, TlsConfig,
};

/// The MSA's configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The name this host greets with; a fully qualified domain name.
    pub hostname: String,
    /// Threads and draining.
    pub runtime: RuntimeConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// `Submission` for programs.
    pub grpc: GrpcConfig,
    /// Metrics and health.
    pub http: HttpConfig,
    /// The certificate that mail programs see. Nobody can log in without it.
    pub tls: Option<TlsConfig>,
    /// Whose certificates are taken in place of a password. Without it mail programs are not asked for any.
    pub client_certificates: Option<CertificatesConfig>,
    /// Submission with STARTTLS (RFC 6409).
    pub submission: SubmissionConfig,
    /// Submission over TLS (RFC 8314).
    pub submissions: SubmissionsConfig,
    /// The MTAs that take the mail; calls are balanced over all of them.
    pub mta: PeerConfig,
    /// The MDA, which knows who exists.
    pub directory: PeerConfig,
    /// What one client or message may take.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: "localhost".into(),
            runtime: RuntimeConfig::default(),
            log: LogConfig::default(),
            grpc: GrpcConfig::on_port(7587),
            http: HttpConfig::on_port(8587),
            tls: None,
            client_certificates: None,
            submission: SubmissionConfig::default(),
            submissions: SubmissionsConfig::default(),
            mta: PeerConfig::at(["localhost:7025"]),
            directory: PeerConfig::at(["localhost:7143"]),
            limits: Limits::default(),
        }
    }
}

/// Certificates of mail programs. The directory knows whose they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatesConfig {
    /// PEM file with the authorities that they must be signed by.
    pub ca: PathBuf,
}

impl Config {
    /// The authorities that mail programs' certificates must be signed by.
    pub(crate) fn client_ca(&self) -> Option<&Path> {
        self.client_certificates.as_ref().map(|config| config.ca.as_path())
    }
}

/// Submission with STARTTLS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubmissionConfig {
    /// Addresses to listen on; none turns it off. Default: port 587 everywhere.
    pub listen: Vec<SocketAddr>,
}

impl Default for SubmissionConfig {
    fn default() -> Self {
        Self { listen: vec![(Ipv6Addr::UNSPECIFIED, 587).into()] }
    }
}

/// Submission over TLS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubmissionsConfig {
    /// Addresses to listen on; none turns it off. Default: port 465 everywhere.
    pub listen: Vec<SocketAddr>,
}

impl Default for SubmissionsConfig {
    fn default() -> Self {
        Self { listen: vec![(Ipv6Addr::UNSPECIFIED, 465).into()] }
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
    /// SMTP connections at a time, each listener. Default 2,000.
    pub connections: usize,
    /// Of these from one network (an IPv4 /24 or an IPv6 /64); 0 for any number. Default 500.
    pub connections_per_network: usize,
    /// How much of a message is held until an MTA has taken it, so that another can be tried when one fails. A larger
    /// message streams to one MTA; if that fails, the client is asked to try again. Default 1 MiB.
    pub in_memory: ByteSize,
    /// The same for all messages together. Beyond it messages stream, however small. Default 256 MiB.
    pub in_memory_total: ByteSize,
    /// How long an MTA may take to acknowledge a message. Default 2m.
    pub hand_over: HumanDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: ByteSize::mib(50),
            recipients: 1_000,
            connections: 2_000,
            connections_per_network: 500,
            in_memory: ByteSize::mib(1),
            in_memory_total: ByteSize::mib(256),
            hand_over: HumanDuration::from_mins(2),
        }
    }
}
