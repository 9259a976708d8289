//! From the configuration to what decides.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use message::Address;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use service::dns::Dns;
use tls_policy::mta_sts::{Cache, CacheLimits};
use tls_policy::snapshot::SnapshotError;
use tls_policy::tls_rpt::Reporter;

use super::TlsPolicies;
use super::connectors::Connectors;
use super::dane::Dane;
use super::https::Https;
use super::reporting::Reporting;
use super::results::Results;
use super::source::Internet;
use crate::config::Config;

/// Why TLS policies cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// `tls_roots` is of no use.
    #[error("tls_roots: cannot use {path}: {reason}")]
    Roots {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// There is no address that reports could come from.
    #[error("tls_report.from: {address} is no address that can be written in ASCII")]
    Address {
        /// It.
        address: String,
    },
    /// What was kept in a file cannot be used.
    #[error(transparent)]
    State(#[from] SnapshotError),
}

impl TlsPolicies {
    /// Reads what earlier runs have learnt. Blocks.
    pub(crate) fn open(config: &Config, dns: &Dns) -> Result<Self, TlsSetupError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let authorities = Arc::new(authorities(config.tls_roots.as_deref())?);
        let https = Https::new(dns.clone(), Arc::clone(&authorities), Arc::clone(&provider));
        let beside_spool = |file: &Option<PathBuf>, name| {
            file.clone().unwrap_or_else(|| config.spool.dir.parent().unwrap_or(Path::new(".")).join(name))
        };
        let sts = || {
            let sts = &config.mta_sts;
            let source =
                Internet { dns: dns.clone(), https: https.clone(), port: sts.port, timeout: *sts.timeout };
            let limits = CacheLimits { policies: sts.policies };
            Cache::open(beside_spool(&sts.cache, "mta-sts"), Arc::new(source), limits)
        };
        let reporting = || -> Result<_, TlsSetupError> {
            let from = report_address(config)?;
            Ok(Reporting {
                results: Results::open(beside_spool(&config.tls_report.file, "tls-results"))?,
                dns: dns.clone(),
                https: https.clone(),
                reporter: reporter(config, &from),
                from,
                delay: delay(config),
            })
        };
        Ok(Self {
            starttls: config.outbound.starttls,
            connectors: Connectors::new(authorities, provider),
            dane: config.dane.enabled.then(|| Dane(Box::new(dns.clone()))),
            sts: config.mta_sts.enabled.then(sts).transpose()?,
            reporting: config.tls_report.enabled.then(reporting).transpose()?,
        })
    }

    /// Reads the files that the configuration names.
    pub(crate) fn check(config: &Config) -> Result<(), TlsSetupError> {
        authorities(config.tls_roots.as_deref())?;
        report_address(config).map(drop)
    }
}

/// Whom reports come from.
fn report_address(config: &Config) -> Result<Address, TlsSetupError> {
    let address = match config.tls_report.from.as_str() {
        "" => format!("tls-reports@{}", domain_of(&config.hostname)),
        address => address.to_owned(),
    };
    let parsed = Address::parse(&address).ok().and_then(|address| address.to_ascii());
    parsed.ok_or(TlsSetupError::Address { address })
}

/// The domain above a host's name, or the name itself if nothing but a top-level domain is above it.
fn domain_of(hostname: &str) -> &str {
    hostname.split_once('.').map(|(_, above)| above).filter(|above| above.contains('.')).unwrap_or(hostname)
}

fn reporter(config: &Config, from: &Address) -> Reporter {
    let submitter = from.domain().ascii().to_owned();
    let organization = match config.tls_report.organization.as_str() {
        "" => submitter.clone(),
        organization => organization.to_owned(),
    };
    Reporter { organization, contact: from.to_string(), submitter, node: config.node.clone() }
}

/// When after midnight this node reports: always at the same time, so that a restart changes nothing, and each node at
/// another.
fn delay(config: &Config) -> Duration {
    let place = crc32c::crc32c(format!("{} {}", config.hostname, config.node).as_bytes());
    config.tls_report.spread.mul_f64(f64::from(place) / f64::from(u32::MAX))
}

/// The authorities of a file, or those that Mozilla trusts.
fn authorities(file: Option<&Path>) -> Result<RootCertStore, TlsSetupError> {
    let Some(path) = file else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let unusable = |reason: String| TlsSetupError::Roots { path: path.to_owned(), reason };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        store.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if store.is_empty() { Err(unusable("it holds no certificate".into())) } else { Ok(store) }
}
