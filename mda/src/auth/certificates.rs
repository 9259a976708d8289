//! Whom a client's certificate is of.

use std::collections::BTreeMap;

use service::tls::ClientCertificate;

use super::fold;

/// What an operator says of certificates; the rest they say themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Certificates {
    /// Accounts by the fingerprint of their certificates.
    accounts: BTreeMap<String, String>,
}

impl Certificates {
    pub(super) fn new(accounts: &BTreeMap<String, String>) -> Self {
        let entry = |(fingerprint, account): (&String, &String)| (plain(fingerprint), fold(account));
        Self { accounts: accounts.iter().map(entry).collect() }
    }

    /// The names of accounts that a certificate may be of, in the form that addresses are compared in. What the
    /// operator says goes before what stands in it.
    pub(super) fn names(&self, certificate: &ClientCertificate) -> Vec<String> {
        match self.accounts.get(&plain(&certificate.fingerprint)) {
            Some(account) => vec![account.clone()],
            None => certificate.emails.iter().map(|address| fold(address)).collect(),
        }
    }
}

/// A fingerprint as every program writes it in its own way: in capitals, parted by colons.
fn plain(fingerprint: &str) -> String {
    fingerprint.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether this can be SHA-256.
pub(crate) fn is_fingerprint(text: &str) -> bool {
    let plain = plain(text);
    plain.len() == 64 && plain.bytes().all(|octet| octet.is_ascii_hexdigit())
}
