//! Other mail systems, each of the scenario's own.

mod exim;
mod jail;
mod opensmtpd;
mod postfix;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

pub use exim::Exim;
pub use opensmtpd::OpenSmtpd;
pub use postfix::{COMMON_SERVICES, Postfix};

use crate::Certificate;
use crate::peer::missing;

/// Where a peer takes mail with all that it can do.
pub const WHOLE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Where it does not offer STARTTLS.
pub const PLAIN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Where it offers no extension but STARTTLS, if it can be made to.
pub const BARE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Another mail system, which calls itself `mx.remote.test`. It keeps mail of `user` in its domains, and of
/// `gréta@remote.test` where it can; accepts mail of `broken@remote.test` and then fails to deliver it; knows nobody else
/// there; and sends for everyone on this machine. Dropping it stops it.
pub trait Mta {
    /// Its name and its version, as far as that matters.
    fn version(&self) -> String;

    /// All messages that it keeps, with LF at the ends of lines.
    fn mailbox(&self) -> Vec<String>;

    /// What it has logged.
    fn log(&self) -> String;
}

/// How a peer is set up.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// The domains whose mail it keeps.
    pub domains: &'a [&'a str],
    /// The port on which it takes mail, on each of the addresses above.
    pub port: u16,
    /// Where it sends mail for `example.test`, and for `plain.example.test` without TLS.
    pub example_test: SocketAddr,
    /// The largest message that it takes, in octets.
    pub size_limit: usize,
    /// What it shows when TLS begins.
    pub certificate: &'a Certificate,
}

/// The messages in a Maildir, oldest first. There is none before the first message.
fn read_maildir(maildir: &Path) -> Vec<String> {
    let Ok(new) = fs::read_dir(maildir.join("new")) else { return Vec::new() };
    let mut files: Vec<_> = new.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| String::from_utf8_lossy(&fs::read(file).expect("a message")).into_owned())
        .collect()
}

/// `None` without the rights that these systems begin with.
///
/// # Panics
/// If the systems are required here.
pub fn root() -> Option<()> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    is_root.then_some(()).or_else(|| missing("the right to start another mail system (it begins as root)"))
}

/// A version such as `3.7.11` without what only repairs faults.
fn release(version: &str) -> String {
    version.trim().splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}
