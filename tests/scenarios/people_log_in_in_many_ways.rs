//! People log in by every mechanism that programs know, and take back what they gave a program.

use std::process::{Output, Stdio};

use pipeline_tests::{Options, Pipeline, program};

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
