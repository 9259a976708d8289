//! Maildir++: <https://cr.yp.to/proto/maildir.html>, folders and keywords as Dovecot has them
//! (<https://doc.dovecot.org/2.3/admin_manual/mailbox_formats/maildir/>).
//!
//! INBOX is the root, the others are folders in it whose names begin with a dot, a dot between the levels, each level in
//! modified UTF-7 (RFC 3501 §5.1.3). Read are also folders within folders, as mbsync writes them, and names in UTF-8.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use message::line_ends::LineEnds;
use message::mutf7;
use rustix::fs::FileType;

use crate::folder::{Entry, Folder};
use crate::{Error, Found, MAX_DEPTH, Meta, PIECE, shown};

/// Where the names of keywords stand that letters stand for.
const KEYWORDS: &str = "dovecot-keywords";

/// Octets of that file.
const MAX_KEYWORDS: u64 = 64 << 10;

/// Letters for flags, and what IMAP calls them.
const LETTERS: [(char, &str); 6] = [
    ('D', "\\Draft"),
    ('F', "\\Flagged"),
    ('P', "$Forwarded"),
    ('R', "\\Answered"),
    ('S', "\\Seen"),
    ('T', "\\Deleted"),
];

/// A dot within a level, which modified UTF-7 would leave as it is.
const DOT: &str = "&AC4-";

#[derive(Debug)]
pub(crate) struct Writer {
    root: Folder,
    mailbox: Option<Mailbox>,
    left_out: u64,
    message: Option<Unfinished>,
}

/// The mailbox that is being written.
#[derive(Debug)]
struct Mailbox {
    folder: Folder,
    cur: Folder,
    tmp: Folder,
    keywords: Vec<String>,
}

/// A message that is being written.
#[derive(Debug)]
struct Unfinished {
    file: BufWriter<File>,
    /// In `tmp`.
    name: OsString,
    /// In `cur`.
    to: OsString,
    arrived: Option<SystemTime>,
}

impl Writer {
    pub(crate) fn new(root: Folder) -> Self {
        Self { root, mailbox: None, left_out: 0, message: None }
    }

    /// Ends. Gives how many keywords had no letter.
    pub(crate) fn finish(self) -> Result<u64, Error> {
        self.root.sync()?;
        Ok(self.left_out)
    }

    pub(crate) fn mailbox(&mut self, name: &str) -> Result<(), Error> {
        self.mailbox = None;
        let is_inbox = name == "INBOX";
        let folder = if is_inbox { self.root.clone() } else { self.root.make(folder_of(name).as_ref())? };
        let cur = folder.make("cur".as_ref())?;
        folder.make("new".as_ref())?;
        let tmp = folder.make("tmp".as_ref())?;
        if !is_inbox {
            // Says that it is a folder of the Maildir above it.
            folder.new_file("maildirfolder".as_ref())?;
        }
        self.mailbox = Some(Mailbox { folder, cur, tmp, keywords: Vec::new() });
        Ok(())
    }

    pub(crate) fn begin(&mut self, number: u32, octets: u64, meta: &Meta) -> Result<(), Error> {
        let Some(mailbox) = &mut self.mailbox else { return Ok(()) };
        let letters = mailbox.letters(&meta.flags, &mut self.left_out)?;
        let name = format!("{}.N{number}.waypost,S={octets}", meta.arrived.unwrap_or(0).max(0));
        let to = OsString::from(format!("{name}:2,{letters}"));
        let name = OsString::from(name);
        let file = mailbox.tmp.new_file(&name)?;
        let arrived = meta.arrived.and_then(|at| u64::try_from(at).ok());
        let arrived = arrived.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_secs(at)));
        self.message = Some(Unfinished { file: BufWriter::new(file), name, to, arrived });
        Ok(())
    }

    pub(crate) fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        let (Some(mailbox), Some(message)) = (&self.mailbox, &mut self.message) else { return Ok(()) };
        let written = message.file.write_all(octets);
        written.map_err(|error| mailbox.cannot_write(&message.name, error))
    }

    pub(crate) fn end(&mut self) -> Result<(), Error> {
        let (Some(mailbox), Some(message)) = (&self.mailbox, self.message.take()) else { return Ok(()) };
        let Unfinished { file, name, to, arrived } = message;
        let put = || {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            // Servers take the file's time for the time of arrival.
            arrived.map_or(Ok(()), |arrived| file.set_modified(arrived))?;
            mailbox.tmp.rename(&name, &mailbox.cur, &to)
        };
        put().map_err(|error| mailbox.cannot_write(&name, error))
    }

    pub(crate) fn abandon(&mut self) -> Result<(), Error> {
        let (Some(mailbox), Some(message)) = (&self.mailbox, self.message.take()) else { return Ok(()) };
        mailbox.tmp.remove(&message.name)
    }
}

impl Mailbox {
    fn cannot_write(&self, name: &OsStr, error: io::Error) -> Error {
        Error::new("cannot write", &self.tmp.path().join(name))(error)
    }

    /// The letters for flags, sorted. The first 26 keywords of a mailbox have letters of their own.
    fn letters(&mut self, flags: &[String], left_out: &mut u64) -> Result<String, Error> {
        let mut letters = Vec::new();
        for flag in flags {
            let letter = LETTERS.iter().find(|(_, name)| flag.eq_ignore_ascii_case(name));
            letters.extend(letter.map(|(letter, _)| *letter));
            if flag.starts_with('\\') {
                continue;
            }
            // A keyword that has a letter for all is known to some by one of the mailbox' alone.
            match self.keyword(flag)? {
                Some(at) => letters.push(char::from(b'a' + at)),
                None => *left_out += u64::from(letter.is_none()),
            }
        }
        letters.sort_unstable();
        Ok(letters.into_iter().collect())
    }

    fn keyword(&mut self, keyword: &str) -> Result<Option<u8>, Error> {
        let known = self.keywords.iter().position(|known| known.eq_ignore_ascii_case(keyword));
        let at = known.unwrap_or(self.keywords.len());
        let Some(at) = u8::try_from(at).ok().filter(|at| *at < 26) else { return Ok(None) };
        if known.is_none() {
            self.keywords.push(keyword.to_owned());
            self.write_keywords()?;
        }
        Ok(Some(at))
    }

    /// Puts them in their file's place in one step.
    fn write_keywords(&self) -> Result<(), Error> {
        let lines = self.keywords.iter().enumerate().map(|(at, name)| format!("{at} {name}\n"));
        let lines = lines.collect::<Vec<_>>().concat();
        let mut file = self.tmp.new_file(KEYWORDS.as_ref())?;
        file.write_all(lines.as_bytes())
            .and_then(|()| self.tmp.rename(KEYWORDS.as_ref(), &self.folder, KEYWORDS.as_ref()))
            .map_err(Error::new("cannot write", &self.folder.path().join(KEYWORDS)))
    }
}

/// The folder of a mailbox.
fn folder_of(name: &str) -> String {
    let level = |level: &str| level.split('.').map(mutf7::encode).collect::<Vec<_>>().join(DOT);
    let levels: Vec<String> = name.split('/').map(level).collect();
    format!(".{}", levels.join("."))
}

/// The levels that a folder's name stands for.
fn levels_of(folder: &str) -> Vec<String> {
    let decoded = |level: &str| {
        let parts: Option<Vec<String>> = level.split(DOT).map(mutf7::decode).collect();
        // Whoever writes UTF-8 means what it says.
        parts.map_or_else(|| level.to_owned(), |parts| parts.join("."))
    };
    match folder.strip_prefix('.') {
        Some(levels) => levels.split('.').map(decoded).collect(),
        None => vec![decoded(folder)],
    }
}

#[derive(Debug)]
pub(crate) struct Reader {
    root: Folder,
    /// Folders that are left to be looked at, the next one last.
    folders: Vec<Level>,
    /// There was a folder of messages.
    is_maildir: bool,
    /// Of the mailbox that is being read.
    mailbox: String,
    keywords: Vec<(u8, String)>,
    /// Its messages that are left, the next one last.
    messages: Vec<Listed>,
    message: Option<(File, OsString)>,
    line_ends: LineEnds,
    failed: Vec<Error>,
}

/// A folder within others.
#[derive(Debug)]
struct Level {
    /// The folders' names, from the root on.
    names: Vec<OsString>,
    /// What they stand for.
    levels: Vec<String>,
}

/// A message that is there.
#[derive(Debug)]
struct Listed {
    arrived: i64,
    /// `cur` or `new`.
    part: Folder,
    name: OsString,
}

impl Reader {
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        Ok(Self {
            root: Folder::open(root)?,
            folders: vec![Level { names: Vec::new(), levels: Vec::new() }],
            is_maildir: false,
            mailbox: String::new(),
            keywords: Vec::new(),
            messages: Vec::new(),
            message: None,
            line_ends: LineEnds::default(),
            failed: Vec::new(),
        })
    }

    pub(crate) fn next_message(&mut self) -> Option<Result<Found, Error>> {
        self.message = None;
        loop {
            if let Some(error) = self.failed.pop() {
                return Some(Err(error));
            }
            if let Some(listed) = self.messages.pop() {
                return Some(self.begin(listed));
            }
            match self.folders.pop() {
                Some(level) => self.look_into(&level),
                None if self.is_maildir => return None,
                None => {
                    // It is told once.
                    self.is_maildir = true;
                    let why = "there is no folder `cur` or `new` in it: it is no Maildir";
                    return Some(Err(Error::invalid(self.root.path(), why)));
                }
            }
        }
    }

    pub(crate) fn read(&mut self, piece: &mut Vec<u8>) -> Result<bool, Error> {
        let Some((file, name)) = &mut self.message else { return Ok(false) };
        let mut octets = vec![0; PIECE];
        let length = file.read(&mut octets).map_err(Error::new("cannot read", Path::new(name)))?;
        let before = piece.len();
        self.line_ends.push(&octets[..length], piece);
        if length == 0 {
            self.line_ends.end(piece);
        }
        Ok(length > 0 || piece.len() > before)
    }

    fn begin(&mut self, listed: Listed) -> Result<Found, Error> {
        let Listed { arrived, part, name } = listed;
        let file = part.file(&name)?;
        let place = shown(&part.path().join(&name).to_string_lossy());
        let meta = Meta { flags: self.flags(&name.to_string_lossy()), arrived: Some(arrived) };
        self.message = Some((file, name));
        self.line_ends = LineEnds::default();
        Ok(Found { mailbox: self.mailbox.clone(), place, meta })
    }

    fn flags(&self, name: &str) -> Vec<String> {
        let Some((_, letters)) = name.rsplit_once(":2,") else { return Vec::new() };
        let named = |letter: char| {
            let system =
                LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, name)| (*name).to_owned());
            let keyword = || {
                let at = u8::try_from(letter).ok()?.checked_sub(b'a')?;
                self.keywords.iter().find(|(known, _)| *known == at).map(|(_, name)| name.clone())
            };
            system.or_else(keyword)
        };
        // mbsync puts more behind a comma.
        let mut flags: Vec<String> = Vec::new();
        for flag in letters.chars().take_while(char::is_ascii_alphabetic).filter_map(named) {
            if !flags.contains(&flag) {
                flags.push(flag);
            }
        }
        flags
    }

    /// Notes the folders in a folder, and its messages, those that came first to be read first. What cannot be looked into
    /// is noted too.
    fn look_into(&mut self, level: &Level) {
        self.mailbox = if level.levels.is_empty() { "INBOX".to_owned() } else { level.levels.join("/") };
        self.keywords.clear();
        let folder = match self.root.below(&level.names) {
            Ok(folder) => folder,
            Err(error) => return self.failed.push(error),
        };
        let mut inner = Vec::new();
        for entry in self.entries(&folder) {
            let Entry { name, kind, .. } = entry;
            let path = folder.path().join(&name);
            let looked_into = match (name.to_str(), kind) {
                (_, FileType::Symlink) => Err(Error::invalid(&path, "it is a link")),
                (Some("cur" | "new"), FileType::Directory) => {
                    self.is_maildir = true;
                    folder.folder(&name).map(|part| self.list(&part))
                }
                (Some(KEYWORDS), FileType::RegularFile) => {
                    keywords(&folder).map(|keywords| self.keywords = keywords)
                }
                (Some("tmp"), _) => Ok(()),
                (Some(text), FileType::Directory) if level.levels.len() < MAX_DEPTH => {
                    inner.push(level.inner(text));
                    Ok(())
                }
                (Some(_), FileType::Directory) => Err(Error::invalid(&path, "it lies too deep")),
                (None, FileType::Directory) => Err(Error::invalid(&path, "its name is not UTF-8")),
                _ => Ok(()),
            };
            self.failed.extend(looked_into.err());
        }
        inner.sort_by(|one, other| other.names.cmp(&one.names));
        self.folders.extend(inner);
        self.messages.sort_by(|one, other| other.order().cmp(&one.order()));
    }

    fn list(&mut self, part: &Folder) {
        for entry in self.entries(part) {
            let Entry { name, kind, modified } = entry;
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            if kind == FileType::RegularFile {
                self.messages.push(Listed { arrived: modified, part: part.clone(), name });
            } else {
                let path = part.path().join(name);
                self.failed.push(Error::invalid(&path, "it is no regular file"));
            }
        }
    }

    /// What lies in a folder, as far as that can be told.
    fn entries(&mut self, folder: &Folder) -> Vec<Entry> {
        let entries = folder.entries().map(|entries| {
            let known = |entry: Result<Entry, Error>| entry.map_err(|error| self.failed.push(error)).ok();
            entries.filter_map(known).collect()
        });
        entries.unwrap_or_else(|error| {
            self.failed.push(error);
            Vec::new()
        })
    }
}

impl Listed {
    fn order(&self) -> (i64, &Path, &OsStr) {
        (self.arrived, self.part.path(), &self.name)
    }
}

impl Level {
    /// A folder in it.
    fn inner(&self, name: &str) -> Self {
        let names = self.names.iter().cloned().chain([name.into()]).collect();
        Self { names, levels: self.levels.iter().cloned().chain(levels_of(name)).collect() }
    }
}

/// The keywords of a folder by their letters' numbers.
fn keywords(folder: &Folder) -> Result<Vec<(u8, String)>, Error> {
    let mut text = String::new();
    let read = folder.file(KEYWORDS.as_ref())?.take(MAX_KEYWORDS).read_to_string(&mut text);
    read.map_err(Error::new("cannot read", &folder.path().join(KEYWORDS)))?;
    let keyword = |line: &str| {
        let (at, name) = line.split_once(' ')?;
        Some((at.parse().ok()?, name.to_owned()))
    };
    Ok(text.lines().filter_map(keyword).collect())
}
