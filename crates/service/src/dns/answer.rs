//! What a server's response means.

use std::time::{Duration, Instant};

use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError as NetDnsError, NetError, NoRecords};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::SOA;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// A positive answer is asked for again after this time, whatever its time to live.
const LONGEST_TTL: Duration = Duration::from_hours(24);
/// The same for "there is none" (RFC 2308 §5 advises one to three hours).
const LONGEST_NEGATIVE_TTL: Duration = Duration::from_hours(1);

/// What is known about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Records of the type asked for; at least one.
    Found {
        /// Without signatures, and without the aliases that led to them.
        records: Vec<RData>,
        /// DNSSEC proved all of it.
        secure: bool,
        /// Whose records they are, behind all aliases.
        canonical: String,
    },
    /// The name does not exist.
    NoSuchDomain,
    /// The name has no such records.
    NoData,
    /// The answer was forged, or its signatures are broken.
    Bogus,
    /// Nobody gave an answer that could be used.
    Failed {
        reason: String,
        /// No response came at all, so it says nothing about the name.
        silence: bool,
    },
}

impl Outcome {
    /// Whether nothing is known: the same question may have an answer later.
    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Self::Bogus | Self::Failed { .. })
    }

    pub(super) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), silence: true }
    }
}

/// What a lookup came to, and how long that holds.
pub(super) fn outcome(result: Result<Lookup, NetError>, kind: RecordType) -> (Outcome, Duration) {
    match result {
        Ok(lookup) => found(kind, &lookup),
        Err(NetError::Dns(NetDnsError::NoRecordsFound(none))) => none_found(&none),
        Err(NetError::Dns(NetDnsError::Nsec { response, proof, .. })) => {
            // There is none, and this cannot be proven: that is in order only where the zone is proven to be unsigned.
            if proof != Proof::Insecure {
                return (Outcome::Bogus, Duration::ZERO);
            }
            let soa = response.authorities.iter().find_map(|record| match &record.data {
                RData::SOA(soa) => Some(negative_ttl(record.ttl, soa)),
                _ => None,
            });
            negative(response.response_code, soa.unwrap_or_default())
        }
        Err(NetError::Dns(NetDnsError::DnssecBogus)) => (Outcome::Bogus, Duration::ZERO),
        Err(error) => {
            let silence = !matches!(error, NetError::Dns(_));
            (Outcome::Failed { reason: error.to_string(), silence }, Duration::ZERO)
        }
    }
}

/// The records of the wanted type. An answer also holds the aliases that led to them, and signatures.
fn found(kind: RecordType, lookup: &Lookup) -> (Outcome, Duration) {
    let (wanted, others): (Vec<&Record>, Vec<&Record>) =
        lookup.answers().iter().partition(|record| record.record_type() == kind);
    let Some(first) = wanted.first() else { return (Outcome::NoData, Duration::ZERO) };
    let mut aliases = others.iter().filter(|record| record.record_type() == RecordType::CNAME);
    let outcome = Outcome::Found {
        secure: wanted.iter().all(|record| record.proof.is_secure())
            && aliases.all(|record| record.proof.is_secure()),
        canonical: host_text(&first.name),
        records: wanted.iter().map(|record| record.data.clone()).collect(),
    };
    let ttl = lookup.valid_until().saturating_duration_since(Instant::now());
    (outcome, ttl.min(LONGEST_TTL))
}

fn none_found(none: &NoRecords) -> (Outcome, Duration) {
    let ttl = none.soa.as_ref().map(|soa| negative_ttl(soa.ttl, &soa.data));
    negative(none.response_code, ttl.unwrap_or_default())
}

/// How long there is none (RFC 2308 §5).
fn negative_ttl(ttl: u32, soa: &SOA) -> Duration {
    Duration::from_secs(ttl.min(soa.minimum).into()).min(LONGEST_NEGATIVE_TTL)
}

fn negative(code: ResponseCode, ttl: Duration) -> (Outcome, Duration) {
    match code {
        ResponseCode::NXDomain => (Outcome::NoSuchDomain, ttl),
        ResponseCode::NoError => (Outcome::NoData, ttl),
        code => (Outcome::Failed { reason: code.to_string(), silence: false }, Duration::ZERO),
    }
}

/// In ASCII and lower case, without the final dot.
pub(super) fn host_text(name: &Name) -> String {
    let mut text = name.to_ascii().to_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}
