//! The segment files of a backup.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{KEY, SEGMENTS, failed, sync_folder};
use crate::store::{Result, StoreError};

/// Octets that are copied at once.
const PIECE: usize = 1 << 20;

/// Octets at the start of a segment file that are of this segment alone: number and salt.
const HEADER: usize = 64;

/// A file that is on its way.
const UNFINISHED: &str = ".new";

/// Says that the folder is of a backup that is not whole yet: without it, and without a list, it may be anything.
const BEGUN: &str = "BACKUP.begun";

/// The folder of a backup.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    segments: PathBuf,
}

/// A segment file of the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    /// What is to be copied of it.
    pub(super) octets: u64,
}

impl Folder {
    /// Makes it if it is missing.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let segments = root.join(SEGMENTS);
        let begun = root.join(BEGUN);
        if !root.join("BACKUP").exists() && !begun.exists() && segments.exists() {
            return Err(StoreError::Io {
                what: format!("cannot take a backup into {}", root.display()),
                reason: "it holds something that is no backup".to_owned(),
            });
        }
        if !root.join("BACKUP").exists() {
            fs::create_dir_all(root).map_err(failed("cannot make", root))?;
            fs::write(&begun, "a first backup into this folder was begun\n")
                .map_err(failed("cannot write", &begun))?;
        }
        fs::create_dir_all(&segments).map_err(failed("cannot make", &segments))?;
        Ok(Self { root: root.to_owned(), segments })
    }

    /// There is a whole backup now, and the key is in its list.
    pub(super) fn is_whole(&self) -> Result<()> {
        remove(&self.root.join(KEY))?;
        remove(&self.root.join(BEGUN))
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The file is there, of the right length, and of the same store.
    pub(super) fn has(&self, name: &str, source: Source<'_>) -> Result<bool> {
        let path = self.segments.join(name);
        match fs::metadata(&path) {
            Ok(found) if found.len() == source.octets => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed("cannot look at", &path)(error)),
        }
        if head(&path)? == head(source.path)? {
            return Ok(true);
        }
        Err(StoreError::Io {
            what: format!("cannot take a backup into {}", self.root.display()),
            reason: "it holds a backup of another store".to_owned(),
        })
    }

    /// Puts a file there, whole or not at all; gives its CRC32C.
    pub(super) fn put(&self, name: &str, source: Source<'_>, link: bool) -> Result<u32> {
        let path = self.segments.join(name);
        let new = self.segments.join(format!("{name}{UNFINISHED}"));
        remove(&new)?;
        let crc = if link && fs::hard_link(source.path, &new).is_ok() {
            copy(source, &mut std::io::sink())?
        } else {
            let mut file = File::create(&new).map_err(failed("cannot make", &new))?;
            let crc = copy(source, &mut file)?;
            file.sync_all().map_err(failed("cannot sync", &new))?;
            crc
        };
        fs::rename(&new, &path).map_err(failed("cannot put into place", &path))?;
        Ok(crc)
    }

    /// Puts a file there that nobody else may read, whole or not at all.
    pub(super) fn put_secret(&self, name: &str, octets: &[u8]) -> Result<()> {
        write_secret(&self.segments.join(name), octets)
    }

    pub(super) fn sync(&self) -> Result<()> {
        sync_folder(&self.segments)?;
        sync_folder(&self.root)
    }

    pub(super) fn remove_all_but(&self, is_kept: impl Fn(&str) -> bool) -> Result<()> {
        let read = || -> std::io::Result<Vec<PathBuf>> {
            fs::read_dir(&self.segments)?.map(|entry| Ok(entry?.path())).collect()
        };
        for path in read().map_err(failed("cannot list", &self.segments))? {
            if !path.file_name().and_then(|name| name.to_str()).is_some_and(&is_kept) {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// The key that goes with a store, of a folder that has it.
pub(super) fn key_in(folder: &Path) -> Result<Option<Vec<u8>>> {
    let path = folder.join(KEY);
    match fs::read(&path) {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("cannot read", &path)(error)),
    }
}

/// Writes a file, whole or not at all, to be read by nobody else.
pub(super) fn write_secret(path: &Path, octets: &[u8]) -> Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(UNFINISHED);
    let new = PathBuf::from(new);
    // What a crash has left may be readable by others.
    remove(&new)?;
    let write = || {
        let mut file = File::options().create_new(true).write(true).mode(0o600).open(&new)?;
        file.write_all(octets)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(failed("cannot write", path))
}

/// Copies the octets of a file; gives their CRC32C.
pub(super) fn copy(source: Source<'_>, target: &mut impl std::io::Write) -> Result<u32> {
    let file = File::open(source.path).map_err(failed("cannot open", source.path))?;
    let mut left = file.take(source.octets);
    let mut piece = vec![0; PIECE];
    let (mut crc, mut octets) = (0, 0);
    loop {
        let length = left.read(&mut piece).map_err(failed("cannot read", source.path))?;
        if length == 0 {
            break;
        }
        crc = crc32c::crc32c_append(crc, &piece[..length]);
        octets += length as u64;
        target.write_all(&piece[..length]).map_err(failed("cannot copy", source.path))?;
    }
    if octets == source.octets {
        return Ok(crc);
    }
    Err(StoreError::Io {
        what: format!("cannot copy {}", source.path.display()),
        reason: format!("it has {octets} octets of {}", source.octets),
    })
}

fn head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEADER);
    let read = |head: &mut Vec<u8>| File::open(path)?.take(HEADER as u64).read_to_end(head);
    read(&mut head).map_err(failed("cannot read", path))?;
    Ok(head)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed("cannot remove", path)(error))
        }
        _ => Ok(()),
    }
}
