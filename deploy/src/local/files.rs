//! Writing files so that a reader sees the old one or the new one, never a part; and the lock on a folder.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Who may read a file or a folder.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    /// Everybody (0644, 0755).
    Public,
    /// Its owner (0600, 0700).
    Private,
}

/// Makes a folder, with those above it, unless it exists.
pub(crate) fn make_folder(path: &Path, access: Access) -> io::Result<()> {
    let mode = match access {
        Access::Public => 0o755,
        Access::Private => 0o700,
    };
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|error| match error.kind() {
        // The system calls it "File exists", as if that were wanted.
        io::ErrorKind::AlreadyExists => io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder"),
        _ => error,
    })
}

/// Puts a file in its place in one step, durable before it is seen; its mode holds from the first byte on.
pub(crate) fn replace(path: &Path, access: Access, content: &[u8]) -> io::Result<()> {
    let mode = match access {
        Access::Public => 0o644,
        Access::Private => 0o600,
    };
    let temporary = beside(path, ".new");
    // One that a crash left behind may have another mode.
    remove(&temporary)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes a file; it is no error if there is none.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The path with something added to its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A lock that ends with the process, however it ends. The file stays, only the lock goes.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why a lock was not taken.
#[derive(Debug)]
pub(crate) enum NotLocked {
    /// Another process holds it: what it wrote into the file, normally its process id.
    Held(String),
    /// The file could not be opened, locked or written.
    Io(io::Error),
}

impl Lock {
    /// Takes the lock at once or not at all, and notes this process's id in the file.
    pub(crate) fn take(path: &Path) -> Result<Self, NotLocked> {
        let mut file = Self::open(path).map_err(NotLocked::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                return Err(NotLocked::Held(holder.trim().to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(NotLocked::Io(error)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(NotLocked::Io)?;
        Ok(Self { _file: file })
    }

    /// Takes the lock, waiting for whoever holds it.
    pub(crate) fn wait(path: &Path) -> io::Result<Self> {
        let file = Self::open(path)?;
        file.lock()?;
        Ok(Self { _file: file })
    }

    fn open(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_private_file_is_its_owners_alone_also_when_it_replaces_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "old").unwrap();
        fs::write(beside(&path, ".new"), "left by a crash").unwrap();
        replace(&path, Access::Private, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!beside(&path, ".new").exists());
    }

    #[test]
    fn a_second_lock_is_refused_with_the_holders_process_id_until_the_first_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = Lock::take(&path).unwrap();
        match Lock::take(&path) {
            Err(NotLocked::Held(holder)) => assert_eq!(holder, std::process::id().to_string()),
            other => panic!("{other:?}"),
        }
        drop(first);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn removing_what_is_not_there_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        remove(&folder.path().join("nothing")).unwrap();
        assert!(remove(folder.path()).is_err());
    }
}
