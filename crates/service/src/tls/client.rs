//! What certificates say to SASL: whom a client's is of, and by which hash of ours a channel is bound.

use std::fmt::Write as _;

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// Names in a certificate that are looked at, at most.
const MAX_EMAILS: usize = 32;

/// Whom a client's certificate is of; the certificate has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    pub fingerprint: String,
    /// The addresses in its subjectAltName (`rfc822Name`, RFC 5280 §4.2.1.6).
    pub emails: Vec<String>,
}

impl ClientCertificate {
    /// Reads a certificate that was verified in a handshake.
    pub fn read(certificate: &CertificateDer<'_>) -> Self {
        let mut fingerprint = String::with_capacity(64);
        for octet in digest::digest(&SHA256, certificate).as_ref() {
            // Writing to a string cannot fail.
            let _ = write!(fingerprint, "{octet:02x}");
        }
        Self { fingerprint, emails: emails(certificate).unwrap_or_default() }
    }
}

fn emails(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let emails = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::RFC822Name(address) => Some((*address).to_owned()),
        _ => None,
    });
    Some(emails.take(MAX_EMAILS).collect())
}

/// The hash of a certificate by the hash function of its signature; SHA-256 in place of MD5 and SHA-1 (RFC 5929 §4.1).
/// None where the signature has no hash function of its own, as Ed25519's.
pub(super) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    const RSA_SHA_384: &str = "1.2.840.113549.1.1.12";
    const RSA_SHA_512: &str = "1.2.840.113549.1.1.13";
    const ECDSA_SHA_384: &str = "1.2.840.10045.4.3.3";
    const ECDSA_SHA_512: &str = "1.2.840.10045.4.3.4";
    const SHA_384: &str = "2.16.840.1.101.3.4.2.2";
    const SHA_512: &str = "2.16.840.1.101.3.4.2.3";
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = match SignatureAlgorithm::try_from(&parsed.signature_algorithm).ok()? {
        SignatureAlgorithm::RSASSA_PSS(parameters) => parameters.hash_algorithm_oid().to_id_string(),
        SignatureAlgorithm::ED25519 => return None,
        _ => parsed.signature_algorithm.algorithm.to_id_string(),
    };
    let hash = match algorithm.as_str() {
        RSA_SHA_384 | ECDSA_SHA_384 | SHA_384 => &SHA384,
        RSA_SHA_512 | ECDSA_SHA_512 | SHA_512 => &SHA512,
        _ => &SHA256,
    };
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType,
    };

    use super::*;

    #[test]
    fn the_hash_is_that_of_the_signature() {
        let end_point = |algorithm| {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = CertificateParams::new(["mail.example.test".to_owned()]).unwrap();
            let certificate = certificate.self_signed(&key).unwrap();
            (end_point(certificate.der()), certificate.der().to_vec())
        };
        let (hash, certificate) = end_point(&PKCS_ECDSA_P256_SHA256);
        assert_eq!(hash.unwrap(), digest::digest(&SHA256, &certificate).as_ref());
        let (hash, certificate) = end_point(&PKCS_ECDSA_P384_SHA384);
        assert_eq!(hash.unwrap(), digest::digest(&SHA384, &certificate).as_ref());
        assert_eq!(end_point(&PKCS_ED25519).0, None);
    }

    #[test]
    fn addresses_are_read_and_other_names_are_not() {
        let mut params = CertificateParams::new(["client.example.test".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::Rfc822Name("alice@example.test".try_into().unwrap()));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let read = ClientCertificate::read(certificate.der());
        assert_eq!(read.emails, ["alice@example.test"]);
        assert_eq!(read.fingerprint.len(), 64);
    }
}
