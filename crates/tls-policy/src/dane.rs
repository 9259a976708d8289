//! DANE for SMTP (RFC 7672): certificates named by TLSA records (RFC 6698, RFC 7671) in signed DNS.
//!
//! That the records are authentic (DNSSEC) is the caller's to know; see `RFC 7672 §2.2` for which lookups have to be.

use std::fmt;

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

#[cfg(test)]
mod tests;

/// Where the TLSA records of a host's SMTP port stand (RFC 7672 §2.2.3).
pub fn record_name(host: &str, port: u16) -> String {
    format!("_{port}._tcp.{host}")
}

/// One TLSA record as it stands in DNS (RFC 6698 §2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tlsa {
    /// Certificate usage.
    pub usage: u8,
    /// Selector.
    pub selector: u8,
    /// Matching type.
    pub matching: u8,
    /// Certificate association data.
    pub data: Vec<u8>,
}

impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// All TLSA records of one host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsaSet {
    /// As they stand in DNS.
    records: Vec<Tlsa>,
    usable: Vec<Association>,
}

impl TlsaSet {
    /// Sorts out which records can be used (RFC 7672 §3.1, RFC 7671 §9).
    pub fn new(mut records: Vec<Tlsa>) -> Self {
        records.sort_by(|a, b| {
            (a.usage, a.selector, a.matching, &a.data).cmp(&(b.usage, b.selector, b.matching, &b.data))
        });
        let mut usable: Vec<Association> = records.iter().filter_map(Association::new).collect();
        // Digest agility (RFC 7671 §9): where a stronger digest is published, a weaker one says nothing.
        let strong: Vec<_> = usable
            .iter()
            .filter(|record| record.matching == Matching::Sha512)
            .map(Association::kind)
            .collect();
        usable.retain(|record| record.matching != Matching::Sha256 || !strong.contains(&record.kind()));
        Self { records, usable }
    }

    /// Whether a server can be authenticated by it. If not, although there are records, TLS is required but nobody is
    /// authenticated (RFC 7672 §2.2).
    pub fn is_usable(&self) -> bool {
        !self.usable.is_empty()
    }

    /// The records, in an order that does not depend on the resolver's.
    pub fn records(&self) -> &[Tlsa] {
        &self.records
    }

    /// Whether the server's own certificate is named: then its names and dates mean nothing (RFC 7672 §3.1.1).
    pub(crate) fn names_end_entity(&self, certificate: &CertificateDer<'_>) -> bool {
        self.usable.iter().any(|record| record.usage == Usage::EndEntity && record.matches(certificate))
    }

    /// The trust anchors that are named: certificates of the chain, or those that stand whole in a record
    /// (RFC 7671 §5.2).
    pub(crate) fn trust_anchors<'a>(&'a self, chain: &'a [CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
        let anchors = self.usable.iter().filter(|record| record.usage == Usage::TrustAnchor);
        let in_chain =
            |record: &'a Association| chain.iter().filter(|certificate| record.matches(certificate));
        let mut found: Vec<CertificateDer<'a>> = anchors.clone().flat_map(in_chain).cloned().collect();
        let whole = anchors
            .filter(|record| (record.selector, record.matching) == (Selector::Certificate, Matching::Full));
        found.extend(whole.map(|record| CertificateDer::from(record.data.as_slice())));
        found
    }

    /// Whether any record names a trust anchor; then a chain can fail for its names or dates.
    pub(crate) fn has_trust_anchors(&self) -> bool {
        self.usable.iter().any(|record| record.usage == Usage::TrustAnchor)
    }
}

/// A usable record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Association {
    usage: Usage,
    selector: Selector,
    matching: Matching,
    data: Vec<u8>,
}

/// PKIX-TA(0) and PKIX-EE(1) are not for SMTP: there is no list of authorities that all would agree on
/// (RFC 7672 §3.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Usage {
    /// DANE-TA(2).
    TrustAnchor,
    /// DANE-EE(3).
    EndEntity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Selector {
    /// Cert(0).
    Certificate,
    /// SPKI(1).
    PublicKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Matching {
    /// Full(0).
    Full,
    /// SHA2-256(1).
    Sha256,
    /// SHA2-512(2).
    Sha512,
}

impl Association {
    /// `None` if a parameter is unknown, or the data cannot be what the parameters say.
    fn new(record: &Tlsa) -> Option<Self> {
        let usage = match record.usage {
            2 => Usage::TrustAnchor,
            3 => Usage::EndEntity,
            _ => return None,
        };
        let selector = match record.selector {
            0 => Selector::Certificate,
            1 => Selector::PublicKey,
            _ => return None,
        };
        let (matching, fits) = match record.matching {
            0 => (Matching::Full, is_whole(selector, &record.data)),
            1 => (Matching::Sha256, record.data.len() == digest::SHA256_OUTPUT_LEN),
            2 => (Matching::Sha512, record.data.len() == digest::SHA512_OUTPUT_LEN),
            _ => return None,
        };
        fits.then(|| Self { usage, selector, matching, data: record.data.clone() })
    }

    fn kind(&self) -> (Usage, Selector) {
        (self.usage, self.selector)
    }

    fn matches(&self, certificate: &CertificateDer<'_>) -> bool {
        match self.selector {
            Selector::Certificate => self.matches_octets(certificate),
            Selector::PublicKey => public_key(certificate).is_some_and(|key| self.matches_octets(&key)),
        }
    }

    fn matches_octets(&self, octets: &[u8]) -> bool {
        match self.matching {
            Matching::Full => octets == self.data,
            Matching::Sha256 => digest::digest(&digest::SHA256, octets).as_ref() == self.data,
            Matching::Sha512 => digest::digest(&digest::SHA512, octets).as_ref() == self.data,
        }
    }
}

/// Whether data that stands whole in a record is what it should be: a certificate, or a DER sequence that may be a key.
fn is_whole(selector: Selector, data: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    match selector {
        Selector::Certificate => public_key(&CertificateDer::from(data)).is_some(),
        Selector::PublicKey => data.first() == Some(&SEQUENCE),
    }
}

/// The SubjectPublicKeyInfo of a certificate, in DER.
pub(crate) fn public_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(parsed.subject_public_key_info().to_vec())
}
