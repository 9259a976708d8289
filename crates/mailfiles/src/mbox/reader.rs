//! Reading mbox files.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use message::line_ends::LineEnds;
use rustix::fs::FileType;

use super::{ENDING, FROM, status};
use crate::folder::{self, Entry, Folder};
use crate::{Error, Found, MAX_DEPTH, Meta, PIECE, shown};

/// Octets of a header in which flags are looked for.
const MAX_HEADER: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Reader {
    files: Files,
    open: Option<Open>,
    line_ends: LineEnds,
    failed: Vec<Error>,
}

/// The files that are left.
#[derive(Debug)]
enum Files {
    One(Option<PathBuf>),
    /// Those below a folder, the next one last.
    Below(Folder, Vec<Listed>),
}

/// An mbox file below a folder.
#[derive(Debug)]
struct Listed {
    folders: Vec<OsString>,
    name: OsString,
    mailbox: String,
}

/// A file that is being read.
#[derive(Debug)]
struct Open {
    file: BufReader<File>,
    path: PathBuf,
    mailbox: String,
    /// Messages that were begun.
    messages: u64,
    /// The `From ` line of the next message.
    next: Option<Vec<u8>>,
    /// Lines that others may mean to be such a line, without a date that is known.
    doubtful: u64,
    /// What was read of the message and not given yet.
    ready: Vec<u8>,
    /// An empty line that belongs to the message unless the next one begins, or the file ends, right behind it.
    held: Option<Vec<u8>>,
    /// The line behind the one that was held.
    pending: Option<Vec<u8>>,
    /// The last piece ended a line.
    at_line_start: bool,
    /// The message that was begun is at its end.
    is_over: bool,
}

impl Reader {
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let metadata = std::fs::metadata(root).map_err(Error::new("cannot read", root))?;
        let mut failed = Vec::new();
        let files = if metadata.is_dir() {
            let root = Folder::open(root)?;
            let mut found = Vec::new();
            find(&root, &[], &mut found, &mut failed)?;
            if found.is_empty() && failed.is_empty() {
                let why = "no file in it has a name that ends with `.mbox`; one of another name can be given by itself";
                return Err(Error::invalid(root.path(), why));
            }
            found.sort_by(|one, other| other.mailbox.cmp(&one.mailbox));
            Files::Below(root, found)
        } else {
            Files::One(Some(root.to_owned()))
        };
        Ok(Self { files, open: None, line_ends: LineEnds::default(), failed })
    }

    pub(crate) fn next_message(&mut self) -> Option<Result<Found, Error>> {
        loop {
            if let Some(error) = self.failed.pop() {
                return Some(Err(error));
            }
            if let Some(open) = &mut self.open {
                self.line_ends = LineEnds::default();
                match open.begin() {
                    Ok(Some(found)) => return Some(Ok(found)),
                    Ok(None) => self.failed.extend(open.doubt()),
                    Err(error) => self.failed.push(error),
                }
                self.open = None;
                continue;
            }
            match self.files.open_next()? {
                Ok(open) => self.open = Some(open),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    pub(crate) fn read(&mut self, piece: &mut Vec<u8>) -> Result<bool, Error> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let octets = open.some()?;
        let before = piece.len();
        self.line_ends.push(&octets, piece);
        if octets.is_empty() {
            self.line_ends.end(piece);
        }
        Ok(!octets.is_empty() || piece.len() > before)
    }
}

impl Files {
    fn open_next(&mut self) -> Option<Result<Open, Error>> {
        match self {
            Self::One(path) => {
                let path = path.take()?;
                Some(folder::file(&path).and_then(|file| Open::new(file, path, "INBOX".to_owned())))
            }
            Self::Below(root, files) => {
                let Listed { folders, name, mailbox } = files.pop()?;
                let open = root.below(&folders).and_then(|folder| {
                    let path = folder.path().join(&name);
                    Open::new(folder.file(&name)?, path, mailbox)
                });
                Some(open)
            }
        }
    }
}

impl Open {
    fn new(file: File, path: PathBuf, mailbox: String) -> Result<Self, Error> {
        let mut open = Self {
            file: BufReader::with_capacity(PIECE, file),
            path,
            mailbox,
            messages: 0,
            next: None,
            doubtful: 0,
            ready: Vec::new(),
            held: None,
            pending: None,
            at_line_start: true,
            is_over: true,
        };
        let first = open.piece()?;
        if !first.is_empty() && !first.starts_with(FROM) {
            return Err(Error::invalid(&open.path, "it does not begin with a `From ` line: it is no mbox"));
        }
        open.next = Some(first).filter(|first| !first.is_empty());
        Ok(open)
    }

    /// Begins the next message that is mail. The rest of the one before is passed over.
    fn begin(&mut self) -> Result<Option<Found>, Error> {
        loop {
            while !self.is_over {
                self.line()?;
            }
            let Some(from) = self.next.take() else { return Ok(None) };
            self.messages += 1;
            self.is_over = false;
            self.at_line_start = true;
            let mut header = self.header()?;
            if self.messages == 1 && status::is_of_the_file(&header) {
                continue;
            }
            let flags = status::take(&mut header);
            self.ready = header;
            let place = format!("message {} of {}", self.messages, shown(&self.path.to_string_lossy()));
            let meta = Meta { flags, arrived: arrived(&from) };
            return Ok(Some(Found { mailbox: self.mailbox.clone(), place, meta }));
        }
    }

    /// The header of the message with the empty line behind it, or as much of it as flags are looked for in.
    fn header(&mut self) -> Result<Vec<u8>, Error> {
        let mut header = Vec::new();
        while header.len() < MAX_HEADER {
            let line = self.line()?;
            header.extend_from_slice(&line);
            if line.is_empty() || is_blank(&line) {
                break;
            }
        }
        Ok(header)
    }

    /// Whether messages of the file may be part of the ones before them. Where others were told apart, the lines are most
    /// likely text, which some programs do not quote.
    fn doubt(&self) -> Option<Error> {
        if self.doubtful == 0 {
            return None;
        }
        let lines = if self.doubtful == 1 { "1 line" } else { &format!("{} lines", self.doubtful) };
        let why = format!(
            "{lines} of it may be the beginning of a message, but without a date that is known: what follows is part of the \
             message before"
        );
        let what = if self.messages == 1 { Error::invalid } else { Error::doubt };
        Some(what(&self.path, &why))
    }

    /// Some octets of the message; none at its end.
    fn some(&mut self) -> Result<Vec<u8>, Error> {
        let mut some = std::mem::take(&mut self.ready);
        while some.len() < PIECE {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            some.extend_from_slice(&line);
        }
        Ok(some)
    }

    /// The next line of the message, its quoting undone, or a piece of a long one; empty at the end of the message.
    fn line(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(line) = self.pending.take() {
                return Ok(line);
            }
            if self.is_over {
                return Ok(Vec::new());
            }
            let is_start = self.at_line_start;
            let mut line = self.piece()?;
            let is_behind_blank = is_start && self.held.is_some();
            if line.is_empty() || (is_behind_blank && begins_message(&line)) {
                self.next = Some(line).filter(|from| !from.is_empty());
                self.held = None;
                self.is_over = true;
                return Ok(Vec::new());
            }
            if is_start && is_blank(&line) {
                if let Some(before) = self.held.replace(line) {
                    return Ok(before);
                }
                continue;
            }
            self.doubtful += u64::from(is_behind_blank && may_begin_message(&line));
            let quotes = line.iter().take_while(|octet| **octet == b'>').count();
            if is_start && quotes > 0 && line[quotes..].starts_with(FROM) {
                line.remove(0);
            }
            return Ok(match self.held.take() {
                Some(before) => {
                    self.pending = Some(line);
                    before
                }
                None => line,
            });
        }
    }

    /// The octets of the file up to the end of a line, or as many as are read at once; none at its end.
    fn piece(&mut self) -> Result<Vec<u8>, Error> {
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            let octets = self.file.fill_buf().map_err(Error::new("cannot read", &self.path))?;
            let wanted = &octets[..octets.len().min(PIECE - piece.len())];
            let end = memchr::memchr(b'\n', wanted).map(|at| at + 1);
            let length = end.unwrap_or(wanted.len());
            piece.extend_from_slice(&wanted[..length]);
            self.file.consume(length);
            if end.is_some() || length == 0 {
                break;
            }
        }
        self.at_line_start = piece.last() == Some(&b'\n');
        Ok(piece)
    }
}

/// Not all programs quote what only begins like it.
fn begins_message(line: &[u8]) -> bool {
    line.starts_with(FROM) && arrived(line).is_some()
}

/// It names a sender, as such a line does.
fn may_begin_message(line: &[u8]) -> bool {
    let Some(sender) = line.strip_prefix(FROM) else { return false };
    let sender = sender.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    sender.contains(&b'@') || sender == b"MAILER-DAEMON" || sender == b"-"
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

/// Notes the mbox files below a folder, and what else might be one or hold one.
fn find(
    folder: &Folder,
    above: &[OsString],
    files: &mut Vec<Listed>,
    failed: &mut Vec<Error>,
) -> Result<(), Error> {
    for entry in folder.entries()? {
        let Entry { name, kind, .. } = match entry {
            Ok(entry) => entry,
            Err(error) => {
                failed.push(error);
                continue;
            }
        };
        let why = match (name.to_str(), kind) {
            (_, FileType::Symlink) => "it is a link",
            (Some(text), FileType::RegularFile) => {
                if let Some(last) = text.strip_suffix(ENDING) {
                    let levels = above.iter().map(|level| level.to_string_lossy());
                    let levels: Vec<_> = levels.chain([last.into()]).collect();
                    files.push(Listed { folders: above.to_vec(), mailbox: levels.join("/"), name });
                }
                continue;
            }
            (Some(_), FileType::Directory) if above.len() < MAX_DEPTH => {
                let within = [above, std::slice::from_ref(&name)].concat();
                let found = folder.folder(&name).and_then(|inner| find(&inner, &within, files, failed));
                failed.extend(found.err());
                continue;
            }
            (Some(_), FileType::Directory) => "it lies too deep",
            (None, _) => "its name is not UTF-8",
            (Some(text), _) if text.ends_with(ENDING) => "it is no regular file",
            _ => continue,
        };
        failed.push(Error::invalid(&folder.path().join(name), why));
    }
    Ok(())
}

/// The date of a `From ` line: `From sender Thu Nov 14 22:13:20 2023`, UTC. Programs put a time zone behind the time or the
/// year: it is passed over where it is none that is counted in hours. Some write `2023-11-14T22:13:20Z` (RFC 3339).
fn arrived(from: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(from).ok()?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if let Some(arrived) = words.iter().skip(2).find_map(|word| word.parse::<Timestamp>().ok()) {
        return Some(arrived.as_second());
    }
    let at = words.iter().position(|word| matches!(word.matches(':').count(), 1 | 2))?;
    let named = words.get(at.checked_sub(2)?)?;
    let month = MONTHS.iter().position(|month| month == named)?;
    let day = words.get(at.checked_sub(1)?)?.parse().ok()?;
    let time: Time = words[at].parse().ok()?;
    let behind = &words[at + 1..];
    let year =
        behind.iter().find_map(|word| word.parse().ok().filter(|year| (1_900..=9_999).contains(year)))?;
    let date = Date::new(year, i8::try_from(month).ok()? + 1, day).ok()?;
    let local = TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok()?.as_second();
    let zone = behind.iter().find_map(|word| offset(word)).unwrap_or(0);
    Some(local - zone)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds east of UTC of a zone such as `+0100`.
fn offset(word: &str) -> Option<i64> {
    let (sign, digits) = match word.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2).filter(|(_, minutes)| minutes.len() == 2)?;
    Some(sign * (hours.parse::<i64>().ok()? * 3_600 + minutes.parse::<i64>().ok()? * 60))
}
