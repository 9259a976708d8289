//! Postfix, as Debian builds it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use pipeline_tests::mta::COMMON_SERVICES;
use pipeline_tests::{free_port, run_quietly};

use super::certificate::Files;
use super::daemon::{Daemon, end_of};
use super::dovecot::Dovecot;
use super::files::{make_folder, write};
use super::required;
use crate::cost::Group;

/// A running Postfix. Dropping it stops it.
pub(crate) struct Postfix {
    daemon: Daemon,
    pub(super) smtp: SocketAddr,
    pub(super) submissions: SocketAddr,
    /// What was read of its log.
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    octets: u64,
    delivered: u64,
}

impl Postfix {
    /// Starts it in front of Dovecot.
    pub(super) fn start(
        dir: &Path,
        dovecot: &Dovecot,
        certificate: &Files,
        accounts: &[String],
        sink: SocketAddr,
        group: &mut Group,
    ) -> anyhow::Result<Self> {
        let (program, postmap) = (required("postfix")?, required("postmap")?);
        for folder in [dir, &dir.join("conf"), &dir.join("queue"), &dir.join("data")] {
            make_folder(folder)?;
        }
        let owned = Command::new("chown").arg("postfix").arg(dir.join("data")).status();
        ensure!(owned.is_ok_and(|status| status.success()), "cannot give Postfix its folder");
        let conf = dir.join("conf");
        let users: String = accounts.iter().flat_map(|address| [address, " OK\n"]).collect();
        write(&conf.join("users"), &users)?;
        let [smtp, submissions] = [(); 2].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
        write(&conf.join("main.cf"), &main_cf(dir, dovecot, certificate, sink))?;
        write(&conf.join("master.cf"), &master_cf(smtp, submissions, dovecot))?;
        let said = dir.join("said");
        let mut map = postmap.command();
        map.arg("-c").arg(&conf).arg(format!("hash:{}/users", conf.display()));
        let mapped = run_quietly(&mut map, &said).context("cannot start postmap")?;
        ensure!(mapped.success(), "postmap fails: {}", end_of(&said));

        let mut stop = program.command();
        stop.arg("-c").arg(&conf).arg("stop");
        let daemon = Daemon {
            name: "postfix",
            said,
            log: dir.join("mail.log"),
            pid_file: dir.join("queue/pid/master.pid"),
            stop,
        };
        let mut start = group.command(daemon.name, &program.command())?;
        start.arg("-c").arg(&conf).arg("start");
        let daemon = daemon.start(&mut start, &[smtp, submissions], group)?;
        Ok(Self { daemon, smtp, submissions, read: Mutex::default() })
    }

    /// Messages that Dovecot has taken by what the log says, read on from where it was read before.
    pub(super) fn delivered(&self) -> anyhow::Result<u64> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let log = &self.daemon.log;
        let mut log = File::open(log).with_context(|| format!("cannot read {}", log.display()))?;
        log.seek(SeekFrom::Start(read.octets))?;
        let (mut log, mut line) = (BufReader::new(log), String::new());
        loop {
            line.clear();
            let length = log.read_line(&mut line)?;
            // What is not a whole line yet is read the next time.
            if !line.ends_with('\n') {
                return Ok(read.delivered);
            }
            read.octets += length as u64;
            read.delivered += u64::from(tells_of_delivery(&line));
        }
    }
}

fn tells_of_delivery(line: &str) -> bool {
    line.contains("postfix/lmtp[") && line.contains(" status=sent ")
}

/// Durable as ever: a message is synced in the queue before its 250. Beside that: no pause of arriving mail while
/// deliveries lag behind, no limits for clients, more deliveries at a time, fewer forks.
fn main_cf(dir: &Path, dovecot: &Dovecot, certificate: &Files, sink: SocketAddr) -> String {
    format!(
        "compatibility_level = 3.7
queue_directory = {dir}/queue
data_directory = {dir}/data
maillog_file = {dir}/mail.log
maillog_file_prefixes = {dir}
myhostname = mx.example.test
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.test
virtual_mailbox_maps = hash:{dir}/conf/users
virtual_transport = lmtp:unix:{lmtp}
transport_maps = inline:{{relay.test=smtp:[{sink_ip}]:{sink_port}}}
recipient_delimiter = +
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
message_size_limit = 51200000
virtual_mailbox_limit = 0
mailbox_size_limit = 0
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 200
max_use = 1000
initial_destination_concurrency = 20
lmtp_destination_concurrency_limit = 20
smtp_destination_concurrency_limit = 50
",
        dir = dir.display(),
        lmtp = dovecot.lmtp().display(),
        sink_ip = sink.ip(),
        sink_port = sink.port(),
        chain = certificate.chain.display(),
        key = certificate.key.display(),
    )
}

/// Without what this use of it does not need. As many processes take mail as clients come at most.
fn master_cf(smtp: SocketAddr, submissions: SocketAddr, dovecot: &Dovecot) -> String {
    format!(
        "{smtp} inet n - n - 1100 smtpd
{submissions} inet n - n - 1100 smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path={auth}
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
{SERVICES}{COMMON_SERVICES}",
        auth = dovecot.auth().display(),
    )
}

/// Those of this use of it, beside the ones that every Postfix needs.
const SERVICES: &str = "\
proxywrite unix - - n - 1 proxymap
relay unix - - n - - smtp
discard unix - - n - - discard
lmtp unix - - n - - lmtp
pickup unix n - n 60 1 pickup
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lmtp_has_delivered_counts() {
        let lines = [
            (
                "Nov 28 08:00:00 mx postfix/lmtp[1]: A: to=<u@example.test>, dsn=2.0.0, status=sent (250 ok)",
                true,
            ),
            (
                "Nov 28 08:00:00 mx postfix/smtp[1]: A: to=<u@relay.test>, dsn=2.0.0, status=sent (250 ok)",
                false,
            ),
            (
                "Nov 28 08:00:00 mx postfix/lmtp[1]: A: to=<u@example.test>, dsn=4.3.0, status=deferred (no)",
                false,
            ),
        ];
        for (line, delivers) in lines {
            assert_eq!(tells_of_delivery(line), delivers, "{line}");
        }
    }
}
