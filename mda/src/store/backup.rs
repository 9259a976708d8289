//! Copies of a store that go on being good while it serves.
//!
//! The journal is the truth, and its sealed segments never change: a backup is its files as of one moment, and a list of
//! them with their checksums ([`manifest`]). It is taken anew into the same folder by adding what is new; the list is
//! renamed into place last, and only then what it does not name is removed. So the folder holds a whole backup at every
//! moment. The rows are no part of it: restoring makes them anew.

mod files;
mod manifest;
mod restore;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use journal::{Held, HeldSegment};

use self::files::{Folder, Source};
use self::manifest::{Manifest, Part, Saved};
use super::local::LocalStore;
use super::{Result, StoreError};

pub use restore::{Restored, restore};

/// The folder of segments in a backup.
const SEGMENTS: &str = "journal";

/// What lies in the store's folder and goes with it, if it is there: of this key the salts are made that mail programs
/// know, and that tell of nobody whether he exists as long as they stay the same.
const KEY: &str = "decoy.key";

/// What taking a backup did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Segment files that the backup consists of, and their octets.
    pub segments: u64,
    /// Octets of them.
    pub octets: u64,
    /// Of these, octets that are new since the last backup into the same folder.
    pub added: u64,
    /// Segments that are damaged in the store: they are copied as they are, as text.
    pub damaged: Vec<String>,
}

impl LocalStore {
    /// Takes a backup into `folder`, or brings the one in it up to date. Whatever was reported as done before the call is
    /// in it. The store goes on serving; only space is not reclaimed meanwhile. Call it on a thread that may block.
    ///
    /// With `link`, sealed segments are linked into the folder and not copied, where the file system can do that: a
    /// snapshot that takes no space, and that is no help when the disk fails.
    ///
    /// `tell` hears how many octets were looked at; its error ends the backup.
    pub fn backup(
        &self,
        folder: &Path,
        link: bool,
        tell: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<BackupReport> {
        let folder = Folder::open(folder)?;
        let old = Manifest::read(folder.root())?;
        let held = self.journal().hold()?;
        let mut backup = Backup { store: self, folder, link, old, report: BackupReport::default() };
        let saved = backup.copy(&held, tell)?;
        drop(held);
        backup.finish(saved)
    }
}

struct Backup<'a> {
    store: &'a LocalStore,
    folder: Folder,
    link: bool,
    old: Option<Manifest>,
    report: BackupReport,
}

impl Backup<'_> {
    fn copy(
        &mut self,
        held: &Held<'_>,
        tell: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<BTreeMap<String, Saved>> {
        let mut saved = BTreeMap::new();
        for segment in held.segments() {
            let (name, file) = self.save(segment)?;
            self.report.segments += 1;
            self.report.octets += file.octets;
            saved.insert(name, file);
            tell(self.report.octets)?;
        }
        saved.extend(self.save_key()?);
        Ok(saved)
    }

    /// Sees to it that a segment is in the folder; gives its name there.
    fn save(&mut self, held: &HeldSegment) -> Result<(String, Saved)> {
        let source = Source { path: &held.path, octets: held.bytes };
        // What still grows has its length in its name: another length is another file.
        let name = if held.sealed {
            format!("{}.seg", held.segment)
        } else {
            format!("{}-{}.part", held.segment, held.bytes)
        };
        let known = self.old.as_ref().and_then(|old| old.files.get(&name));
        if let Some(known) = known.filter(|known| known.octets == held.bytes)
            && self.folder.has(&name, source)?
        {
            return Ok((name, known.clone()));
        }
        if let Err(error @ journal::Error::Corrupt { .. }) = self.store.journal().verify(held.segment) {
            self.report.damaged.push(error.to_string());
        }
        let crc = self.folder.put(&name, source, self.link && held.sealed)?;
        self.report.added += held.bytes;
        let part = Part::Segment(held.segment.to_string());
        Ok((name, Saved { part, octets: held.bytes, crc }))
    }

    /// Sees to it that the key is in the folder, if there is one. Another one is another file.
    fn save_key(&self) -> Result<Option<(String, Saved)>> {
        let Some(key) = files::key_in(self.store.dir())? else { return Ok(None) };
        let crc = crc32c::crc32c(&key);
        let name = format!("{crc:08x}.key");
        self.folder.put_secret(&name, &key)?;
        Ok(Some((name, Saved { part: Part::Key, octets: key.len() as u64, crc })))
    }

    /// Puts the list into place, and removes what it does not name.
    fn finish(self, files: BTreeMap<String, Saved>) -> Result<BackupReport> {
        self.folder.sync()?;
        let manifest = Manifest { taken: Timestamp::now(), files };
        manifest.write(self.folder.root())?;
        self.folder.is_whole()?;
        self.folder.remove_all_but(|name| manifest.files.contains_key(name))?;
        Ok(self.report)
    }
}

/// What the operating system refused, in the store's terms.
fn failed(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let what = format!("{what} {}", path.display());
    move |error| match error.kind() {
        std::io::ErrorKind::StorageFull => StoreError::Full,
        _ => StoreError::Io { what, reason: error.to_string() },
    }
}

/// A folder's entries are on stable storage.
fn sync_folder(path: &Path) -> Result<()> {
    fs::File::open(path).and_then(|folder| folder.sync_all()).map_err(failed("cannot sync", path))
}
