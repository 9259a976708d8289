//! What an operator can set: `mda --print-config` shows all of it with its defaults.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use message::{Address, AddressError};
use serde::{Deserialize, Serialize};
use service::{
    config::{ByteSize, GrpcConfig, HttpConfig, HumanDuration, LogConfig, RuntimeConfig, TlsConfig},
    listen::Network,
};

use crate::{auth, imap, store};

pub use self::login_config::{CertificatesConfig, OAuthConfig};
pub use self::sasl_config::{Exception, MechanismName, SaslConfig};

mod login_config;
mod sasl_config;

#[cfg(test)]
mod tests;

/// The MDA's configuration file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The name this host greets with; a fully qualified domain name.
    pub hostname: String,
    /// The folder that holds accounts and mail. Made if it is missing; one process at a time.
    pub data_dir: PathBuf,
    /// The account that gets `postmaster@` of every local domain which has no account of that name (RFC 5321 §4.5.1).
    /// Empty (the default): the oldest account of the domain does.
    pub postmaster: String,
    /// What `user+detail` means.
    pub subaddress: SubaddressConfig,
    /// Whether a password may travel without TLS, in IMAP and POP3. Default: never.
    pub plaintext_auth: PlaintextAuth,
    /// What is logged, and how.
    pub log: LogConfig,
    /// The process.
    pub runtime: RuntimeConfig,
    /// `Delivery`, `Directory` and `Mailbox` for the other services and the operator. Default port: 7143.
    pub grpc: GrpcConfig,
    /// Metrics and health. Default port: 8143.
    pub http: HttpConfig,
    /// The certificate that IMAP and POP3 clients see. Without it there is no STARTTLS, and `imaps` and `pop3s` must be
    /// off.
    pub tls: Option<TlsConfig>,
    /// IMAP with STARTTLS. Default port: 143.
    pub imap: ListenConfig,
    /// IMAP over TLS from the first octet (RFC 8314). Default port: 993.
    pub imaps: ListenConfig,
    /// POP3 with STLS. Default port: 110.
    pub pop3: ListenConfig,
    /// POP3 over TLS from the first octet (RFC 8314). Default port: 995.
    pub pop3s: ListenConfig,
    /// How POP3 serves maildrops.
    pub maildrop: MaildropConfig,
    /// The mail store.
    pub store: StoreConfig,
    /// How words are found in the text of messages.
    pub search: SearchConfig,
    /// What one client or one message may take.
    pub limits: Limits,
    /// How passwords are kept, and how guessing is slowed.
    pub passwords: PasswordsConfig,
    /// Capabilities of IMAP that some clients cannot bear: what is hidden from whom.
    pub imap_hide: Vec<HideConfig>,
    /// In which ways clients may say who they are.
    pub sasl: SaslConfig,
    /// Who says what access tokens mean. Without it none are taken.
    pub oauth: Option<OAuthConfig>,
    /// Whose certificates are taken in place of a password. Without it clients are not asked for any.
    pub client_certificates: Option<CertificatesConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: "localhost".to_owned(),
            data_dir: "/var/lib/waypost/mda".into(),
            postmaster: String::new(),
            subaddress: SubaddressConfig::default(),
            plaintext_auth: PlaintextAuth::default(),
            log: LogConfig::default(),
            runtime: RuntimeConfig::default(),
            grpc: GrpcConfig::on_port(7143),
            http: HttpConfig::on_port(8143),
            tls: None,
            imap: ListenConfig::everywhere(143),
            imaps: ListenConfig::everywhere(993),
            pop3: ListenConfig::everywhere(110),
            pop3s: ListenConfig::everywhere(995),
            maildrop: MaildropConfig::default(),
            store: StoreConfig::default(),
            search: SearchConfig::default(),
            limits: Limits::default(),
            passwords: PasswordsConfig::default(),
            imap_hide: Vec::new(),
            sasl: SaslConfig::default(),
            oauth: None,
            client_certificates: None,
        }
    }
}

impl Config {
    /// Checks what the types cannot say.
    pub fn validate(&self) -> Result<(), ConfigProblem> {
        if self.hostname.is_empty() || self.hostname.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(ConfigProblem::Hostname);
        }
        if self.tls.is_none() {
            for (name, listener) in [("imaps", &self.imaps), ("pop3s", &self.pop3s)] {
                if !listener.listen.is_empty() {
                    return Err(ConfigProblem::NoCertificate(name));
                }
            }
        }
        if self.subaddress.separator.contains(|c: char| c == '@' || c.is_whitespace() || c.is_control()) {
            return Err(ConfigProblem::Separator);
        }
        if !self.postmaster.is_empty() {
            Address::parse(&self.postmaster).map_err(ConfigProblem::Postmaster)?;
        }
        let mapped = self.client_certificates.iter().flat_map(|config| config.accounts.keys());
        if let Some(wrong) = mapped.into_iter().find(|key| !auth::is_fingerprint(key)) {
            return Err(ConfigProblem::Fingerprint(wrong.clone()));
        }
        if self.passwords.scram_iterations < sasl::scram::MIN_ITERATIONS {
            return Err(ConfigProblem::Iterations);
        }
        if self.limits.deliveries == 0 || self.limits.recipients == 0 || self.limits.session_errors == 0 {
            return Err(ConfigProblem::ZeroLimit);
        }
        for rule in &self.imap_hide {
            if let Some(unknown) = rule.capabilities.iter().find(|name| !imap::can_be_hidden(name)) {
                return Err(ConfigProblem::Capability(unknown.clone()));
            }
        }
        Ok(())
    }

    /// The authorities that clients' certificates must be signed by.
    pub(crate) fn client_ca(&self) -> Option<&Path> {
        self.client_certificates.as_ref().map(|config| config.ca.as_path())
    }

    /// What the store is opened with.
    pub(crate) fn store_config(&self) -> store::StoreConfig {
        store::StoreConfig {
            cache_bytes: *self.store.cache_size,
            index_bytes: *self.store.index_cache_size,
            outline_bytes: *self.store.outline_cache_size,
            segment_bytes: *self.store.segment_size,
            min_free_bytes: *self.store.min_free_space,
            reclaim_every: *self.store.reclaim_every,
            reclaim_rate: *self.store.reclaim_rate,
            quota_grace_bytes: *self.store.quota_grace,
            keep_expunged: *self.store.keep_expunged,
            retention: self.store.retention.by_use(),
            ..store::StoreConfig::new(&self.data_dir)
        }
    }
}

/// A configuration whose parts do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    /// The name cannot be greeted with.
    #[error("`hostname` is no host's name")]
    Hostname,
    /// A listener for TLS has no certificate.
    #[error("`{0}` needs a certificate: set [tls], or turn it off with `listen = []`")]
    NoCertificate(&'static str),
    /// The postmaster is no address.
    #[error("`postmaster` is no address: {0}")]
    Postmaster(AddressError),
    /// No address could be told by it.
    #[error("`subaddress.separator` holds `@`, a space or a control character")]
    Separator,
    /// Nothing of IMAP that could be hidden has this name.
    #[error("`imap_hide`: `{0}` is no capability that can be hidden")]
    Capability(String),
    /// No certificate could be told by it.
    #[error("`client_certificates.accounts`: `{0}` is no SHA-256 of a certificate in hexadecimal")]
    Fingerprint(String),
    /// Passwords would be found too easily.
    #[error("`passwords.scram_iterations` is less than {}", sasl::scram::MIN_ITERATIONS)]
    Iterations,
    /// Nothing would work.
    #[error("a limit of 0 in [limits]: nothing could be delivered, and no session served")]
    ZeroLimit,
}

/// Subaddresses: details that a user adds to the local part (RFC 5233).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubaddressConfig {
    /// What stands between user and detail. Empty: local parts are taken as they stand. Default: `+`.
    pub separator: String,
    /// Mail to `user+folder` goes to the folder of that name, if the user has one. Default: `false`, all goes to INBOX.
    pub folders: bool,
}

impl Default for SubaddressConfig {
    fn default() -> Self {
        Self { separator: "+".to_owned(), folders: false }
    }
}

/// Hides capabilities of IMAP from the clients that all of its conditions hold for; without conditions from all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HideConfig {
    /// What is hidden, such as `COMPRESS=DEFLATE`: it is not announced, and nothing of it is known.
    pub capabilities: Vec<String>,
    /// Accounts that it is hidden from, once they have logged in. Empty: any.
    pub accounts: Vec<String>,
    /// Networks whose clients it is hidden from. Empty: any.
    pub networks: Vec<Network>,
    /// The program it is hidden from, as it names itself by the command ID; `*` stands for anything. Empty: any.
    pub client: String,
    /// The version of that program, likewise. Empty: any.
    pub version: String,
}

impl HideConfig {
    /// The rule is about a program.
    pub(crate) fn asks_who_it_is(&self) -> bool {
        !(self.client.is_empty() && self.version.is_empty())
    }
}

/// Where a protocol is served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    /// Addresses with ports; an IPv6 address takes IPv6 only. An empty list turns the protocol off.
    pub listen: Vec<SocketAddr>,
}

impl ListenConfig {
    fn everywhere(port: u16) -> Self {
        Self { listen: vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()] }
    }
}

/// Whether a password may travel without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaintextAuth {
    /// Logging in needs TLS.
    #[default]
    Never,
    /// Also without TLS, if the client is on this machine and connects over the loopback interface.
    Loopback,
}

impl PlaintextAuth {
    /// May a client at `peer` send its password, over a connection that is or is not under TLS?
    pub fn allows(self, tls: bool, peer: SocketAddr) -> bool {
        tls || self == Self::Loopback && peer.ip().to_canonical().is_loopback()
    }
}

/// How POP3 serves maildrops.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaildropConfig {
    /// How long after a login an account may log in again (RFC 2449 §6.5). Default: 0s, at once.
    pub login_delay: HumanDuration,
    /// Refuse messages whose header needs UTF-8 to clients that have not asked for UTF-8 (RFC 6856 §2.1). Most programs
    /// cope with such a header and never ask, so that their users would miss mail. Default: false.
    pub strict_utf8: bool,
}

/// The mail store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// A new journal segment is begun when the last one is this large. Default: 256MiB.
    pub segment_size: ByteSize,
    /// New mail is refused with a temporary error while the disk has less free space than this. Default: 256MiB.
    pub min_free_space: ByteSize,
    /// Memory for the cache of mailbox rows. Default: 64MiB.
    pub cache_size: ByteSize,
    /// Memory for the indexes of mailboxes, some 50 octets for each message. An index is kept after its last session, for
    /// the next, as far as there is room; those in use stay whatever they take. Default: 256MiB.
    pub index_cache_size: ByteSize,
    /// Memory for what is known of messages without reading them: envelopes, structures, the fields that mail programs
    /// list; some 3 KiB for each message. Default: 128MiB.
    pub outline_cache_size: ByteSize,
    /// How much getting back the space of dead messages may copy in a second, so that deliveries and clients keep the
    /// disk. 0B for as much as the disk gives. Default: 32MiB.
    pub reclaim_rate: ByteSize,
    /// How often the space of dead messages is looked for. Default: 1m.
    pub reclaim_every: HumanDuration,
    /// How long expunged messages, and those of deleted mailboxes, can be brought back (`waypost mailbox undelete`). They
    /// take space as long, but count in no quota. 0s for not at all. Default: 7d.
    pub keep_expunged: HumanDuration,
    /// How long messages stay in mailboxes of some uses, counted from when they came there; 0s, the default, is for ever.
    /// A mailbox may have a time of its own (`waypost mailbox retention`).
    pub retention: RetentionConfig,
    /// By how much deliveries may go beyond an account's quota, so that it is not the size of a message that decides.
    /// Default: 10MiB.
    pub quota_grace: ByteSize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            segment_size: ByteSize::mib(256),
            min_free_space: ByteSize::mib(256),
            cache_size: ByteSize::mib(64),
            index_cache_size: ByteSize::mib(256),
            outline_cache_size: ByteSize::mib(128),
            reclaim_rate: ByteSize::mib(32),
            reclaim_every: HumanDuration::from_mins(1),
            quota_grace: ByteSize::mib(10),
            keep_expunged: HumanDuration::from_mins(7 * 24 * 60),
            retention: RetentionConfig::default(),
        }
    }
}

/// How words are found in the text of messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchConfig {
    /// Whether the messages of accounts that search their text are indexed, below `data_dir` in `search`; the folder can
    /// be thrown away while the service is stopped. Without an index all messages are read. Default: true.
    pub index: bool,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self { index: true }
    }
}

/// How long messages stay in mailboxes of some uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// In `\Drafts`.
    pub drafts: HumanDuration,
    /// In `\Sent`.
    pub sent: HumanDuration,
    /// In `\Junk`.
    pub junk: HumanDuration,
    /// In `\Trash`.
    pub trash: HumanDuration,
    /// In `\Archive`.
    pub archive: HumanDuration,
}

impl RetentionConfig {
    fn by_use(&self) -> Vec<(store::SpecialUse, std::time::Duration)> {
        use store::SpecialUse::{Archive, Drafts, Junk, Sent, Trash};
        vec![
            (Drafts, *self.drafts),
            (Sent, *self.sent),
            (Junk, *self.junk),
            (Trash, *self.trash),
            (Archive, *self.archive),
        ]
    }
}

/// What one client or one message may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// One message, delivered or appended. Default: 50MiB.
    pub message_size: ByteSize,
    /// Recipients of one delivery. Default: 1,000.
    pub recipients: usize,
    /// Deliveries that stream at the same time; more are asked to come again. Default: 512.
    pub deliveries: usize,
    /// IMAP connections at the same time to one listening address. Default: 8,192.
    pub imap_connections: usize,
    /// POP3 connections at the same time to one listening address. Default: 1,024.
    pub pop3_connections: usize,
    /// Connections of one network (an IPv4 /24 or an IPv6 /64) on which nobody has logged in yet, to IMAP and to POP3 each;
    /// those of this machine are not counted. 0 for any number. Default: 256.
    pub strangers_per_network: usize,
    /// Memory for the searches whose results IMAP clients follow (UPDATE), of all sessions together; 8MiB of it in one
    /// session. What goes beyond is followed no more, and the client is told so. Default: 256MiB.
    pub imap_contexts: ByteSize,
    /// Errors of one session before it is ended. Default: 20.
    pub session_errors: u32,
    /// How long a client may take to log in. Default: 1m.
    pub login_timeout: HumanDuration,
    /// How long an IMAP session lasts without a command; RFC 9051 §5.4 wants at least 30m. Default: 30m.
    pub imap_idle_timeout: HumanDuration,
    /// How long a POP3 session lasts without a command; RFC 1939 §3 wants at least 10m. Default: 10m.
    pub pop3_idle_timeout: HumanDuration,
    /// How long a client may take to receive what one write holds. Default: 5m.
    pub write_timeout: HumanDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: ByteSize::mib(50),
            recipients: 1000,
            deliveries: 512,
            imap_connections: 8192,
            pop3_connections: 1024,
            strangers_per_network: 256,
            imap_contexts: ByteSize::mib(256),
            session_errors: 20,
            login_timeout: HumanDuration::from_mins(1),
            imap_idle_timeout: HumanDuration::from_mins(30),
            pop3_idle_timeout: HumanDuration::from_mins(10),
            write_timeout: HumanDuration::from_mins(5),
        }
    }
}

/// How passwords are kept, and how guessing is slowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordsConfig {
    /// Memory that hashing one password takes (Argon2id, m). New passwords are kept with these costs; old ones are
    /// hashed anew at their next right login by PLAIN or LOGIN. Default: 19MiB.
    pub memory: ByteSize,
    /// Passes over that memory (Argon2id, t). Default: 2.
    pub passes: u32,
    /// Lanes (Argon2id, p). Default: 1.
    pub lanes: u32,
    /// Rounds of hashing for SCRAM, 4,096 or more (RFC 7677 §4). A program pays for them each time it logs in, and
    /// whoever steals the store for each guess. Passwords that are there get the new number at their next login by PLAIN or
    /// LOGIN, or when they are changed; those of an account with app passwords once these are made anew, all of them.
    /// Until then SCRAM tells the old number. Default: 10,000.
    pub scram_iterations: u32,
    /// How long a password that was right is taken again from the same network without the cost of Argon2; 0s for not
    /// at all. Default: 5m.
    pub remember: HumanDuration,
    /// Failed logins that a user may have within `failure_window` before further ones are refused unseen. Default: 10.
    pub failures_per_user: u32,
    /// The same for a network: an IPv4 /24 or an IPv6 /64. Default: 60.
    pub failures_per_network: u32,
    /// The time in which that many failures are forgiven, one after the other. Default: 15m.
    pub failure_window: HumanDuration,
    /// How long the answer to a first failure is held back; twice as long for each further one. Default: 500ms.
    pub failure_delay: HumanDuration,
    /// How long an answer is held back at most. Default: 4s.
    pub max_failure_delay: HumanDuration,
}

impl Default for PasswordsConfig {
    fn default() -> Self {
        // OWASP Password Storage Cheat Sheet, Argon2id: m=19 MiB, t=2, p=1.
        Self {
            memory: ByteSize::mib(19),
            passes: 2,
            lanes: 1,
            scram_iterations: 10_000,
            remember: HumanDuration::from_mins(5),
            failures_per_user: 10,
            failures_per_network: 60,
            failure_window: HumanDuration::from_mins(15),
            failure_delay: HumanDuration::from_millis(500),
            max_failure_delay: HumanDuration::from_secs(4),
        }
    }
}
