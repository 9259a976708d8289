//! Another mail system: a Postfix of the scenario's own, which is the MX of `remote.test`.

use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use tempfile::TempDir;

use crate::peer::missing;
use crate::{Program, program};

/// The user whose mailboxes these are: any that is not privileged will do.
const MAILBOX_OWNER: u32 = 5000;

/// A running Postfix. It keeps mail of `user@remote.test`, accepts mail of `broken@remote.test` and then fails to deliver
/// it, knows nobody else there, and sends for everyone on this machine. Dropping it stops it.
pub struct Postfix {
    program: Program,
    port: u16,
    dir: TempDir,
}

impl Postfix {
    /// Starts it on `port` of 127.0.0.1; what it sends to `example.test` goes to `example_test`. `None` if there is no
    /// Postfix here, or no right to start one, and the scenario may be left out.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(port: u16, example_test: SocketAddr) -> Option<Self> {
        let (program, openssl) = (program("postfix")?, program("openssl")?);
        if fs::metadata("/proc/self").is_ok_and(|process| process.uid() != 0) {
            return missing("the right to start postfix (it begins as root)");
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        let postfix = Self { program, port, dir };
        postfix.make_folders();
        certify(&openssl, postfix.path());
        postfix.configure(example_test);
        let started = postfix.control("start");
        assert!(started.success(), "postfix start: {}", postfix.log());
        Some(postfix)
    }

    /// Where it takes mail.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The messages in the mailbox of `user@remote.test`, with LF at the ends of lines as Postfix writes them.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn mailbox(&self) -> Vec<String> {
        // There is no folder before the first message.
        let Ok(new) = fs::read_dir(self.path().join("mail/user/new")) else { return Vec::new() };
        let mut files: Vec<_> = new.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files
            .iter()
            .map(|file| String::from_utf8_lossy(&fs::read(file).expect("a message")).into_owned())
            .collect()
    }

    /// What it has logged, and said when it was started or stopped.
    fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.path().join(name)).unwrap_or_default();
        format!("{}{}", read("said"), read("mail.log"))
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

    fn configure(&self, example_test: SocketAddr) {
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
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
virtual_mailbox_domains = remote.test
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = inline:{{user@remote.test=user/, broken@remote.test=broken/}}
virtual_uid_maps = static:{MAILBOX_OWNER}
virtual_gid_maps = static:{MAILBOX_OWNER}
transport_maps = inline:{{broken@remote.test=broken:, example.test=smtp:[{ip}]:{port}}}
smtp_tls_security_level = may
smtpd_tls_security_level = may
smtpd_tls_chain_files = {dir}/tls.pem
smtpd_tls_received_header = yes
",
            ip = example_test.ip(),
            port = example_test.port(),
        );
        let master = format!("{} inet n - n - - smtpd\n{SERVICES}", self.address());
        fs::write(self.path().join("conf/main.cf"), main).expect("main.cf");
        fs::write(self.path().join("conf/master.cf"), master).expect("master.cf");
    }

    /// Runs `postfix start` or `postfix stop`. Its processes must not inherit our output: whoever reads that would wait
    /// for their end.
    fn control(&self, what: &str) -> ExitStatus {
        let said = File::create(self.path().join("said")).expect("a file");
        let mut command = self.program.command();
        command.arg("-c").arg(self.path().join("conf")).arg(what);
        command.stdin(Stdio::null()).stdout(said.try_clone().expect("a file")).stderr(said);
        command.status().expect("postfix starts")
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

/// The processes that it is made of, less what this use of it does not need. `broken` takes every message to a program
/// that knows no user.
const SERVICES: &str = "\
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
virtual unix - n n - - virtual
broken unix - n n - - pipe user=nobody argv=/bin/sh -c {exit 67}
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

fn user_id(name: &str) -> u32 {
    let output = Command::new("id").args(["-u", name]).output().expect("id starts");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a user's number")
}

/// Makes a key and a certificate that vouches for itself, as most MXs' do.
fn certify(openssl: &Program, dir: &Path) {
    let (key, certificate) = (dir.join("key.pem"), dir.join("certificate.pem"));
    let mut command = openssl.command();
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]);
    command.args(["-subj", "/CN=mx.remote.test", "-keyout"]).arg(&key).arg("-out").arg(&certificate);
    let made = command.output().expect("openssl starts");
    assert!(made.status.success(), "{made:?}");
    let chain = [fs::read(key).expect("a key"), fs::read(certificate).expect("a certificate")].concat();
    fs::write(dir.join("tls.pem"), chain).expect("a chain");
}
