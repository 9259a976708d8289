//! Logins without a password of ours: `[oauth]` and `[client_certificates]`.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use service::config::HumanDuration;

/// Access tokens, which an authorization server tells the meaning of (RFC 7662). OAUTHBEARER and XOAUTH2 are offered
/// with this section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OAuthConfig {
    /// Where it is asked: an `https` address; `http` for this machine alone.
    pub introspection: String,
    /// By what name it knows this service.
    pub client_id: String,
    /// A file with the secret that belongs to that name.
    pub client_secret_file: PathBuf,
    /// What of its answer is the account's address. Default: `username`.
    pub user_claim: String,
    /// What a token must have been granted for (`scope`), each of them. Without it, and without `audience`, every program
    /// that the server gives tokens to can read the mail of those who granted it anything. Default: nothing.
    pub scopes: Vec<String>,
    /// Whom a token must be meant for (`aud`). Default: anybody.
    pub audience: Option<String>,
    /// How long an answer may take. Default: 5s.
    pub timeout: HumanDuration,
    /// How long a token that was good is taken without asking again. Default: 1m.
    pub remember: HumanDuration,
    /// PEM file with the authorities that its certificate is signed by. Default: those of the web.
    pub ca: Option<PathBuf>,
}

impl Default for OAuthConfig {
    fn default() -> Self {
        Self {
            introspection: String::new(),
            client_id: String::new(),
            client_secret_file: PathBuf::new(),
            user_claim: "username".to_owned(),
            scopes: Vec::new(),
            audience: None,
            timeout: HumanDuration::from_secs(5),
            remember: HumanDuration::from_mins(1),
            ca: None,
        }
    }
}

/// Certificates of clients. EXTERNAL is offered to a client that shows one which is somebody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatesConfig {
    /// PEM file with the authorities that they must be signed by.
    pub ca: PathBuf,
    /// Accounts by the fingerprint (SHA-256) of their certificates. Others are of whose address stands in their
    /// subjectAltName.
    #[serde(default)]
    pub accounts: BTreeMap<String, String>,
}
