//! `accounts.txt`: the passwords that Waypost generated, so that they are not lost with the terminal's lines.
//!
//! Passwords that the user chose are not kept. The file is its owner's alone (0600) and may be deleted at any time.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use message::Address;

use super::files::{self, Access, Lock};

const HEADER: &str = "# Passwords that Waypost generated: an address, a blank, its password.\n";

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct AccountsFile {
    path: PathBuf,
}

impl AccountsFile {
    /// At `path`, whether it exists or not.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The generated password of an account, if it is kept here.
    pub(crate) fn password(&self, address: &str) -> io::Result<Option<String>> {
        Ok(self.read()?.remove(&key(address)))
    }

    /// Keeps an account's generated password.
    pub(crate) fn keep(&self, address: &str, password: &str) -> io::Result<()> {
        self.change(|passwords| passwords.insert(key(address), password.to_owned()).is_none())
    }

    /// Forgets an account's password, because it has another one now or is gone.
    pub(crate) fn forget(&self, address: &str) -> io::Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        self.change(|passwords| passwords.remove(&key(address)).is_some())
    }

    /// Two commands may change the file at the same time: each does so under a lock of its own file, because the file
    /// itself is replaced.
    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> io::Result<()> {
        let _lock = Lock::wait(&files::beside(&self.path, ".lock"))?;
        let mut passwords = self.read()?;
        change(&mut passwords);
        let mut text = HEADER.to_owned();
        for (address, password) in &passwords {
            text.extend([address, " ", password, "\n"]);
        }
        files::replace(&self.path, Access::Private, text.as_bytes())
    }

    /// An address may be quoted and hold blanks, a generated password does not: the last blank parts them.
    fn read(&self) -> io::Result<BTreeMap<String, String>> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other?,
        };
        let entries =
            text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        Ok(entries.map(|(address, password)| (key(address), password.to_owned())).collect())
    }
}

/// However an address is spelt, it is kept as the account is called.
fn key(address: &str) -> String {
    Address::parse(address).map_or_else(|_| address.to_owned(), |address| address.key())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file() -> (tempfile::TempDir, AccountsFile) {
        let folder = tempfile::tempdir().unwrap();
        let file = AccountsFile::new(folder.path().join("accounts.txt"));
        (folder, file)
    }

    #[test]
    fn what_is_kept_is_found_again_and_private() {
        let (_folder, file) = file();
        assert_eq!(file.password("alice@example.test").unwrap(), None);
        file.keep("alice@example.test", "one").unwrap();
        file.keep("\"a b\"@example.test", "two").unwrap();
        file.keep("alice@example.test", "three").unwrap();
        assert_eq!(file.password("alice@example.test").unwrap().as_deref(), Some("three"));
        assert_eq!(file.password("\"a b\"@example.test").unwrap().as_deref(), Some("two"));
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_forgotten_is_gone() {
        let (_folder, file) = file();
        file.forget("alice@example.test").unwrap();
        assert!(!file.path().exists(), "nothing to forget makes no file");
        file.keep("alice@example.test", "one").unwrap();
        file.forget("alice@example.test").unwrap();
        assert_eq!(file.password("alice@example.test").unwrap(), None);
    }

    #[test]
    fn an_address_is_the_same_however_it_is_spelt() {
        let (_folder, file) = file();
        file.keep("Alice@Example.test", "one").unwrap();
        assert_eq!(file.password("alice@example.test").unwrap().as_deref(), Some("one"));
        file.forget("ALICE@example.test").unwrap();
        assert_eq!(file.password("Alice@Example.test").unwrap(), None);
    }
}
