//! OpenSMTPD, as Debian builds it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;

use super::jail::{Jail, MAILBOX_OWNER, stop};
use super::{BARE, Mta, PLAIN, Setup, WHOLE, read_maildir, release, root};
use crate::wait::eventually;

/// The users as whom it runs; the names are built in.
const USERS: [u32; 2] = [5002, 5003];

/// A running OpenSMTPD.
pub struct OpenSmtpd {
    jail: Jail,
    daemon: Option<Child>,
}

impl OpenSmtpd {
    /// Starts it. `None` if it is not here, or no right to start it, and the scenario may be left out.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(setup: &Setup<'_>) -> Option<Self> {
        root()?;
        let jail = Jail::new(
            "opensmtpd",
            &[
                ("opensmtpd", USERS[0], "/home/opensmtpd"),
                ("opensmtpq", USERS[1], "/home/opensmtpq"),
                ("user", MAILBOX_OWNER, "/home/user"),
                ("broken", MAILBOX_OWNER, "/home/broken"),
            ],
        )?;
        for folder in ["var/lib/opensmtpd/empty", "var/spool", "var/run"] {
            jail.folder(folder, 0, 0o755);
        }
        // It does not start without somebody to trust, and trusts nobody for mail.
        jail.write("etc/ssl/certs/ca-certificates.crt", setup.certificate.chain());
        jail.write("etc/tls/certificate.pem", setup.certificate.chain());
        jail.write("etc/tls/key.pem", &setup.certificate.key());
        fs::set_permissions(jail.path("etc/tls/key.pem"), Permissions::from_mode(0o600))
            .expect("a private key");
        jail.write("etc/hosts", "127.0.0.1 localhost\n");
        jail.write("etc/resolv.conf", "nameserver 127.0.0.1\n");
        jail.write("etc/mailname", "mx.remote.test\n");
        jail.write("etc/smtpd.conf", &configuration(setup));
        let daemon = jail.spawn("/usr/sbin/smtpd", &["-d", "-v"]);
        let mut opensmtpd = Self { jail, daemon: None };
        let daemon = opensmtpd.daemon.insert(daemon);
        let said = opensmtpd.jail.path("said");
        eventually("OpenSMTPD", || {
            let log = fs::read_to_string(&said).unwrap_or_default();
            let ended = daemon.try_wait().expect("its state");
            assert!(ended.is_none(), "smtpd ended: {log}");
            log.contains("smtp: will accept").then_some(())
        });
        Some(opensmtpd)
    }
}

impl Mta for OpenSmtpd {
    fn version(&self) -> String {
        let output = self.jail.command("/usr/sbin/smtpd", &["-h"]).output().expect("smtpd starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let version = text.split_whitespace().nth(2).unwrap_or_default();
        format!("OpenSMTPD {}", release(version))
    }

    fn mailbox(&self) -> Vec<String> {
        read_maildir(&self.jail.path("home/user/Maildir"))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.jail.path("said")).unwrap_or_default()
    }
}

impl Drop for OpenSmtpd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("== opensmtpd\n{}", self.log());
        }
        if let Some(daemon) = self.daemon.take() {
            stop(daemon);
        }
    }
}

fn configuration(setup: &Setup<'_>) -> String {
    format!(
        r#"pki mx.remote.test cert "/etc/tls/certificate.pem"
pki mx.remote.test key "/etc/tls/key.pem"
smtp max-message-size {size_limit}
listen on {WHOLE} port {port} hostname mx.remote.test tls pki mx.remote.test
listen on {PLAIN} port {port} hostname mx.remote.test
listen on {BARE} port {port} hostname mx.remote.test tls pki mx.remote.test no-dsn
table broken {{ "broken@remote.test" }}
action "fail" mda "exit 67"
action "keep" maildir
action "send" relay host "smtp://{to}" helo mx.remote.test
action "send in clear" relay host "smtp+notls://{to}" helo mx.remote.test
match from any for domain "remote.test" rcpt-to <broken> action "fail"
match from any for domain {{ {domains} }} action "keep"
match from any for domain "example.test" action "send"
match from any for domain "plain.example.test" action "send in clear"
"#,
        domains = setup.domains.iter().map(|domain| format!("\"{domain}\"")).collect::<Vec<_>>().join(", "),
        size_limit = setup.size_limit,
        port = setup.port,
        to = setup.example_test,
    )
}
