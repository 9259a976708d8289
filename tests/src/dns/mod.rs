//! A real DNS server on loopback: unbound, which knows the names under `test.` that a scenario gives it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::{Program, eventually, free_port, program};

/// A running DNS server. Dropping it stops it.
pub struct Dns {
    server: Child,
    address: SocketAddr,
    dir: TempDir,
}

impl Dns {
    /// Serves these records, each as in a zone file: `remote.test. IN MX 10 mx.remote.test.`. Other names under `test.`
    /// do not exist. `None` if there is no unbound here and the scenario may be left out.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(records: &[&str]) -> Option<Self> {
        let unbound = program("unbound")?;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        fs::write(dir.path().join("unbound.conf"), configuration(dir.path(), address, records))
            .expect("a file");
        let server = spawn(&unbound, dir.path());
        let mut dns = Self { server, address, dir };
        eventually("the DNS server", || dns.is_serving().then_some(()));
        Some(dns)
    }

    /// Where it answers, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn is_serving(&mut self) -> bool {
        let log = fs::read_to_string(log_in(self.dir.path())).unwrap_or_default();
        let ended = self.server.try_wait().expect("the server's state");
        assert!(ended.is_none(), "unbound ended: {log}");
        log.contains("start of service")
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        // It keeps nothing.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn spawn(unbound: &Program, dir: &Path) -> Child {
    let log = File::create(log_in(dir)).expect("a log");
    let mut command = unbound.command();
    command.args(["-d", "-p", "-c"]).arg(dir.join("unbound.conf"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("unbound starts")
}

fn log_in(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// `test.` is a static zone: nothing about it is asked of any other server.
fn configuration(dir: &Path, address: SocketAddr, records: &[&str]) -> String {
    let records: Vec<String> = records.iter().map(|record| format!("  local-data: \"{record}\"\n")).collect();
    format!(
        "server:\n  interface: {ip}\n  port: {port}\n  access-control: 127.0.0.0/8 allow\n  so-reuseport: no\n  \
         do-daemonize: no\n  chroot: \"\"\n  username: \"\"\n  directory: \"{dir}\"\n  use-syslog: no\n  logfile: \"\"\n  \
         num-threads: 1\n  module-config: \"iterator\"\n  local-zone: \"test.\" static\n{records}\
         remote-control:\n  control-enable: no\n",
        ip = address.ip(),
        port = address.port(),
        dir = dir.display(),
        records = records.concat(),
    )
}
