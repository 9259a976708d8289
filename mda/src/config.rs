//! What an operator can set: `mda --print-config` shows all of it with its defaults.

use std::{
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use service::config::{GrpcConfig, HttpConfig, LogConfig, TlsConfig};

/// The MDA's configuration file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The name this host greets with; a fully qualified domain name.
    pub hostname: String,
    /// The folder that holds accounts and mail. Made if it is missing; one process at a time.
    pub data_dir: PathBuf,
    /// The account that gets `postmaster@` of every local domain without an account of that name (RFC 5321 §4.5.1).
    /// Empty: the domain's oldest account does.
    pub postmaster: String,
    /// Whether a password may travel without TLS, in IMAP and POP3.
    pub plaintext_auth: PlaintextAuth,
    /// What is logged, and how.
    pub log: LogConfig,
    /// `Delivery`, `Directory` and `Mailbox` for the other services and the operator.
    pub grpc: GrpcConfig,
    /// Metrics and health.
    pub http: HttpConfig,
    /// The certificate that IMAP and POP3 clients see. Without it there is no STARTTLS, and `imaps` and `pop3s` must be
    /// off.
    pub tls: Option<TlsConfig>,
    /// IMAP with STARTTLS, port 143.
    pub imap: ImapListenerConfig,
    /// IMAP over TLS, port 993.
    pub imaps: ImapsListenerConfig,
    /// POP3 with STLS, port 110.
    pub pop3: Pop3ListenerConfig,
    /// POP3 over TLS, port 995.
    pub pop3s: Pop3sListenerConfig,
    /// The mail store.
    pub store: StoreConfig,
    /// What one client or message may take.
    pub limits: Limits,
    /// How passwords are kept and guessed ones are slowed.
    pub passwords: PasswordsConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: "localhost".into(),
            data_dir: PathBuf::from("/var/lib/waypost/mda"),
            postmaster: String::new(),
            plaintext_auth: PlaintextAuth::default(),
            log: LogConfig::default(),
            grpc: GrpcConfig { listen: vec![everywhere(7143)], ..GrpcConfig::default() },
            http: HttpConfig { listen: vec![everywhere(8143)], ..HttpConfig::default() },
            tls: None,
            imap: ImapListenerConfig::default(),
            imaps: ImapsListenerConfig::default(),
            pop3: Pop3ListenerConfig::default(),
            pop3s: Pop3sListenerConfig::default(),
            store: StoreConfig::default(),
            limits: Limits::default(),
            passwords: PasswordsConfig::default(),
        }
    }
}

/// Whether a password may travel without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaintextAuth {
    /// Never: logging in needs TLS.
    #[default]
    Never,
    /// Only when client and server are on this machine, over the loopback interface.
    Loopback,
}

impl PlaintextAuth {
    /// May a client at `peer` log in over a connection that is, or is not, under TLS?
    pub fn allows(self, tls: bool, peer: SocketAddr) -> bool {
        tls || (self == Self::Loopback && peer.ip().to_canonical().is_loopback())
    }
}

/// Declares one protocol's listener section, so that each has its own default port.
macro_rules! listener_config {
    ($(#[$doc:meta])* $name:ident, $port:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            /// Addresses and ports; an empty list turns the listener off.
            pub listen: Vec<SocketAddr>,
        }

        impl Default for $name {
            fn default() -> Self {
                Self { listen: vec![everywhere($port)] }
            }
        }
    };
}

listener_config!(
    /// IMAP with STARTTLS.
    ImapListenerConfig,
    143
);
listener_config!(
    /// IMAP over TLS from the first octet (RFC 8314).
    ImapsListenerConfig,
    993
);
listener_config!(
    /// POP3 with STLS.
    Pop3ListenerConfig,
    110
);
listener_config!(
    /// POP3 over TLS from the first octet (RFC 8314).
    Pop3sListenerConfig,
    995
);

fn everywhere(port: u16) -> SocketAddr {
    (Ipv6Addr::UNSPECIFIED, port).into()
}

/// The mail store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// A new journal segment is begun when the last one has this many octets.
    pub segment_bytes: u64,
    /// New mail is refused with a temporary error while the disk has fewer free octets than this.
    pub min_free_bytes: u64,
    /// Memory for the cache of mailbox rows, in octets.
    pub cache_bytes: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { segment_bytes: 256 * MIB, min_free_bytes: 256 * MIB, cache_bytes: 64 * MIB }
    }
}

/// What one client or one message may take.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Octets of one message, delivered or appended.
    pub message_bytes: u64,
    /// Recipients of one delivery.
    pub recipients: usize,
    /// Deliveries that stream at the same time.
    pub deliveries: usize,
    /// IMAP connections at the same time, over both listeners.
    pub imap_connections: usize,
    /// POP3 connections at the same time, over both listeners.
    pub pop3_connections: usize,
    /// Errors of one session before it is ended.
    pub session_errors: u32,
    /// Seconds that a client may take to log in.
    pub login_seconds: u64,
    /// Seconds without a command after which an IMAP session ends; at least 1,800 (RFC 9051 §5.4).
    pub imap_idle_seconds: u64,
    /// Seconds without a command after which a POP3 session ends; at least 600 (RFC 1939 §3).
    pub pop3_idle_seconds: u64,
    /// Seconds that one write to a client may take before the connection is given up.
    pub write_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 50 * MIB,
            recipients: 1000,
            deliveries: 512,
            imap_connections: 8192,
            pop3_connections: 1024,
            session_errors: 20,
            login_seconds: 60,
            imap_idle_seconds: 1800,
            pop3_idle_seconds: 600,
            write_seconds: 300,
        }
    }
}

/// How passwords are kept, and how guessing is slowed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordsConfig {
    /// Argon2id: memory in KiB. New passwords are kept with these costs; old ones keep those they were made with.
    pub argon2_memory_kib: u32,
    /// Argon2id: passes over the memory.
    pub argon2_passes: u32,
    /// Argon2id: lanes.
    pub argon2_lanes: u32,
    /// Seconds for which a password that was right is taken again, from the same network, without the cost of Argon2.
    pub remember_seconds: u64,
    /// Failed logins that a user may have within `failure_window_seconds` before further ones are refused unseen.
    pub failures_per_user: u32,
    /// The same for a network: an IPv4 /24 or an IPv6 /64.
    pub failures_per_network: u32,
    /// Seconds in which that many failures are forgiven, one after the other.
    pub failure_window_seconds: u64,
    /// Milliseconds that the first failure costs; it doubles with each further one.
    pub failure_delay_ms: u64,
    /// Milliseconds that a failure costs at most.
    pub failure_delay_max_ms: u64,
}

impl Default for PasswordsConfig {
    fn default() -> Self {
        // OWASP Password Storage Cheat Sheet, Argon2id: m=19 MiB, t=2, p=1.
        Self {
            argon2_memory_kib: 19 * 1024,
            argon2_passes: 2,
            argon2_lanes: 1,
            remember_seconds: 300,
            failures_per_user: 10,
            failures_per_network: 60,
            failure_window_seconds: 900,
            failure_delay_ms: 500,
            failure_delay_max_ms: 4000,
        }
    }
}

impl PasswordsConfig {
    /// How long a right password is remembered.
    pub fn remember(&self) -> Duration {
        Duration::from_secs(self.remember_seconds)
    }
}

const MIB: u64 = 1 << 20;
