//! Small state in a file that is replaced whole: a crash leaves the old state or the new one, never something between.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Octets of a file that is read, and written, at most.
const MAX_SIZE: u64 = 256 << 20;

/// A file that holds one state, as JSON behind a line `waypost KIND VERSION CRC32C`.
#[derive(Clone, Debug)]
pub struct Snapshot {
    path: PathBuf,
    kind: &'static str,
    version: u32,
    max_size: u64,
}

/// What a file held.
#[derive(Debug, PartialEq, Eq)]
pub enum Loaded<T> {
    /// There is no file yet.
    Nothing,
    /// It cannot be read; says why.
    Damaged(String),
    /// The state.
    State(T),
}

/// Why a file is left alone.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be opened.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A newer version of this program wrote it.
    #[error("{path} is of version {found}, and this program knows {known}: move it away to start without it")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
}

impl Snapshot {
    /// A file for states of one kind (a word) and version.
    pub fn new(path: PathBuf, kind: &'static str, version: u32) -> Self {
        Self { path, kind, version, max_size: MAX_SIZE }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the state. Blocks.
    pub fn load<T: DeserializeOwned>(&self) -> Result<Loaded<T>, SnapshotError> {
        let unreadable = |error| SnapshotError::Read { path: self.path.clone(), error };
        let size = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::Nothing),
            metadata => metadata.map_err(unreadable)?.len(),
        };
        if size > self.max_size {
            return Ok(Loaded::Damaged(format!("it has {size} octets")));
        }
        let file = fs::read(&self.path).map_err(unreadable)?;
        let Some((version, checksum, state)) = self.parts(&file) else {
            return Ok(Loaded::Damaged("its first line cannot be read".into()));
        };
        if version > self.version {
            return Err(SnapshotError::Newer {
                path: self.path.clone(),
                found: version,
                known: self.version,
            });
        }
        if crc32c::crc32c(state) != checksum {
            return Ok(Loaded::Damaged("its checksum does not hold".into()));
        }
        Ok(match serde_json::from_slice(state) {
            Ok(state) => Loaded::State(state),
            Err(error) => Loaded::Damaged(error.to_string()),
        })
    }

    fn parts<'a>(&self, file: &'a [u8]) -> Option<(u32, u32, &'a [u8])> {
        let end = file.iter().position(|octet| *octet == b'\n')?;
        let line: Vec<&str> = std::str::from_utf8(&file[..end]).ok()?.split(' ').collect();
        match line[..] {
            ["waypost", kind, version, checksum] if kind == self.kind => {
                Some((version.parse().ok()?, u32::from_str_radix(checksum, 16).ok()?, &file[end + 1..]))
            }
            _ => None,
        }
    }

    /// Puts a state in place of the one before; when it returns, the state is on stable storage. Blocks. A state that is
    /// too large to be read again is an error, and leaves the one before in place.
    pub fn save<T: Serialize>(&self, state: &T) -> io::Result<()> {
        let state = serde_json::to_vec(state)?;
        let first = format!("waypost {} {} {:08x}\n", self.kind, self.version, crc32c::crc32c(&state));
        let size = (first.len() + state.len()) as u64;
        if size > self.max_size {
            let text = format!("the state has {size} octets, and {} can be read again", self.max_size);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(first.as_bytes())?;
        file.write_all(&state)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        // The new name is the folder's to keep.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(folder: &Path, version: u32) -> Snapshot {
        Snapshot::new(folder.join("state"), "numbers", version)
    }

    #[test]
    fn the_last_state_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(folder.path(), 1);
        assert_eq!(snapshot.load::<Vec<u32>>().unwrap(), Loaded::Nothing);
        snapshot.save(&[1, 2]).unwrap();
        snapshot.save(&[3, 4]).unwrap();
        assert_eq!(snapshot.load().unwrap(), Loaded::State(vec![3, 4]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn nothing_is_written_that_could_not_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = Snapshot { max_size: 40, ..snapshot(folder.path(), 1) };
        snapshot.save(&[1, 2]).unwrap();
        assert_eq!(snapshot.save(&[7; 20]).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(snapshot.load().unwrap(), Loaded::State(vec![1, 2]));
    }

    #[test]
    fn a_file_cut_off_or_changed_anywhere_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(folder.path(), 1);
        snapshot.save(&[1, 2]).unwrap();
        let whole = fs::read(snapshot.path()).unwrap();
        for length in 0..whole.len() {
            fs::write(snapshot.path(), &whole[..length]).unwrap();
            assert!(matches!(snapshot.load::<Vec<u32>>().unwrap(), Loaded::Damaged(_)), "{length}");
        }
        let mut changed = whole.clone();
        *changed.iter_mut().rfind(|octet| **octet == b'2').unwrap() = b'3';
        fs::write(snapshot.path(), &changed).unwrap();
        assert!(matches!(snapshot.load::<Vec<u32>>().unwrap(), Loaded::Damaged(_)));
    }

    #[test]
    fn a_file_of_a_newer_program_is_refused_and_one_of_another_kind_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        snapshot(folder.path(), 2).save(&[1]).unwrap();
        let error = snapshot(folder.path(), 1).load::<Vec<u32>>().unwrap_err().to_string();
        assert!(error.contains("is of version 2"), "{error}");
        let other = Snapshot::new(folder.path().join("state"), "words", 2);
        assert!(matches!(other.load::<Vec<u32>>().unwrap(), Loaded::Damaged(_)));
    }
}
