//! `[mta_sts]`, `[dane]` and `[tls_report]`.

use std::path::PathBuf;

use message::Address;
use serde::{Deserialize, Serialize};
use service::config::HumanDuration;

/// MTA-STS towards other domains (RFC 8461).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MtaStsConfig {
    /// Policies that domains publish are fetched and followed. Default `true`.
    pub enabled: bool,
    /// The file in which known policies survive a restart. Default: `mta-sts` beside `spool.dir`.
    pub cache: Option<PathBuf>,
    /// Policies that are known at most, at least 1. Default 10,000.
    pub policies: usize,
    /// How long one fetch may take. RFC 8461 §3.3 suggests one minute, the default.
    pub timeout: HumanDuration,
    /// The port of policy hosts. Default 443; any other is for tests.
    pub port: u16,
}

impl Default for MtaStsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            cache: None,
            policies: 10_000,
            timeout: HumanDuration::from_secs(60),
            port: 443,
        }
    }
}

/// DANE towards other hosts (RFC 7672). It needs `dns.dnssec`, without which nothing is proven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DaneConfig {
    /// TLSA records that DNSSEC proves are followed. Default `true`.
    pub enabled: bool,
}

impl Default for DaneConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// Reports to domains about the TLS of sessions with their hosts (RFC 8460).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsReportConfig {
    /// Results are collected, and sent once a day to the domains that ask for them. Default `true`.
    pub enabled: bool,
    /// The address that reports come from and that reads answers to them; its domain is the one that reports. Default:
    /// `tls-reports` at the domain above `hostname`.
    pub from: String,
    /// The organization that reports, in ASCII. Default: the domain of `from`.
    pub organization: String,
    /// The file in which results wait for the end of the day. Default: `tls-results` beside `spool.dir`.
    pub file: Option<PathBuf>,
    /// Reports go at a random time within this long after midnight UTC, so that nodes do not all send at once. At most
    /// 12h. Default 4h.
    pub spread: HumanDuration,
}

impl Default for TlsReportConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            from: String::new(),
            organization: String::new(),
            file: None,
            spread: HumanDuration::from_secs(4 * 60 * 60),
        }
    }
}

impl MtaStsConfig {
    /// The setting that is of no use, and what it must be.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        if self.policies == 0 {
            return Some(("mta_sts.policies", "at least 1"));
        }
        (self.timeout.is_zero()).then_some(("mta_sts.timeout", "longer than 0"))
    }
}

impl TlsReportConfig {
    /// The setting that is of no use, and what it must be.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        const LONGEST_SPREAD: std::time::Duration = std::time::Duration::from_hours(12);
        let is_address = |text: &str| Address::parse(text).is_ok_and(|address| address.to_ascii().is_some());
        if !self.from.is_empty() && !is_address(&self.from) {
            return Some(("tls_report.from", "an address that can be written in ASCII"));
        }
        let is_plain = |octet: u8| octet == b' ' || octet.is_ascii_graphic();
        if self.organization.len() > 200 || !self.organization.bytes().all(is_plain) {
            return Some(("tls_report.organization", "at most 200 visible characters of ASCII"));
        }
        (*self.spread > LONGEST_SPREAD).then_some(("tls_report.spread", "at most 12h"))
    }
}
