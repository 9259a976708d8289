//! `[sasl]`: in which ways clients may say who they are.

use sasl::Mechanism;
use serde::{Deserialize, Serialize};
use service::listen::Network;

/// In which ways clients may say who they are, on IMAP, POP3 and submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SaslConfig {
    /// What is offered, under TLS (see `plaintext_auth`), and as far as it can work: SCRAM once some account has keys
    /// for it, OAUTHBEARER and XOAUTH2 with `[oauth]`, EXTERNAL to clients with a certificate. Default: all.
    pub mechanisms: Vec<MechanismName>,
    /// What clients of certain networks are offered instead: programs exist that choose a mechanism which they cannot.
    pub exceptions: Vec<Exception>,
}

impl Default for SaslConfig {
    fn default() -> Self {
        Self { mechanisms: Mechanism::ALL.map(MechanismName).to_vec(), exceptions: Vec::new() }
    }
}

/// What clients of certain networks are offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Whom it concerns: the first exception that names a client's network counts.
    pub networks: Vec<Network>,
    /// What they are offered.
    pub mechanisms: Vec<MechanismName>,
}

/// A mechanism by its name, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MechanismName(pub Mechanism);

impl From<MechanismName> for String {
    fn from(MechanismName(mechanism): MechanismName) -> Self {
        mechanism.name().to_owned()
    }
}

impl TryFrom<String> for MechanismName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let known = || Mechanism::ALL.map(Mechanism::name).join(", ");
        Mechanism::parse(&name).map(Self).ok_or_else(|| format!("`{name}` is none of {}", known()))
    }
}
