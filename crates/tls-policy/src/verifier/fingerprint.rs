//! Certificates known by their digest.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::dane::public_key;

/// The SHA-256 digest of a certificate or of its public key, as `sha256:` and 64 hexadecimal digits (colons between
/// octets are allowed).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; digest::SHA256_OUTPUT_LEN]);

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is sha256: and 64 hexadecimal digits, of a certificate or its public key")]
pub struct FingerprintError;

impl Fingerprint {
    /// The fingerprint with these octets.
    pub fn new(octets: [u8; digest::SHA256_OUTPUT_LEN]) -> Self {
        Self(octets)
    }

    /// Whether it is that of the certificate or of its public key, which outlives renewals.
    pub fn matches(&self, certificate: &CertificateDer<'_>) -> bool {
        let is_ours = |octets: &[u8]| digest::digest(&digest::SHA256, octets).as_ref() == self.0;
        is_ours(certificate) || public_key(certificate).is_some_and(|key| is_ours(&key))
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = text.strip_prefix("sha256:").ok_or(FingerprintError)?.replace(':', "");
        if digits.len() != 2 * digest::SHA256_OUTPUT_LEN
            || !digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        {
            return Err(FingerprintError);
        }
        let mut octets = [0; digest::SHA256_OUTPUT_LEN];
        for (octet, at) in octets.iter_mut().zip((0..).step_by(2)) {
            *octet = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| FingerprintError)?;
        }
        Ok(Self(octets))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}
