//! Who a peer is: the role that its certificate names.

use std::{fmt, str::FromStr};

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::{FromDer, ParsedExtension},
};

const URI_PREFIX: &str = "urn:waypost:role:";

/// What a peer is to this pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes mail from people and programs.
    Msa,
    /// Queues and routes it.
    Mta,
    /// Keeps it.
    Mda,
    /// A person or program that runs the pipeline.
    Operator,
}

/// A text that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: expected msa, mta, mda or operator")]
pub struct UnknownRole(String);

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Msa, Self::Mta, Self::Mda, Self::Operator];

    /// Its name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Msa => "msa",
            Self::Mta => "mta",
            Self::Mda => "mda",
            Self::Operator => "operator",
        }
    }

    /// The URI that stands in the certificate's subject alternative names.
    pub fn uri(self) -> String {
        format!("{URI_PREFIX}{self}")
    }

    /// The role that a certificate names: exactly one URI of ours, else none.
    ///
    /// The caller has verified the certificate's signature: this only reads it.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let mut named = certificate
            .extensions()
            .iter()
            .filter_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
                _ => None,
            })
            .flatten()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => uri.strip_prefix(URI_PREFIX),
                _ => None,
            });
        // Two roles in one certificate would make it more than either: refused.
        match (named.next(), named.next()) {
            (Some(role), None) => role.parse().ok(),
            _ => None,
        }
    }
}

/// The subject of a certificate, for logs.
pub(crate) fn subject(certificate: &CertificateDer<'_>) -> String {
    X509Certificate::from_der(certificate)
        .map(|(_, certificate)| certificate.subject().to_string())
        .unwrap_or_default()
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}
