use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;

use super::*;

struct Made {
    folder: tempfile::TempDir,
    layout: Layout,
}

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        files::make_folder(&layout.tls(), Access::Private).unwrap();
        let made = Self { folder, layout };
        made.ensure(&["example.test"], now());
        made
    }

    fn ensure(&self, domains: &[&str], now: SystemTime) {
        let domains: Vec<String> = domains.iter().map(|&domain| domain.to_owned()).collect();
        ensure(&self.layout, &domains, now).unwrap();
    }

    fn pem(&self, name: &str) -> String {
        fs::read_to_string(self.layout.certificate(name)).unwrap()
    }

    fn all(&self) -> Vec<String> {
        [AUTHORITY, "msa", "mta", "mda", "operator", PUBLIC].iter().map(|name| self.pem(name)).collect()
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn roots(made: &Made) -> Arc<rustls::RootCertStore> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(made.pem(AUTHORITY).as_bytes()).unwrap()).unwrap();
    Arc::new(roots)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[test]
fn rustls_accepts_each_as_server_under_its_names_and_as_client() {
    let made = Made::new();
    let server = WebPkiServerVerifier::builder_with_provider(roots(&made), provider()).build().unwrap();
    let client = WebPkiClientVerifier::builder_with_provider(roots(&made), provider()).build().unwrap();
    for name in ["msa", "mta", "mda", "operator", PUBLIC] {
        let certificate = CertificateDer::from_pem_slice(made.pem(name).as_bytes()).unwrap();
        for host in ["localhost", "127.0.0.1", "::1", "example.test", "mail.example.test"] {
            let host = ServerName::try_from(host).unwrap();
            server.verify_server_cert(&certificate, &[], &host, &[], UnixTime::now()).unwrap();
        }
        let other = ServerName::try_from("other.test").unwrap();
        assert!(server.verify_server_cert(&certificate, &[], &other, &[], UnixTime::now()).is_err());
        client.verify_client_cert(&certificate, &[], UnixTime::now()).unwrap();
    }
}

#[test]
fn each_role_is_named_by_its_certificate_and_the_public_one_has_none() {
    let made = Made::new();
    for role in ROLES {
        let names = inspect(&made.pem(role), names_of).flatten().unwrap();
        let uris: Vec<_> = names.iter().filter(|name| matches!(name, Name::Uri(_))).collect();
        assert_eq!(uris, [&Name::Uri(format!("urn:waypost:role:{role}"))]);
    }
    let public = inspect(&made.pem(PUBLIC), names_of).flatten().unwrap();
    assert!(!public.iter().any(|name| matches!(name, Name::Uri(_))));
}

#[test]
fn keys_are_private() {
    let made = Made::new();
    for name in [AUTHORITY, "msa", "mta", "mda", "operator", PUBLIC] {
        let mode = fs::metadata(made.layout.key(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(made.folder.path().exists());
}

#[test]
fn a_second_start_changes_nothing() {
    let made = Made::new();
    let before = made.all();
    made.ensure(&["example.test"], now());
    assert_eq!(made.all(), before);
}

#[test]
fn another_domain_renews_all_but_the_authority() {
    let made = Made::new();
    let before = made.all();
    made.ensure(&["example.test", "example.org"], now());
    let after = made.all();
    assert_eq!(after[0], before[0]);
    for (old, new) in before.iter().zip(&after).skip(1) {
        assert_ne!(old, new);
    }
    let names = inspect(&made.pem("msa"), names_of).flatten().unwrap();
    assert!(names.contains(&Name::Dns("mail.example.org".into())));
}

#[test]
fn what_expires_soon_is_renewed() {
    let made = Made::new();
    let before = made.all();
    made.ensure(&["example.test"], now() + LIFETIME - RENEW_BEFORE - DAY);
    assert_eq!(made.all(), before, "a day too early");
    made.ensure(&["example.test"], now() + LIFETIME - RENEW_BEFORE + DAY);
    let after = made.all();
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
}

#[test]
fn an_authority_that_cannot_outlive_what_it_signs_is_renewed_with_all_others() {
    let made = Made::new();
    let before = made.all();
    made.ensure(&["example.test"], now() + AUTHORITY_LIFETIME - LIFETIME);
    for (old, new) in before.iter().zip(&made.all()) {
        assert_ne!(old, new);
    }
}

#[test]
fn a_key_that_does_not_match_is_replaced() {
    let made = Made::new();
    fs::copy(made.layout.key("mta"), made.layout.key("msa")).unwrap();
    let (msa, mta) = (made.pem("msa"), made.pem("mta"));
    made.ensure(&["example.test"], now());
    assert_ne!(made.pem("msa"), msa);
    assert_eq!(made.pem("mta"), mta);
}

#[test]
fn what_another_authority_signed_is_replaced() {
    let made = Made::new();
    let other = Made::new();
    for file in [other.layout.certificate(AUTHORITY), other.layout.key(AUTHORITY)] {
        fs::copy(&file, made.layout.tls().join(file.file_name().unwrap())).unwrap();
    }
    let before = made.pem("operator");
    made.ensure(&["example.test"], now());
    assert_ne!(made.pem("operator"), before);
    let server = WebPkiServerVerifier::builder_with_provider(roots(&other), provider()).build().unwrap();
    let certificate = CertificateDer::from_pem_slice(made.pem("operator").as_bytes()).unwrap();
    let host = ServerName::try_from("localhost").unwrap();
    server.verify_server_cert(&certificate, &[], &host, &[], UnixTime::now()).unwrap();
}

#[test]
fn a_broken_authority_is_an_error_that_says_what_to_do() {
    let made = Made::new();
    fs::write(made.layout.key(AUTHORITY), "rubbish").unwrap();
    let failure = ensure(&made.layout, &[], now()).unwrap_err().to_string();
    assert!(failure.starts_with("cannot use the certificate authority in "), "{failure}");
    assert!(failure.ends_with("(remove that folder to have new certificates made)"), "{failure}");
}
