//! A store made of a backup.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::files::{Source, copy, key_in, write_secret};
use super::manifest::{Manifest, Part, Saved};
use super::{KEY, SEGMENTS, failed, sync_folder};
use crate::store::{LocalStore, Opened, Result, StoreConfig, StoreError};

/// What a store was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was taken.
    pub taken: Timestamp,
    /// Octets of the backup's files.
    pub octets: u64,
    /// What opening the new store came to.
    pub opened: Opened,
}

/// Makes the store of `config` of the backup in a folder: every file is verified against the list, the journal put into
/// place, and all rows made anew from it. The store's folder must not exist, or be empty: nothing is ever replaced.
///
/// Mail programs may know mail that came after the backup, by numbers that would now be given again. So every mailbox
/// gets a new UIDVALIDITY, and numbers of messages, mailboxes and accounts go on where no store of the past has been.
///
/// `tell` hears what is being done and how much of it was.
pub fn restore(
    from: &Path,
    config: StoreConfig,
    mut tell: impl FnMut(&'static str, u64) + Send + 'static,
) -> Result<Restored> {
    let manifest = Manifest::read(from)?.ok_or_else(|| StoreError::Io {
        what: format!("cannot restore from {}", from.display()),
        reason: "it holds no backup".to_owned(),
    })?;
    let to = config.dir.clone();
    check_free(&to)?;
    // Under another name until it is whole: what a crash leaves is not taken for a store.
    let new = unfinished(&to)?;
    if new.exists() {
        fs::remove_dir_all(&new).map_err(failed("cannot remove", &new))?;
    }
    let segments = new.join(SEGMENTS);
    fs::create_dir_all(&segments).map_err(failed("cannot make", &segments))?;
    let mut octets = 0;
    for (name, saved) in &manifest.files {
        restore_file(&from.join(SEGMENTS).join(name), saved, &new)?;
        octets += saved.octets;
        tell("octets copied", octets);
    }
    sync_folder(&segments)?;
    if !manifest.names_a_key()
        && let Some(key) = key_in(from)?
    {
        write_secret(&new.join(KEY), &key)?;
    }
    sync_folder(&new)?;
    let config = StoreConfig { dir: new.clone(), ..config };
    let opened = LocalStore::rebuild(config.clone(), move |records| tell("records replayed", records))?;
    let (store, _) = LocalStore::open(config)?;
    store.begin_anew()?;
    store.close_blocking()?;
    if to.exists() {
        fs::remove_dir(&to).map_err(failed("cannot replace", &to))?;
    }
    fs::rename(&new, &to).map_err(failed("cannot put into place", &to))?;
    sync_folder(new.parent().unwrap_or(Path::new(".")))?;
    Ok(Restored { taken: manifest.taken, octets, opened })
}

/// Puts a file of a backup into the folder of the new store, and sees whether it is what was backed up.
fn restore_file(path: &Path, saved: &Saved, new: &Path) -> Result<()> {
    let source = Source { path, octets: saved.octets };
    let crc = match &saved.part {
        Part::Segment(segment) => {
            let target = new.join(SEGMENTS).join(format!("{segment}.seg"));
            let mut file = File::create(&target).map_err(failed("cannot make", &target))?;
            let crc = copy(source, &mut file)?;
            file.sync_all().map_err(failed("cannot sync", &target))?;
            crc
        }
        Part::Key => {
            let mut key = Vec::new();
            let crc = copy(source, &mut key)?;
            write_secret(&new.join(KEY), &key)?;
            crc
        }
    };
    if crc == saved.crc {
        return Ok(());
    }
    Err(StoreError::Io {
        what: format!("cannot restore {}", path.display()),
        reason: "it is not what was backed up: its checksum is another".to_owned(),
    })
}

fn check_free(to: &Path) -> Result<()> {
    match fs::read_dir(to) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(StoreError::Io {
                what: format!("cannot restore to {}", to.display()),
                reason: "it is not empty".to_owned(),
            }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("cannot list", to)(error)),
    }
}

fn unfinished(to: &Path) -> Result<PathBuf> {
    let name = to.file_name().ok_or_else(|| StoreError::Io {
        what: format!("cannot restore to {}", to.display()),
        reason: "it names no folder".to_owned(),
    })?;
    let mut name = name.to_owned();
    name.push(".restoring");
    let new = to.with_file_name(name);
    if let Some(parent) = new.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(failed("cannot make", parent))?;
    }
    Ok(new)
}
