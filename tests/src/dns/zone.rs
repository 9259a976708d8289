//! Zones as a DNS server reads them, signed or not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::{Program, program};

/// A zone below the root: its records, and whether they can be trusted.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    records: Vec<String>,
    signed: bool,
    forgeries: Vec<(String, String)>,
}

impl Zone {
    /// A zone with a chain of trust from the root. Its name has no final dot; a record is as in a zone file, with
    /// absolute names: `mx.remote.test. IN A 127.0.0.1`.
    pub fn signed(name: &str, records: &[String]) -> Self {
        Self { name: name.to_owned(), records: records.to_vec(), signed: true, forgeries: Vec::new() }
    }

    /// A zone that the root knows to be unsigned.
    pub fn unsigned(name: &str, records: &[String]) -> Self {
        Self { signed: false, ..Self::signed(name, records) }
    }

    /// Replaces text of the zone after it was signed, so that signatures over it no longer hold.
    #[must_use]
    pub fn forged(mut self, signed: &str, forged: &str) -> Self {
        self.forgeries.push((signed.to_owned(), forged.to_owned()));
        self
    }
}

/// The tools that sign.
pub(super) struct Signer {
    keygen: Program,
    signzone: Program,
}

/// Zone files, and the key of the root.
pub(super) struct Tree {
    /// Name and file of each zone, the root among them.
    pub(super) zones: Vec<(String, PathBuf)>,
    /// The root's public key, as a record.
    pub(super) trust_anchor: PathBuf,
}

impl Signer {
    /// `None` if they are not here and the scenario may be left out.
    pub(super) fn find() -> Option<Self> {
        Some(Self { keygen: program("dnssec-keygen")?, signzone: program("dnssec-signzone")? })
    }

    /// Writes the zones, and a root above them that vouches for those which are signed.
    pub(super) fn plant(&self, zones: &[Zone], dir: &Path) -> Tree {
        let mut files = Vec::new();
        let mut root = Vec::new();
        for zone in zones {
            let Zone { name, records, signed, forgeries } = zone;
            let (file, delegation) = self.write(dir, name, records, *signed);
            root.extend([format!("{name}. IN NS ns.{name}."), format!("ns.{name}. IN A 127.0.0.1")]);
            root.extend(delegation);
            forge(&file, forgeries);
            files.push((format!("{name}."), file));
        }
        let (file, _) = self.write(dir, "", &root, true);
        files.push((".".to_owned(), file));
        Tree { zones: files, trust_anchor: dir.join("trust-anchor") }
    }

    /// Writes a zone and signs it; gives its file and the records that its parent vouches for it with.
    fn write(&self, dir: &Path, name: &str, records: &[String], signed: bool) -> (PathBuf, Vec<String>) {
        let label = if name.is_empty() { "root" } else { name };
        let file = dir.join(format!("{label}.zone"));
        let dot = if name.is_empty() { "" } else { "." };
        let apex = format!(
            "$TTL 60\n{name}. IN SOA ns{dot}{name}. hostmaster{dot}{name}. 1 3600 600 86400 60\n\
             {name}. IN NS ns{dot}{name}.\nns{dot}{name}. IN A 127.0.0.1\n"
        );
        fs::write(&file, format!("{apex}{}\n", records.join("\n"))).expect("a zone file");
        if !signed {
            return (file, Vec::new());
        }
        let key = self.make_key(dir, name);
        if name.is_empty() {
            fs::copy(&key, dir.join("trust-anchor")).expect("a trust anchor");
        }
        let signed = dir.join(format!("{label}.signed"));
        let mut command = self.signzone.command();
        command.current_dir(dir).args(["-q", "-z", "-S", "-x", "-o", &format!("{name}.")]);
        let output = command.arg("-f").arg(&signed).arg(&file).output().expect("dnssec-signzone starts");
        assert!(output.status.success(), "{output:?}");
        let delegation = fs::read_to_string(dir.join(format!("dsset-{name}."))).expect("DS records");
        (signed, delegation.lines().map(str::to_owned).collect())
    }

    /// Makes a key that signs the whole zone.
    fn make_key(&self, dir: &Path, name: &str) -> PathBuf {
        let mut command = self.keygen.command();
        command.current_dir(dir).args(["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", &format!("{name}.")]);
        let output = command.stdin(Stdio::null()).output().expect("dnssec-keygen starts");
        assert!(output.status.success(), "{output:?}");
        dir.join(format!("{}.key", String::from_utf8_lossy(&output.stdout).trim()))
    }
}

fn forge(file: &Path, forgeries: &[(String, String)]) {
    if forgeries.is_empty() {
        return;
    }
    let mut text = fs::read_to_string(file).expect("a zone file");
    for (signed, forged) in forgeries {
        assert!(text.contains(signed), "no {signed} in {text}");
        text = text.replace(signed, forged);
    }
    fs::write(file, text).expect("a zone file");
}
