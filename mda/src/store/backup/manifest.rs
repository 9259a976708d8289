//! The list of what a backup consists of.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use jiff::Timestamp;

use super::{failed, sync_folder};
use crate::store::{Result, StoreError};

/// The version of the list that this program writes.
const VERSION: u32 = 1;

/// The list's file.
const NAME: &str = "BACKUP";

/// What a backup consists of. A line of text for each file, so that people can read it:
///
/// ```text
/// waypost mail store backup 1
/// taken 2026-11-27T22:00:00Z
/// 0000000000000001.seg segment 0000000000000001 octets 134217728 crc32c 1a2b3c4d
/// end
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) taken: Timestamp,
    /// By name.
    pub(super) files: BTreeMap<String, Saved>,
}

/// A segment file in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Saved {
    /// Which segment it is; restored it has the name `<segment>.seg`.
    pub(super) segment: String,
    pub(super) octets: u64,
    /// CRC32C of all of it.
    pub(super) crc: u32,
}

impl Manifest {
    /// `None` if the folder holds no backup.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(NAME);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("cannot read", &path)(error)),
        }
    }

    /// Replaces the one that is there, whole or not at all.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let (path, new) = (folder.join(NAME), folder.join("BACKUP.new"));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(self.text().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(failed("cannot write", &path))?;
        sync_folder(folder)
    }

    fn text(&self) -> String {
        let mut text = format!("waypost mail store backup {VERSION}\ntaken {}\n", self.taken);
        for (name, Saved { segment, octets, crc }) in &self.files {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name} segment {segment} octets {octets} crc32c {crc:08x}");
        }
        text + "end\n"
    }

    fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let version = lines.next().and_then(|line| line.strip_prefix("waypost mail store backup "));
        match version.and_then(|version| version.parse().ok()) {
            Some(VERSION) => {}
            Some(found) => return Err(StoreError::NewerFormat { found, known: VERSION }),
            None => return Err(unreadable("its first line")),
        }
        let taken = lines.next().and_then(|line| line.strip_prefix("taken "));
        let taken = taken.and_then(|time| time.parse().ok()).ok_or_else(|| unreadable("its time"))?;
        let mut files = BTreeMap::new();
        for line in lines {
            if line == "end" {
                return Ok(Self { taken, files });
            }
            let (name, saved) = file(line).ok_or_else(|| unreadable(line))?;
            files.insert(name, saved);
        }
        Err(unreadable("its end"))
    }
}

fn file(line: &str) -> Option<(String, Saved)> {
    let words: Vec<&str> = line.split(' ').collect();
    let ["segment", segment, "octets", octets, "crc32c", crc] = words.get(1..)? else { return None };
    let is_plain =
        |text: &str| text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-.".contains(&octet));
    let name = words.first().copied().filter(|name| is_plain(name) && !name.starts_with('.'))?;
    let segment = (*segment).to_owned();
    let is_number = segment.len() == 16 && segment.bytes().all(|octet| octet.is_ascii_hexdigit());
    let saved = Saved { segment, octets: octets.parse().ok()?, crc: u32::from_str_radix(crc, 16).ok()? };
    is_number.then(|| (name.to_owned(), saved))
}

fn unreadable(what: &str) -> StoreError {
    StoreError::Io { what: "cannot read the list of a backup".to_owned(), reason: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written_and_never_in_part() {
        let saved = Saved { segment: "000000000000000a".to_owned(), octets: 70, crc: 7 };
        let files = BTreeMap::from([("000000000000000a-70.part".to_owned(), saved)]);
        let manifest = Manifest { taken: Timestamp::UNIX_EPOCH, files };
        let text = manifest.text();
        assert_eq!(Manifest::parse(&text).unwrap(), manifest);
        for end in 0..text.len() - 1 {
            assert!(Manifest::parse(&text[..end]).is_err(), "{end}");
        }
        let newer = text.replace("backup 1", "backup 2");
        assert!(matches!(Manifest::parse(&newer), Err(StoreError::NewerFormat { found: 2, known: 1 })));
        assert!(Manifest::parse(&text.replace("000000000000000a-", "../")).is_err());
    }
}
