//! What is counted: sessions, by the policy that applied and by what went wrong.

use serde::{Deserialize, Serialize};

/// A policy that applied to a session (RFC 8460 §4.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyUsed {
    /// Which kind.
    #[serde(rename = "policy-type")]
    pub kind: PolicyKind,
    /// The policy as it was found: lines of a policy file, or TLSA records.
    #[serde(rename = "policy-string", default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// The domain that it was found at: for DANE the name of the TLSA records' host (RFC 8460 §1.1).
    #[serde(rename = "policy-domain")]
    pub domain: String,
    /// For MTA-STS: the hosts that it allows.
    #[serde(rename = "mx-host", default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

impl PolicyUsed {
    /// A policy of which nothing else is known.
    pub fn new(kind: PolicyKind, domain: &str) -> Self {
        Self { kind, text: Vec::new(), domain: domain.to_owned(), hosts: Vec::new() }
    }
}

/// `policy-type` (RFC 8460 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyKind {
    /// DANE.
    Tlsa,
    /// MTA-STS.
    Sts,
    /// Neither.
    NoPolicyFound,
}

/// `result-type`: what went wrong (RFC 8460 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultType {
    /// The host does not offer STARTTLS, or did not begin it.
    StarttlsNotSupported,
    /// The certificate is for other names.
    CertificateHostMismatch,
    /// The certificate has expired.
    CertificateExpired,
    /// No trusted authority signed the certificate.
    CertificateNotTrusted,
    /// Anything else.
    ValidationFailure,
    /// None of the TLSA records can be used, or none fits.
    TlsaInvalid,
    /// The answer of DNS did not stand up to DNSSEC.
    DnssecInvalid,
    /// The policy could not be fetched.
    StsPolicyFetchError,
    /// What was fetched is no policy.
    StsPolicyInvalid,
    /// The policy's host could not be authenticated.
    StsWebpkiInvalid,
}

/// One session that did not meet a policy (`failure-details`, RFC 8460 §4.4). Empty fields are not told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// What went wrong.
    pub result_type: ResultType,
    /// The address that the session came from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sending_mta_ip: String,
    /// The host that it went to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub receiving_mx_hostname: String,
    /// That host's address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub receiving_ip: String,
    /// What exactly went wrong, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure_reason_code: String,
}
