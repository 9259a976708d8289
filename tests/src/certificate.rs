//! Certificates for the servers that a scenario starts, and the records that vouch for them.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one, whom nobody trusts yet.
    ///
    /// # Panics
    /// If it cannot be made.
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority of the scenario's");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// What is to be trusted, as PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names.
    ///
    /// # Panics
    /// If one is not a host name.
    pub fn issue(&self, names: &[&str]) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let chain = params_for(names).signed_by(&key, &self.0).expect("a certificate").pem();
        Certificate { chain, key }
    }
}

/// A server's certificate and its key.
pub struct Certificate {
    chain: String,
    key: KeyPair,
}

impl Certificate {
    /// One that vouches for itself, as most MXs' do.
    ///
    /// # Panics
    /// If a name is not a host's.
    pub fn self_signed(names: &[&str]) -> Self {
        let key = KeyPair::generate().expect("a key");
        let chain = params_for(names).self_signed(&key).expect("a certificate").pem();
        Self { chain, key }
    }

    /// The certificate as PEM.
    pub fn chain(&self) -> &str {
        &self.chain
    }

    /// The key as PEM.
    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }

    /// The data of a TLSA record that vouches for the key: DANE-EE, its public key, SHA-256 (RFC 7672 §3.1.1).
    pub fn tlsa(&self) -> String {
        let mut text = "3 1 1 ".to_owned();
        for octet in digest(&SHA256, &self.key.subject_public_key_info()).as_ref() {
            let _ = write!(text, "{octet:02x}");
        }
        text
    }
}

fn params_for(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).expect("host names")
}
