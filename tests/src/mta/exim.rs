//! Exim, as Debian builds it.

use std::fs;
use std::process::Child;

use super::jail::{Jail, MAILBOX_OWNER, stop};
use super::{BARE, Mta, PLAIN, Setup, WHOLE, read_maildir, release, root};
use crate::wait::eventually;

/// The user as whom it runs; the name is built in.
const USER: u32 = 5001;

/// A running Exim.
pub struct Exim {
    jail: Jail,
    daemon: Option<Child>,
}

impl Exim {
    /// Starts it. `None` if it is not here, or no right to start it, and the scenario may be left out.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(setup: &Setup<'_>) -> Option<Self> {
        root()?;
        let users =
            [("Debian-exim", USER, "/var/spool/exim4"), ("mailboxes", MAILBOX_OWNER, "/home/mailboxes")];
        let jail = Jail::new("exim", &users)?;
        jail.folder("var/log/exim4", USER, 0o755);
        jail.folder("home/mail", USER, 0o755);
        jail.write("etc/tls/certificate.pem", setup.certificate.chain());
        jail.write("etc/tls/key.pem", &setup.certificate.key());
        jail.write("etc/exim4/exim4.conf", &configuration(setup));
        let daemon = jail.spawn("/usr/sbin/exim4", &["-bdf", "-q2s"]);
        let mut exim = Self { jail, daemon: None };
        let daemon = exim.daemon.insert(daemon);
        let said = exim.jail.path("said");
        let log = exim.jail.path("var/log/exim4/main");
        eventually("Exim", || {
            let ended = daemon.try_wait().expect("its state");
            assert!(ended.is_none(), "exim ended: {}", fs::read_to_string(&said).unwrap_or_default());
            fs::read_to_string(&log).is_ok_and(|log| log.contains("listening for SMTP")).then_some(())
        });
        Some(exim)
    }
}

impl Mta for Exim {
    fn version(&self) -> String {
        let output = self.jail.command("/usr/sbin/exim4", &["-bV"]).output().expect("exim starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().nth(2).unwrap_or_default();
        format!("Exim {}", release(version))
    }

    fn mailbox(&self) -> Vec<String> {
        read_maildir(&self.jail.path("home/mail/Maildir"))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.jail.path("var/log/exim4/main")).unwrap_or_default()
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("== exim\n{}", self.log());
        }
        if let Some(daemon) = self.daemon.take() {
            stop(daemon);
        }
    }
}

/// It delivers as its own user, so that it need not be root once it listens. 8BITMIME it offers everywhere or nowhere.
fn configuration(setup: &Setup<'_>) -> String {
    let unless_bare = format!("${{if eq{{$received_ip_address}}{{{BARE}}}{{}}{{*}}}}");
    format!(
        r#"primary_hostname = mx.remote.test
exim_path = /usr/sbin/exim4
deliver_drop_privilege
keep_environment =
log_file_path = /var/log/exim4/%s
log_selector = +all
domainlist local_domains = {domains}
daemon_smtp_ports = {port}
local_interfaces = {WHOLE} : {PLAIN} : {BARE}
rfc1413_hosts =
message_size_limit = {size_limit}
tls_advertise_hosts = ${{if eq{{$received_ip_address}}{{{PLAIN}}}{{}}{{*}}}}
tls_certificate = /etc/tls/certificate.pem
tls_privatekey = /etc/tls/key.pem
dsn_advertise_hosts = {unless_bare}
smtputf8_advertise_hosts = {unless_bare}
chunking_advertise_hosts = {unless_bare}
pipelining_advertise_hosts = {unless_bare}
acl_smtp_rcpt = check_rcpt

begin acl
check_rcpt:
  require hosts = 127.0.0.0/8
  require verify = recipient
  accept

begin routers
example_test:
  driver = manualroute
  domains = example.test
  route_list = * {ip}
  self = send
  transport = smtp
plain_example_test:
  driver = manualroute
  domains = plain.example.test
  route_list = * {ip}
  self = send
  transport = smtp_in_clear
broken:
  driver = accept
  domains = +local_domains
  local_parts = broken
  transport = broken
mailbox:
  driver = accept
  domains = +local_domains
  local_parts = user : gréta
  transport = mailbox

begin transports
smtp:
  driver = smtp
  port = {out}
smtp_in_clear:
  driver = smtp
  port = {out}
  hosts_avoid_tls = *
mailbox:
  driver = appendfile
  directory = /home/mail/Maildir
  maildir_format
  return_path_add
  user = Debian-exim
broken:
  driver = pipe
  command = /bin/sh -c "exit 67"
  user = Debian-exim

begin retry
* * F,1m,1s
"#,
        domains = setup.domains.join(" : "),
        port = setup.port,
        size_limit = setup.size_limit,
        ip = setup.example_test.ip(),
        out = setup.example_test.port(),
    )
}
