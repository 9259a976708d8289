//! Dovecot, as Debian builds it: mailboxes, IMAP and POP3; Postfix hands it mail by LMTP.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use pipeline_tests::free_port;

use super::certificate::Files;
use super::daemon::Daemon;
use super::files::{make_folder, write};
use super::{PASSWORD, required};
use crate::cost::Group;

/// Who owns the mailboxes; no user of the machine has to have this number.
const OWNER: u32 = 5000;

/// A running Dovecot. Dropping it stops it.
pub(crate) struct Dovecot {
    _daemon: Daemon,
    dir: PathBuf,
    pub(super) imap: SocketAddr,
    pub(super) imaps: SocketAddr,
    pub(super) pop3: SocketAddr,
}

impl Dovecot {
    /// Starts it.
    pub(super) fn start(
        dir: &Path,
        store: Store,
        certificate: &Files,
        accounts: &[String],
        group: &mut Group,
    ) -> anyhow::Result<Self> {
        let (dovecot, doveadm) = (required("dovecot")?, required("doveadm")?);
        for folder in [dir, &dir.join("run")] {
            make_folder(folder)?;
        }
        let mail = dir.join("mail");
        make_folder(&mail)?;
        chown(&mail, Some(OWNER), Some(OWNER)).context("cannot give the mailboxes to their owner")?;
        let users = accounts.iter().fold(String::new(), |mut users, address| {
            let _ = writeln!(users, "{address}:{{PLAIN}}{PASSWORD}::::::");
            users
        });
        write(&dir.join("users"), &users)?;
        let [imap, imaps, pop3] = [(); 3].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
        let configuration = dir.join("dovecot.conf");
        write(&configuration, &text(dir, store, certificate, [imap, imaps, pop3]))?;

        let mut stop = doveadm.command();
        stop.arg("-c").arg(&configuration).arg("stop");
        let daemon = Daemon {
            name: "dovecot",
            said: dir.join("said"),
            log: dir.join("dovecot.log"),
            pid_file: dir.join("run/master.pid"),
            stop,
        };
        let mut start = group.command(daemon.name, &dovecot.command())?;
        start.arg("-c").arg(&configuration);
        let daemon = daemon.start(&mut start, &[imap, pop3], group)?;
        Ok(Self { _daemon: daemon, dir: dir.to_owned(), imap, imaps, pop3 })
    }

    /// Where mail is handed over.
    pub(super) fn lmtp(&self) -> PathBuf {
        self.dir.join("run/lmtp")
    }

    /// Where passwords are checked.
    pub(super) fn auth(&self) -> PathBuf {
        self.dir.join("run/auth-postfix")
    }

    /// Where the mailboxes are.
    pub(super) fn mail(&self) -> PathBuf {
        self.dir.join("mail")
    }
}

/// How it keeps mail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store {
    /// The format of mailboxes.
    pub(super) format: &'static str,
    /// Its `mail_fsync`: `optimized`, as it is by itself, syncs messages before LMTP and APPEND answer; `always` syncs all
    /// that changes.
    pub(super) fsync: &'static str,
}

/// Its configuration, with Debian's defaults but for what is said here.
fn text(dir: &Path, store: Store, certificate: &Files, doors: [SocketAddr; 3]) -> String {
    let [imap, imaps, pop3] = doors.map(|door| door.port());
    let (chain, key) = (certificate.chain.display(), certificate.key.display());
    let dir = dir.display();
    let Store { format, fsync } = store;
    format!(
        "protocols = imap pop3 lmtp
base_dir = {dir}/run
state_dir = {dir}/run
log_path = {dir}/dovecot.log
listen = 127.0.0.1
ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain login
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {dir}/users
}}
userdb {{
  driver = static
  args = uid={OWNER} gid={OWNER} home={dir}/mail/%n allow_all_users=no
}}
first_valid_uid = {OWNER}
mail_location = {format}:~/{format}
mail_fsync = {fsync}
namespace inbox {{
  inbox = yes
}}
recipient_delimiter = +
# Throughput: as many clients as come, and processes that are used again in place of one for each connection.
mail_max_userip_connections = 100000
default_client_limit = 20000
default_process_limit = 5000
service imap-login {{
  service_count = 0
  process_min_avail = 2
  process_limit = 2
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  service_count = 0
  process_min_avail = 2
  process_limit = 2
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service imap {{
  service_count = 200
  process_limit = 4096
}}
service pop3 {{
  service_count = 200
  process_limit = 4096
}}
service lmtp {{
  process_min_avail = 4
  unix_listener lmtp {{
    mode = 0600
    user = postfix
  }}
}}
service auth {{
  unix_listener auth-postfix {{
    mode = 0660
    user = postfix
  }}
}}
"
    )
}
