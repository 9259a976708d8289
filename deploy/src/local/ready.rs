//! `ready.json`: who serves where. It is there from the time when all services serve until `up` stops. A service that is
//! started again stands in it with its new process at once, and serves a moment later.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{self, Access};
use super::ports::Service;

/// The content of the file, by service: `msa`, `mta`, `mta1` …, `mda`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ready {
    /// The services by name.
    pub(crate) services: BTreeMap<String, Entry>,
}

/// One running service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its process.
    pub(crate) pid: u32,
    /// Each listener's address by the listener's name.
    pub(crate) listeners: BTreeMap<String, SocketAddr>,
}

/// The file on disk, kept true by the supervisor.
#[derive(Debug)]
pub(crate) struct ReadyFile {
    path: PathBuf,
    content: Ready,
    published: bool,
}

impl ReadyFile {
    /// For these services, none of which runs yet. A file that a killed supervisor left behind is removed.
    pub(crate) fn begin(path: PathBuf, services: &[Service]) -> io::Result<Self> {
        files::remove(&path)?;
        let services = services
            .iter()
            .map(|service| {
                let listeners =
                    service.listeners.iter().map(|&(name, address)| (name.to_owned(), address)).collect();
                (service.name.clone(), Entry { pid: 0, listeners })
            })
            .collect();
        Ok(Self { path, content: Ready { services }, published: false })
    }

    /// Notes a service's new process; if the file is there it says so at once.
    pub(crate) fn started(&mut self, service: &str, pid: u32) -> io::Result<()> {
        if let Some(entry) = self.content.services.get_mut(service) {
            entry.pid = pid;
        }
        if self.published { self.write() } else { Ok(()) }
    }

    /// All services serve: writes the file.
    pub(crate) fn publish(&mut self) -> io::Result<()> {
        self.published = true;
        self.write()
    }

    /// The pipeline stops: removes the file.
    pub(crate) fn withdraw(&mut self) -> io::Result<()> {
        self.published = false;
        files::remove(&self.path)
    }

    fn write(&self) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(&self.content)?;
        text.push(b'\n');
        files::replace(&self.path, Access::Public, &text)
    }
}

/// What the file says; `None` if it is not there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Ready>> {
    match std::fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::ports;

    #[test]
    fn it_names_process_and_listeners_of_each_service() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        let mut file = ReadyFile::begin(path.clone(), &ports::plan(10_000, 2).unwrap()).unwrap();
        for (service, pid) in [("msa", 11), ("mta", 12), ("mta1", 13), ("mda", 14)] {
            file.started(service, pid).unwrap();
        }
        assert_eq!(read(&path).unwrap(), None, "not there before all serve");
        file.publish().unwrap();

        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "msa": {"pid": 11, "listeners": {
                    "submission": "127.0.0.1:10587", "submissions": "127.0.0.1:10465",
                    "grpc": "127.0.0.1:17587", "http": "127.0.0.1:18587"}},
                "mta": {"pid": 12, "listeners": {
                    "smtp": "127.0.0.1:10025", "grpc": "127.0.0.1:17025", "http": "127.0.0.1:18025"}},
                "mta1": {"pid": 13, "listeners": {
                    "smtp": "127.0.0.1:10125", "grpc": "127.0.0.1:17125", "http": "127.0.0.1:18125"}},
                "mda": {"pid": 14, "listeners": {
                    "imap": "127.0.0.1:10143", "imaps": "127.0.0.1:10993",
                    "pop3": "127.0.0.1:10110", "pop3s": "127.0.0.1:10995",
                    "grpc": "127.0.0.1:17143", "http": "127.0.0.1:18143"}},
            })
        );
    }

    #[test]
    fn a_restart_is_told_at_once_and_a_stop_removes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        let mut file = ReadyFile::begin(path.clone(), &ports::plan(10_000, 1).unwrap()).unwrap();
        file.publish().unwrap();
        file.started("mda", 99).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().services["mda"].pid, 99);
        file.withdraw().unwrap();
        assert_eq!(read(&path).unwrap(), None);
        file.started("mda", 100).unwrap();
        assert_eq!(read(&path).unwrap(), None, "a late start does not bring it back");
    }

    #[test]
    fn a_stale_one_is_removed_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        std::fs::write(&path, "{}").unwrap();
        ReadyFile::begin(path.clone(), &[]).unwrap();
        assert!(!path.exists());
    }
}
