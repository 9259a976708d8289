//! What a server's response means.

use std::time::{Duration, Instant};

use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError as NetDnsError, NetError, NoRecords};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::dnssec::rdata::DNSSECRData;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::domain::usage::{IN_ADDR_ARPA_127, INVALID, IP6_ARPA_1, LOCALHOST, ONION};
use hickory_resolver::proto::rr::rdata::SOA;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::cache::Question;

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
pub(super) fn outcome(result: Result<Lookup, NetError>, question: &Question) -> (Outcome, Duration) {
    match result {
        Ok(lookup) => found(question, &lookup),
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

/// The name that a response says to have none of the records asked for, if nothing in the response proves that.
///
/// The validator lets a denial pass when all that stands with it is of unsigned zones, and does not ask whether these are
/// zones of the name (RFC 4035 §5.4). So anybody could deny the records of a signed zone with the SOA of another one.
pub(super) fn unproven_denial(result: &Result<Lookup, NetError>, question: &Question) -> Option<Name> {
    match result {
        Ok(lookup) => {
            let name = end_of_aliases(question, lookup.answers());
            wanted(question.kind, name, lookup.answers()).next().is_none().then(|| name.clone())
        }
        Err(NetError::Dns(NetDnsError::NoRecordsFound(none))) => {
            let name = none.query.name();
            if is_answered_here(name) {
                return None;
            }
            let is_proof = |record: &Record| match (&record.data, record.proof) {
                // The validator has compared these with the question.
                (RData::DNSSEC(DNSSECRData::NSEC(_) | DNSSECRData::NSEC3(_)), Proof::Secure) => true,
                // What is below an unsigned zone cannot be signed.
                (RData::SOA(_), Proof::Insecure) => record.name.zone_of(name),
                _ => false,
            };
            (!none.authorities.iter().flat_map(|all| all.iter()).any(is_proof)).then(|| name.clone())
        }
        Err(_) => None,
    }
}

/// Names that the resolver knows without asking anybody (RFC 6761 §6).
fn is_answered_here(name: &Name) -> bool {
    [&*LOCALHOST, &*IN_ADDR_ARPA_127, &*IP6_ARPA_1, &*INVALID, &*ONION].iter().any(|zone| zone.zone_of(name))
}

/// Whether these are the name servers of a zone that is proven to be unsigned; `None` if the name is no zone's.
pub(super) fn is_unsigned_zone(zone: &Name, lookup: &Lookup) -> Option<bool> {
    let mut servers = wanted(RecordType::NS, zone, lookup.answers()).peekable();
    servers.peek()?;
    Some(servers.all(|record| record.proof == Proof::Insecure))
}

/// The records of the wanted type. An answer also holds the aliases that led to them, signatures, and whatever else the
/// server put there.
fn found(question: &Question, lookup: &Lookup) -> (Outcome, Duration) {
    let answers = lookup.answers();
    let canonical = end_of_aliases(question, answers);
    let wanted: Vec<&Record> = wanted(question.kind, canonical, answers).collect();
    if wanted.is_empty() {
        return (Outcome::NoData, Duration::ZERO);
    }
    let aliases = answers.iter().filter(|record| record.record_type() == RecordType::CNAME);
    let used = || wanted.iter().copied().chain(aliases.clone());
    if used().any(|record| record.proof.is_bogus()) {
        return (Outcome::Bogus, Duration::ZERO);
    }
    let secure = used().all(|record| record.proof.is_secure());
    // With these alone the validator does not ask for the proof that a wildcard may stand for the name
    // (RFC 4035 §5.3.4); next to an answer of a signed zone stands what is signed.
    let authorities = lookup.authorities();
    if secure && !authorities.is_empty() && authorities.iter().all(|record| record.proof.is_insecure()) {
        return (Outcome::Bogus, Duration::ZERO);
    }
    let outcome = Outcome::Found {
        records: wanted.iter().map(|record| record.data.clone()).collect(),
        secure,
        canonical: host_text(canonical),
    };
    let ttl = lookup.valid_until().saturating_duration_since(Instant::now());
    (outcome, ttl.min(LONGEST_TTL))
}

fn wanted<'a>(kind: RecordType, name: &'a Name, answers: &'a [Record]) -> impl Iterator<Item = &'a Record> {
    answers.iter().filter(move |record| record.record_type() == kind && record.name == *name)
}

/// The name to which the aliases in an answer lead; no further than there are records, so that a circle ends.
fn end_of_aliases<'a>(question: &'a Question, answers: &'a [Record]) -> &'a Name {
    let mut name = &question.name;
    if question.kind == RecordType::CNAME {
        return name;
    }
    for _ in answers {
        let alias = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *name => Some(&target.0),
            _ => None,
        });
        let Some(target) = alias else { break };
        name = target;
    }
    name
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
