//! A real DNS server on loopback: unbound, which knows the names that a scenario gives it.

mod zone;

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tempfile::TempDir;

pub use self::zone::Zone;
use self::zone::{Signer, Tree};
use crate::{Program, eventually, free_port, program};

/// A running DNS server. Dropping it stops it.
pub struct Dns {
    server: Child,
    address: SocketAddr,
    dir: TempDir,
    trust_anchor: Option<PathBuf>,
}

impl Dns {
    /// Serves these records, each as in a zone file: `remote.test. IN MX 10 mx.remote.test.`. Other names under `test.`
    /// do not exist. `None` if there is no unbound here and the scenario may be left out.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(records: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let records: Vec<String> =
            records.iter().map(|record| format!("  local-data: \"{record}\"\n")).collect();
        Self::serve(dir, &format!("  local-zone: \"test.\" static\n{}", records.concat()), None)
    }

    /// Serves these zones with their signatures, under a root of its own. It checks no signature itself: whoever asks
    /// has to, with [`Dns::trust_anchor`]. `None` if a program is missing here and the scenario may be left out.
    ///
    /// # Panics
    /// If the zones cannot be signed, or it does not start.
    pub fn with_zones(zones: &[Zone]) -> Option<Self> {
        let signer = Signer::find()?;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let Tree { zones, trust_anchor } = signer.plant(zones, dir.path());
        let zone = |(name, file): (String, PathBuf)| {
            format!(
                "auth-zone:\n  name: \"{name}\"\n  zonefile: \"{}\"\n  for-downstream: no\n  for-upstream: yes\n  \
                 fallback-enabled: no\n",
                file.display()
            )
        };
        let zones: Vec<String> = zones.into_iter().map(zone).collect();
        let served = format!("  local-zone: \"test.\" nodefault\n{}", zones.concat());
        Self::serve(dir, &served, Some(trust_anchor))
    }

    /// Where it answers, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A file with the public key of the root.
    ///
    /// # Panics
    /// If it serves no zones of ours.
    pub fn trust_anchor(&self) -> &Path {
        self.trust_anchor.as_deref().expect("signed zones")
    }

    fn serve(dir: TempDir, served: &str, trust_anchor: Option<PathBuf>) -> Option<Self> {
        let unbound = program("unbound")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        fs::write(dir.path().join("unbound.conf"), configuration(dir.path(), address, served))
            .expect("a file");
        let server = spawn(&unbound, dir.path());
        let mut dns = Self { server, address, dir, trust_anchor };
        eventually("the DNS server", || dns.is_serving().then_some(()));
        Some(dns)
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

/// Nothing that is served is asked of any other server.
fn configuration(dir: &Path, address: SocketAddr, served: &str) -> String {
    format!(
        "remote-control:\n  control-enable: no\nserver:\n  interface: {ip}\n  port: {port}\n  \
         access-control: 127.0.0.0/8 allow\n  so-reuseport: no\n  do-daemonize: no\n  chroot: \"\"\n  username: \"\"\n  \
         directory: \"{dir}\"\n  use-syslog: no\n  logfile: \"\"\n  num-threads: 1\n  module-config: \"iterator\"\n\
         {served}",
        ip = address.ip(),
        port = address.port(),
        dir = dir.display(),
    )
}
