//! Folders that may be somebody else's, who changes them meanwhile. Each is reached from one that is held open, level by
//! level, no link is followed, and nothing but a regular file is read: whoever owns a folder has no say in what else is
//! read, or where it is written.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::Error;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Does not wait for whoever writes into a pipe.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

const NEW_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Who may write into what is not theirs: its group, and everybody.
const WRITABLE_BY_OTHERS: u32 = 0o022;

#[derive(Clone, Debug)]
pub(crate) struct Folder {
    held: Arc<OwnedFd>,
    /// For people.
    path: PathBuf,
}

/// What lies in a folder.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) kind: FileType,
    /// When it was last changed, in seconds since 1970.
    pub(crate) modified: i64,
}

impl Folder {
    /// Holds the folder that people named.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let open = || {
            let path = not_a_link(path)?;
            Ok(rustix::fs::open(path, FOLDER, Mode::empty())?)
        };
        let held: OwnedFd = open().map_err(Error::new("cannot read", path))?;
        Ok(Self { held: Arc::new(held), path: path.to_owned() })
    }

    /// Makes a folder that nobody else reads or writes, or takes one that is empty and into which nobody else writes.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path).map_err(Error::new("cannot make", path))?;
        let folder = Self::open(path)?;
        folder.check_ours()?;
        if folder.entries()?.next().is_some() {
            let full = io::Error::new(io::ErrorKind::AlreadyExists, "it is not empty");
            return Err(Error::new("cannot write into", path)(full));
        }
        Ok(folder)
    }

    fn check_ours(&self) -> Result<(), Error> {
        let check = || {
            let metadata = File::from(self.held.try_clone()?).metadata()?;
            let ours = metadata.uid() == rustix::process::geteuid().as_raw();
            if ours && metadata.mode() & WRITABLE_BY_OTHERS == 0 {
                return Ok(());
            }
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "others own it, or may write into it"))
        };
        check().map_err(Error::new("cannot write into", &self.path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it.
    pub(crate) fn folder(&self, name: &OsStr) -> Result<Self, Error> {
        let path = self.path.join(name);
        let opened = rustix::fs::openat(&self.held, name, FOLDER, Mode::empty());
        let held = opened.map_err(io::Error::from).map_err(Error::new("cannot read", &path))?;
        Ok(Self { held: Arc::new(held), path })
    }

    /// The folder that lies so many levels below it.
    pub(crate) fn below(&self, names: &[OsString]) -> Result<Self, Error> {
        names.iter().try_fold(self.clone(), |folder, name| folder.folder(name))
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &OsStr) -> Result<File, Error> {
        let opened = rustix::fs::openat(&self.held, name, FILE, Mode::empty());
        regular(opened).map_err(Error::new("cannot read", &self.path.join(name)))
    }

    /// What lies in it.
    pub(crate) fn entries(&self) -> Result<impl Iterator<Item = Result<Entry, Error>> + '_, Error> {
        let dir = Dir::read_from(&self.held).map_err(io::Error::from);
        let dir = dir.map_err(Error::new("cannot list", &self.path))?;
        Ok(dir.filter_map(|entry| {
            let entry = match entry.map_err(io::Error::from) {
                Ok(entry) => entry,
                Err(error) => return Some(Err(Error::new("cannot list", &self.path)(error))),
            };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            (name != "." && name != "..").then(|| self.entry(name))
        }))
    }

    fn entry(&self, name: &OsStr) -> Result<Entry, Error> {
        let stat = rustix::fs::statat(&self.held, name, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from);
        let stat = stat.map_err(Error::new("cannot read", &self.path.join(name)))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        Ok(Entry { name: name.to_owned(), kind, modified: stat.st_mtime })
    }

    /// A folder in it, made unless it is there.
    pub(crate) fn make(&self, name: &OsStr) -> Result<Self, Error> {
        match rustix::fs::mkdirat(&self.held, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => self.folder(name),
            Err(error) => Err(Error::new("cannot make", &self.path.join(name))(error.into())),
        }
    }

    /// A new file in it, which nobody else reads.
    pub(crate) fn new_file(&self, name: &OsStr) -> Result<File, Error> {
        let made = rustix::fs::openat(&self.held, name, NEW_FILE, Mode::RUSR | Mode::WUSR);
        let made = made.map_err(io::Error::from);
        made.map(File::from).map_err(Error::new("cannot make", &self.path.join(name)))
    }

    /// Moves a file of it into another folder.
    pub(crate) fn rename(&self, name: &OsStr, folder: &Self, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.held, name, &folder.held, to)?)
    }

    pub(crate) fn remove(&self, name: &OsStr) -> Result<(), Error> {
        let removed = rustix::fs::unlinkat(&self.held, name, AtFlags::empty()).map_err(io::Error::from);
        removed.map_err(Error::new("cannot remove", &self.path.join(name)))
    }

    /// Everything that was written into it, and into the folders below it, is on stable storage when this returns.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let synced = rustix::fs::syncfs(&self.held).map_err(io::Error::from);
        synced.map_err(Error::new("cannot write", &self.path))
    }
}

/// Opens the file that people named.
pub(crate) fn file(path: &Path) -> Result<File, Error> {
    let opened = not_a_link(path).and_then(|path| regular(rustix::fs::open(path, FILE, Mode::empty())));
    opened.map_err(Error::new("cannot read", path))
}

/// Whoever owns the folder around a link that an operator names could have it lead to mail of others.
fn not_a_link(path: &Path) -> io::Result<PathBuf> {
    // Behind a link's name, a slash would mean what it leads to.
    let path: PathBuf = path.components().collect();
    if fs::symlink_metadata(&path)?.is_symlink() {
        return Err(invalid("it is a link: name what it leads to"));
    }
    Ok(path)
}

fn regular(opened: rustix::io::Result<OwnedFd>) -> io::Result<File> {
    let file = match opened {
        Ok(opened) => File::from(opened),
        Err(Errno::LOOP) => return Err(invalid("it is a link")),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(invalid("it is no regular file")) }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
