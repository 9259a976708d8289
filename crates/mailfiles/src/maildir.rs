//! Maildir++: <https://cr.yp.to/proto/maildir.html>, folders and keywords as Dovecot has them
//! (<https://doc.dovecot.org/2.3/admin_manual/mailbox_formats/maildir/>).
//!
//! INBOX is the root, the others are folders in it whose names begin with a dot, a dot between the levels, each level in
//! modified UTF-7 (RFC 3501 §5.1.3). Read are also folders within folders, as mbsync writes them, and names in UTF-8.

use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use message::mutf7;

use crate::line_ends::LineEnds;
use crate::{Error, Found, MAX_DEPTH, Meta, PIECE};

/// Where the names of keywords stand that letters stand for.
const KEYWORDS: &str = "dovecot-keywords";

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
    root: PathBuf,
    /// Of the mailbox that is being written.
    folder: PathBuf,
    keywords: Vec<String>,
    left_out: u64,
    message: Option<Unfinished>,
}

/// A message that is being written.
#[derive(Debug)]
struct Unfinished {
    file: BufWriter<File>,
    tmp: PathBuf,
    to: PathBuf,
    arrived: Option<SystemTime>,
}

impl Writer {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            folder: root.to_owned(),
            keywords: Vec::new(),
            left_out: 0,
            message: None,
        }
    }

    pub(crate) fn keywords_left_out(&self) -> u64 {
        self.left_out
    }

    pub(crate) fn mailbox(&mut self, name: &str) -> Result<(), Error> {
        self.folder = if name == "INBOX" { self.root.clone() } else { self.root.join(folder_of(name)) };
        self.keywords.clear();
        for part in ["cur", "new", "tmp"] {
            let path = self.folder.join(part);
            fs::create_dir_all(&path).map_err(Error::new("cannot make", &path))?;
        }
        if self.folder != self.root {
            // Says that it is a folder of the Maildir above it.
            let mark = self.folder.join("maildirfolder");
            fs::write(&mark, "").map_err(Error::new("cannot write", &mark))?;
        }
        Ok(())
    }

    pub(crate) fn begin(&mut self, number: u32, octets: u64, meta: &Meta) -> Result<(), Error> {
        let letters = self.letters(&meta.flags)?;
        let name = format!("{}.N{number}.waypost,S={octets}", meta.arrived.unwrap_or(0).max(0));
        let tmp = self.folder.join("tmp").join(&name);
        let to = self.folder.join("cur").join(format!("{name}:2,{letters}"));
        let file = File::create_new(&tmp).map_err(Error::new("cannot make", &tmp))?;
        let arrived = meta.arrived.and_then(|at| u64::try_from(at).ok());
        let arrived = arrived.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_secs(at)));
        self.message = Some(Unfinished { file: BufWriter::new(file), tmp, to, arrived });
        Ok(())
    }

    pub(crate) fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        let Some(message) = &mut self.message else { return Ok(()) };
        message.file.write_all(octets).map_err(Error::new("cannot write", &message.tmp))
    }

    pub(crate) fn end(&mut self) -> Result<(), Error> {
        let Some(Unfinished { file, tmp, to, arrived }) = self.message.take() else { return Ok(()) };
        let put = || {
            let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            // Servers take the file's time for the time of arrival.
            arrived.map_or(Ok(()), |arrived| file.set_modified(arrived))?;
            fs::rename(&tmp, &to)
        };
        put().map_err(Error::new("cannot write", &tmp))
    }

    pub(crate) fn abandon(&mut self) -> Result<(), Error> {
        let Some(message) = self.message.take() else { return Ok(()) };
        fs::remove_file(&message.tmp).map_err(Error::new("cannot remove", &message.tmp))
    }

    /// The letters for flags, sorted. The first 26 keywords of a mailbox have letters of their own.
    fn letters(&mut self, flags: &[String]) -> Result<String, Error> {
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
                None => self.left_out += u64::from(letter.is_none()),
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
            let lines = self.keywords.iter().enumerate().map(|(at, name)| format!("{at} {name}\n"));
            let path = self.folder.join(KEYWORDS);
            fs::write(&path, lines.collect::<Vec<_>>().concat())
                .map_err(Error::new("cannot write", &path))?;
        }
        Ok(Some(at))
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
    /// Folders that are left to be looked at, the next one last.
    folders: Vec<Folder>,
    /// Of the mailbox that is being read.
    mailbox: String,
    keywords: Vec<(u8, String)>,
    /// Its messages that are left, the next one last.
    files: Vec<(i64, PathBuf)>,
    file: Option<(File, PathBuf)>,
    line_ends: LineEnds,
    failed: Vec<Error>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    levels: Vec<String>,
}

impl Reader {
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let metadata = fs::metadata(root).map_err(Error::new("cannot read", root))?;
        if !metadata.is_dir() {
            return Err(Error::invalid(root, "it is no folder"));
        }
        let root = Folder { path: root.to_owned(), levels: Vec::new() };
        Ok(Self {
            folders: vec![root],
            mailbox: String::new(),
            keywords: Vec::new(),
            files: Vec::new(),
            file: None,
            line_ends: LineEnds::default(),
            failed: Vec::new(),
        })
    }

    pub(crate) fn next_message(&mut self) -> Option<Result<Found, Error>> {
        self.file = None;
        loop {
            if let Some(error) = self.failed.pop() {
                return Some(Err(error));
            }
            if let Some((arrived, path)) = self.files.pop() {
                return Some(self.begin(arrived, path));
            }
            let folder = self.folders.pop()?;
            if let Err(error) = self.look_into(&folder) {
                return Some(Err(error));
            }
        }
    }

    pub(crate) fn read(&mut self, piece: &mut Vec<u8>) -> Result<bool, Error> {
        let Some((file, path)) = &mut self.file else { return Ok(false) };
        let mut octets = vec![0; PIECE];
        let length = file.read(&mut octets).map_err(Error::new("cannot read", path))?;
        self.line_ends.push(&octets[..length], piece);
        Ok(length > 0)
    }

    fn begin(&mut self, arrived: i64, path: PathBuf) -> Result<Found, Error> {
        let file = File::open(&path).map_err(Error::new("cannot read", &path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = path.display().to_string();
        self.file = Some((file, path));
        self.line_ends = LineEnds::default();
        let meta = Meta { flags: self.flags(&name), arrived: Some(arrived) };
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

    /// Notes the folders in a folder, and its messages, those that came first to be read first.
    fn look_into(&mut self, folder: &Folder) -> Result<(), Error> {
        let mut inner = Vec::new();
        for entry in fs::read_dir(&folder.path).map_err(Error::new("cannot list", &folder.path))? {
            let entry = entry.map_err(Error::new("cannot list", &folder.path))?;
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !matches!(*name, "cur" | "new" | "tmp")) else {
                continue;
            };
            if is_folder && folder.levels.len() < MAX_DEPTH {
                let levels = folder.levels.iter().cloned().chain(levels_of(name)).collect();
                inner.push(Folder { path: entry.path(), levels });
            }
        }
        inner.sort_by(|one, other| other.path.cmp(&one.path));
        self.folders.extend(inner);
        self.mailbox = if folder.levels.is_empty() { "INBOX".to_owned() } else { folder.levels.join("/") };
        self.keywords = keywords(&folder.path);
        for part in ["cur", "new"] {
            self.list(&folder.path.join(part))?;
        }
        self.files.sort_by(|one, other| other.cmp(one));
        Ok(())
    }

    fn list(&mut self, part: &Path) -> Result<(), Error> {
        let entries = match fs::read_dir(part) {
            // A folder that only holds others.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(Error::new("cannot list", part))?,
        };
        for entry in entries {
            let entry = entry.map_err(Error::new("cannot list", part))?;
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            match entry.metadata().and_then(|metadata| Ok((metadata.is_file(), metadata.modified()?))) {
                Ok((true, arrived)) => self.files.push((seconds(arrived), path)),
                Ok(_) => {}
                Err(error) => self.failed.push(Error::new("cannot read", &path)(error)),
            }
        }
        Ok(())
    }
}

/// The keywords of a folder by their letters' numbers; none if there is no such file.
fn keywords(folder: &Path) -> Vec<(u8, String)> {
    let Ok(text) = fs::read_to_string(folder.join(KEYWORDS)) else { return Vec::new() };
    let keyword = |line: &str| {
        let (at, name) = line.split_once(' ')?;
        Some((at.parse().ok()?, name.to_owned()))
    };
    text.lines().filter_map(keyword).collect()
}

fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}
