//! The sections that services share. A service's default may differ from the one given here (its port, say); what a
//! file leaves out is taken from the *service's* default.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::HumanDuration;
use crate::tls::Role;

/// `[grpc]`: where this service serves gRPC, and the identity it shows to other services and expects of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Address and port to listen on. An IPv6 address takes IPv6 only.
    pub listen: SocketAddr,
    /// PEM file with this service's certificate chain; the leaf names the role in a URI
    /// `urn:waypost:role:<role>`. It is used both to serve and to call other services.
    pub certificate: PathBuf,
    /// PEM file with the certificate's private key.
    pub key: PathBuf,
    /// PEM file with the authorities that peers' certificates must be signed by.
    pub ca: PathBuf,
    /// Serve gRPC without TLS if `listen` is a loopback address, and call loopback addresses likewise. Whoever can
    /// connect from this machine then has `plaintext_role`. Default: false.
    pub plaintext_on_loopback: bool,
    /// The role of every peer that connects in plaintext. Default: operator.
    pub plaintext_role: Role,
    /// Connections served at once; more wait in the kernel's backlog. Default: 1,000.
    pub max_connections: usize,
    /// Calls at once in one connection. Default: 1,000.
    pub max_concurrent_streams: u32,
    /// A connection that has not completed its TLS handshake by then is closed; one on which HTTP/2 has not begun so long
    /// after that, too. Default: 10s.
    pub handshake_timeout: HumanDuration,
    /// How long running calls may take to end once the service drains. Default: 20s.
    pub drain_timeout: HumanDuration,
}

impl GrpcConfig {
    /// The defaults, listening on `port` of 127.0.0.1.
    pub fn on_port(port: u16) -> Self {
        Self { listen: loopback(port), ..Self::default() }
    }
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            listen: loopback(0),
            certificate: "/etc/waypost/tls/service.pem".into(),
            key: "/etc/waypost/tls/service.key".into(),
            ca: "/etc/waypost/tls/ca.pem".into(),
            plaintext_on_loopback: false,
            plaintext_role: Role::Operator,
            max_connections: 1000,
            max_concurrent_streams: 1000,
            handshake_timeout: HumanDuration::from_secs(10),
            drain_timeout: HumanDuration::from_secs(20),
        }
    }
}

/// `[http]`: where `/metrics`, `/healthz` and `/readyz` are served, in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
}

impl HttpConfig {
    /// Listening on `port` of 127.0.0.1.
    pub fn on_port(port: u16) -> Self {
        Self { listen: loopback(port) }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self::on_port(0)
    }
}

/// `[tls]`: the certificate shown to mail clients and other mail servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate chain, leaf first.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { certificate: "/etc/waypost/tls/public.pem".into(), key: "/etc/waypost/tls/public.key".into() }
    }
}

/// `[log]`: what is written to standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`) or tracing directives such as `info,mta=debug`. The
    /// environment's `WAYPOST_LOG` goes before it. Default: info.
    pub level: String,
    /// How lines look. Default: text.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; coloured on a terminal, unless `NO_COLOR` is set.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// `[runtime]`: the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// Threads that run asynchronous work; 0 means one per core. Default: 0.
    pub worker_threads: usize,
    /// How long running work may take to end after SIGTERM. Default: 30s.
    pub drain_timeout: HumanDuration,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self { worker_threads: 0, drain_timeout: HumanDuration::from_secs(30) }
    }
}

/// `[mta]`, `[mda]`, `[directory]`: where another service is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerConfig {
    /// `host:port` each, an IPv6 address in brackets. Calls are balanced over all addresses of all hosts.
    pub addresses: Vec<String>,
    /// The name that the peers' certificates must carry, if it is not the host in `addresses`.
    pub server_name: Option<String>,
    /// A call that has no deadline of its own ends after this time. Default: 30s.
    pub deadline: HumanDuration,
    /// A connection must be up, TLS included, by then. Default: 3s.
    pub connect_timeout: HumanDuration,
    /// How long a call waits for a peer when none is healthy. Default: 2s.
    pub wait: HumanDuration,
    /// How often host names are resolved again; a lost peer triggers it too. Default: 30s.
    pub resolve_interval: HumanDuration,
}

impl PeerConfig {
    /// The defaults, with these addresses.
    pub fn at<A: Into<String>>(addresses: impl IntoIterator<Item = A>) -> Self {
        Self { addresses: addresses.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

impl Default for PeerConfig {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            server_name: None,
            deadline: HumanDuration::from_secs(30),
            connect_timeout: HumanDuration::from_secs(3),
            wait: HumanDuration::from_secs(2),
            resolve_interval: HumanDuration::from_secs(30),
        }
    }
}

/// `[dns]`: whom to ask for names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsConfig {
    /// Resolvers as `ADDRESS:PORT`, asked over UDP and, where an answer does not fit, over TCP. Empty (the default)
    /// means those of the system.
    pub servers: Vec<SocketAddr>,
    /// How long to wait for one server's answer. Default: 5s.
    pub timeout: HumanDuration,
    /// How often to ask all of them again if none answers. Default: 2.
    pub attempts: usize,
    /// Answers kept in memory at once. Default: 8,192.
    pub cache_size: u64,
    /// Check signatures (DNSSEC), from the root down. DANE needs it; so do resolvers that pass signatures on, and that
    /// should be near. An answer whose signatures are broken counts as none for now. Default: false.
    pub dnssec: bool,
    /// With `dnssec`: a file of DNSKEY records, as in a zone, in place of the keys of the Internet's root.
    pub trust_anchors: Option<PathBuf>,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: HumanDuration::from_secs(5),
            attempts: 2,
            cache_size: 8192,
            dnssec: false,
            trust_anchors: None,
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
