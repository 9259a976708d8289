//! Postfix, as Debian builds and installs it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, ExitStatus};

use tempfile::TempDir;

use super::jail::MAILBOX_OWNER;
use super::{BARE, Mta, PLAIN, Setup, WHOLE, read_maildir, release, root};
use crate::{Program, program, run_quietly};

/// A running Postfix.
pub struct Postfix {
    program: Program,
    dir: TempDir,
}

impl Postfix {
    /// Starts it. `None` if there is no Postfix here, or no right to start one, and the scenario may be left out.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(setup: &Setup<'_>) -> Option<Self> {
        let program = program("postfix")?;
        root()?;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let postfix = Self { program, dir };
        postfix.make_folders();
        let tls = [setup.certificate.key(), setup.certificate.chain().to_owned()].concat();
        fs::write(postfix.path().join("tls.pem"), tls).expect("a chain");
        postfix.configure(setup);
        let started = postfix.control("start");
        assert!(started.success(), "postfix start: {}", postfix.log());
        Some(postfix)
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Postfix' processes run as several users, so that the folder has to be open to all.
    fn make_folders(&self) {
        fs::set_permissions(self.path(), Permissions::from_mode(0o755)).expect("an open folder");
        for folder in ["conf", "queue", "data", "mail"] {
            fs::create_dir(self.path().join(folder)).expect("a folder");
        }
        chown(self.path().join("data"), Some(user_id("postfix")), None)
            .expect("a folder of Postfix' own user");
        chown(self.path().join("mail"), Some(MAILBOX_OWNER), Some(MAILBOX_OWNER))
            .expect("a folder for mailboxes");
    }

    fn configure(&self, setup: &Setup<'_>) {
        let dir = self.path().display();
        let main = format!(
            "compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
maillog_file = {dir}/mail.log
maillog_file_prefixes = {dir}
myhostname = mx.remote.test
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = {WHOLE}
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
virtual_mailbox_domains = {domains}
message_size_limit = {size_limit}
virtual_mailbox_limit = 0
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = inline:{{{users},
  gréta@remote.test=user/, broken@remote.test=broken/}}
virtual_uid_maps = static:{MAILBOX_OWNER}
virtual_gid_maps = static:{MAILBOX_OWNER}
transport_maps = inline:{{broken@remote.test=broken:, example.test=smtp:[{ip}]:{port},
  plain.example.test=plain:[{ip}]:{port}}}
smtp_tls_security_level = may
smtpd_tls_security_level = may
smtpd_tls_chain_files = {dir}/tls.pem
smtpd_tls_received_header = yes
",
            domains = setup.domains.join(", "),
            users = setup
                .domains
                .iter()
                .map(|domain| format!("user@{domain}=user/"))
                .collect::<Vec<_>>()
                .join(", "),
            size_limit = setup.size_limit,
            ip = setup.example_test.ip(),
            port = setup.example_test.port(),
        );
        let port = setup.port;
        let master = format!(
            "{WHOLE}:{port} inet n - n - - smtpd
{PLAIN}:{port} inet n - n - - smtpd -o smtpd_tls_security_level=none
{BARE}:{port} inet n - n - - smtpd -o smtpd_discard_ehlo_keywords={DISCARDED}
{SERVICES}{COMMON_SERVICES}"
        );
        fs::write(self.path().join("conf/main.cf"), main).expect("main.cf");
        fs::write(self.path().join("conf/master.cf"), master).expect("master.cf");
    }

    /// Runs `postfix start` or `postfix stop`.
    fn control(&self, what: &str) -> ExitStatus {
        let mut command = self.program.command();
        command.arg("-c").arg(self.path().join("conf")).arg(what);
        run_quietly(&mut command, &self.path().join("said")).expect("postfix starts")
    }
}

impl Mta for Postfix {
    fn version(&self) -> String {
        let postconf = program("postconf").expect("postconf, which comes with postfix");
        let output = postconf.run(&["-dh", "mail_version"]);
        format!("Postfix {}", release(&String::from_utf8_lossy(&output.stdout)))
    }

    fn mailbox(&self) -> Vec<String> {
        read_maildir(&self.path().join("mail/user"))
    }

    /// Also what it said when it was started or stopped.
    fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.path().join(name)).unwrap_or_default();
        format!("{}{}", read("said"), read("mail.log"))
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("== postfix\n{}", self.log());
        }
        self.control("stop");
    }
}

/// The extensions that the bare listener does not offer.
const DISCARDED: &str = "8bitmime,chunking,dsn,enhancedstatuscodes,pipelining,size,smtputf8";

/// The processes (master.cf) that every Postfix needs, whatever it is used for.
pub const COMMON_SERVICES: &str = "\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

/// Those of this use of it. `broken` takes every message to a program that knows no user.
const SERVICES: &str = "\
plain unix - - n - - smtp -o smtp_tls_security_level=none
virtual unix - n n - - virtual
broken unix - n n - - pipe user=nobody argv=/bin/sh -c {exit 67}
";

fn user_id(name: &str) -> u32 {
    let output = Command::new("id").args(["-u", name]).output().expect("id starts");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a user's number")
}
