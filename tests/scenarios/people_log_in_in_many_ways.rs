//! People log in by every mechanism that programs know, and take back what they gave a program.

use std::io::Write as _;
use std::process::{Output, Stdio};

use pipeline_tests::{Options, Pipeline, program};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::WAYPOST;

const ALICE: &str = "alice@example.test";

/// Mechanisms that prove the password without sending it, as GNU SASL names them.
const SCRAM: [&str; 4] = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"];

#[test]
fn gnu_sasl_proves_the_password_to_imap_and_submission() {
    let Some(gsasl) = program("gsasl") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    for mechanism in SCRAM.into_iter().chain(["PLAIN", "LOGIN"]) {
        for (protocol, service, listener) in [("--imap", "mda", "imap"), ("--smtp", "msa", "submission")] {
            let log_in = |password: &str| {
                let port = pipeline.address(service, listener).port();
                let mut command = gsasl.command();
                command.args([protocol, "--starttls", "--mechanism", mechanism]);
                command.args([
                    "--authentication-id",
                    ALICE,
                    "--authorization-id",
                    "",
                    "--password",
                    password,
                ]);
                command.args(["--x509-ca-file", &pipeline.ca(), &format!("--connect=localhost:{port}")]);
                if !mechanism.ends_with("-PLUS") {
                    command.arg("--no-cb");
                }
                command.stdin(Stdio::null()).output().unwrap()
            };
            succeeded(&log_in("secret"), &format!("{mechanism} {protocol}"));
            assert!(!log_in("wrong").status.success(), "{mechanism} {protocol} takes a wrong password");
        }
    }
}

#[test]
fn a_certificate_stands_in_for_the_password() {
    let Some(gsasl) = program("gsasl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let authority = ClientAuthority::new();
    std::fs::write(file("ca.pem"), authority.0.pem()).unwrap();
    for (name, address) in [("alice", ALICE), ("nobody", "nobody@example.test")] {
        let (certificate, key) = authority.issue(address);
        std::fs::write(file(&format!("{name}.pem")), certificate).unwrap();
        std::fs::write(file(&format!("{name}.key")), key).unwrap();
    }
    let environment = vec![
        ("WAYPOST_MDA__CLIENT_CERTIFICATES__CA", file("ca.pem")),
        ("WAYPOST_MSA__CLIENT_CERTIFICATES__CA", file("ca.pem")),
    ];
    let pipeline = Pipeline::start(WAYPOST, &Options { environment, ..Options::default() });
    for (protocol, service, listener) in [("--imap", "mda", "imap"), ("--smtp", "msa", "submission")] {
        let log_in = |name: &str| {
            let port = pipeline.address(service, listener).port();
            let mut command = gsasl.command();
            command.args([protocol, "--starttls", "--mechanism", "EXTERNAL", "--authorization-id", ALICE]);
            command.args(["--x509-ca-file", &pipeline.ca(), &format!("--connect=localhost:{port}")]);
            command.args(["--x509-cert-file", &file(&format!("{name}.pem"))]);
            command.args(["--x509-key-file", &file(&format!("{name}.key"))]);
            command.stdin(Stdio::null()).output().unwrap()
        };
        succeeded(&log_in("alice"), protocol);
        assert!(!log_in("nobody").status.success(), "{protocol} takes the certificate of another");
    }
}

#[test]
fn msmtp_proves_the_password_to_submission() {
    let Some(msmtp) = program("msmtp") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    for mechanism in ["scram-sha-256", "scram-sha-1", "plain", "login"] {
        let port = pipeline.address("msa", "submission").port().to_string();
        let mut command = msmtp.command();
        command.args(["--host=localhost", "--port", &port, "--tls=on", &format!("--auth={mechanism}")]);
        command.args([&format!("--tls-trust-file={}", pipeline.ca()), "--user", ALICE]);
        command.args(["--passwordeval=echo secret", "--from", ALICE, "bob@example.test"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut msmtp = command.spawn().unwrap();
        let message =
            format!("From: {ALICE}\r\nTo: bob@example.test\r\nSubject: {mechanism}\r\n\r\nHello\r\n");
        msmtp.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
        succeeded(&msmtp.wait_with_output().unwrap(), mechanism);
    }
}

/// Who signs people's certificates.
struct ClientAuthority(CertifiedIssuer<'static, KeyPair>);

impl ClientAuthority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate of whom this address is, and its key.
    fn issue(&self, address: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(SanType::Rfc822Name(address.try_into().unwrap()));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

#[test]
fn an_app_password_opens_what_it_was_made_for_until_it_is_revoked() {
    let Some(curl) = program("curl") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let app = |words: &[&str]| pipeline.waypost_ok(&[&["account", "app-password"], words].concat());
    let password = app(&["add", ALICE, "phone", "--for", "imap,smtp"]);
    let opens = |url: String| {
        let mut command = curl.command();
        command.args(["-sS", "--cacert", &pipeline.ca(), "--url", &url]);
        command.args(["--user", &format!("{ALICE}:{}", password.trim())]);
        command.output().unwrap().status.success()
    };
    let imap = || format!("imaps://localhost:{}/INBOX", pipeline.address("mda", "imaps").port());
    let pop3 = || format!("pop3s://localhost:{}/", pipeline.address("mda", "pop3s").port());
    assert!(opens(imap()) && !opens(pop3()));
    let listed = app(&["list", ALICE, "--json"]);
    assert!(listed.contains("\"phone\"") && listed.contains("last_used_at\": \"20"), "{listed}");
    app(&["revoke", ALICE, "phone"]);
    assert!(!opens(imap()));
}

fn succeeded(output: &Output, what: &str) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {out}{err}");
}
