//! The list of what a backup consists of.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use jiff::Timestamp;

use super::{failed, sync_folder};
use crate::store::{Result, StoreError};

/// The version of the list that this program writes. The first named no key.
const VERSION: u32 = 2;

/// The list's file.
const NAME: &str = "BACKUP";

/// What a backup consists of. A line of text for each file, so that people can read it:
///
/// ```text
/// waypost mail store backup 2
/// taken 2026-11-27T22:00:00Z
/// 0000000000000001.seg segment 0000000000000001 octets 134217728 crc32c 1a2b3c4d
/// 5e6f7a8b.key key octets 32 crc32c 5e6f7a8b
/// end
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) taken: Timestamp,
    /// By name.
    pub(super) files: BTreeMap<String, Saved>,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) part: Part,
    pub(super) octets: u64,
    /// CRC32C of all of it.
    pub(super) crc: u32,
}

/// What a file is of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// The segment of this number; restored it has the name `<segment>.seg`.
    Segment(String),
    /// The key that goes with the store.
    Key,
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

    /// A list of the first version does not, whether or not a key lies beside it.
    pub(super) fn names_a_key(&self) -> bool {
        self.files.values().any(|saved| saved.part == Part::Key)
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
        for (name, Saved { part, octets, crc }) in &self.files {
            let part = match part {
                Part::Segment(segment) => format!("segment {segment}"),
                Part::Key => "key".to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name} {part} octets {octets} crc32c {crc:08x}");
        }
        text + "end\n"
    }

    fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let version = lines.next().and_then(|line| line.strip_prefix("waypost mail store backup "));
        match version.and_then(|version| version.parse().ok()) {
            Some(1..=VERSION) => {}
            Some(found) if found > VERSION => return Err(StoreError::NewerFormat { found, known: VERSION }),
            _ => return Err(unreadable("its first line")),
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
    let (part, rest) = match words.get(1..)? {
        ["segment", segment, rest @ ..] if is_number(segment) => (Part::Segment((*segment).to_owned()), rest),
        ["key", rest @ ..] => (Part::Key, rest),
        _ => return None,
    };
    let ["octets", octets, "crc32c", crc] = rest else { return None };
    let is_plain =
        |text: &str| text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-.".contains(&octet));
    let name = words.first().copied().filter(|name| is_plain(name) && !name.starts_with('.'))?;
    Some((
        name.to_owned(),
        Saved { part, octets: octets.parse().ok()?, crc: u32::from_str_radix(crc, 16).ok()? },
    ))
}

fn is_number(segment: &str) -> bool {
    segment.len() == 16 && segment.bytes().all(|octet| octet.is_ascii_hexdigit())
}

fn unreadable(what: &str) -> StoreError {
    StoreError::Io { what: "cannot read the list of a backup".to_owned(), reason: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written_and_never_in_part() {
        let segment = Saved { part: Part::Segment("000000000000000a".to_owned()), octets: 70, crc: 7 };
        let key = Saved { part: Part::Key, octets: 32, crc: 8 };
        let files = [("000000000000000a-70.part".to_owned(), segment), ("00000008.key".to_owned(), key)];
        let files = BTreeMap::from(files);
        let manifest = Manifest { taken: Timestamp::UNIX_EPOCH, files };
        let text = manifest.text();
        assert_eq!(Manifest::parse(&text).unwrap(), manifest);
        for end in 0..text.len() - 1 {
            assert!(Manifest::parse(&text[..end]).is_err(), "{end}");
        }
        let newer = text.replace("backup 2", "backup 3");
        assert!(matches!(Manifest::parse(&newer), Err(StoreError::NewerFormat { found: 3, known: 2 })));
        assert!(Manifest::parse(&text.replace("000000000000000a-", "../")).is_err());
    }
}
