//! Reading mbox files.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::{ENDING, FROM, status};
use crate::line_ends::LineEnds;
use crate::{Error, Found, MAX_DEPTH, Meta, PIECE};

/// Octets of a header in which flags are looked for.
const MAX_HEADER: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Reader {
    /// Files that are left, with their mailboxes' names, the next one last.
    files: Vec<(PathBuf, String)>,
    open: Option<Open>,
    line_ends: LineEnds,
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
    /// What was read of the message and not given yet.
    ready: Vec<u8>,
    /// An empty line that belongs to the message unless the next one begins, or the file ends, right behind it.
    held: Option<Vec<u8>>,
    /// The last piece ended a line.
    at_line_start: bool,
    /// The message that was begun is at its end.
    is_over: bool,
}

impl Reader {
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let mut files = Vec::new();
        let metadata = fs::metadata(root).map_err(Error::new("cannot read", root))?;
        if metadata.is_dir() {
            find(root, "", 0, &mut files)?;
        } else {
            files.push((root.to_owned(), "INBOX".to_owned()));
        }
        files.sort_by(|one, other| other.1.cmp(&one.1));
        Ok(Self { files, open: None, line_ends: LineEnds::default() })
    }

    pub(crate) fn next_message(&mut self) -> Option<Result<Found, Error>> {
        loop {
            if let Some(open) = &mut self.open {
                self.line_ends = LineEnds::default();
                match open.begin() {
                    Ok(Some(found)) => return Some(Ok(found)),
                    Ok(None) => self.open = None,
                    Err(error) => {
                        self.open = None;
                        return Some(Err(error));
                    }
                }
            }
            let (path, mailbox) = self.files.pop()?;
            match Open::new(path, mailbox) {
                Ok(open) => self.open = Some(open),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    pub(crate) fn read(&mut self, piece: &mut Vec<u8>) -> Result<bool, Error> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let octets = open.some()?;
        self.line_ends.push(&octets, piece);
        Ok(!octets.is_empty())
    }
}

impl Open {
    fn new(path: PathBuf, mailbox: String) -> Result<Self, Error> {
        let file = File::open(&path).map_err(Error::new("cannot read", &path))?;
        let mut open = Self {
            file: BufReader::with_capacity(PIECE, file),
            path,
            mailbox,
            messages: 0,
            next: None,
            ready: Vec::new(),
            held: None,
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

    /// Begins the next message: reads its header. The rest of the one before is passed over.
    fn begin(&mut self) -> Result<Option<Found>, Error> {
        while !self.is_over {
            self.line()?;
        }
        let Some(from) = self.next.take() else { return Ok(None) };
        self.messages += 1;
        self.is_over = false;
        self.at_line_start = true;
        let mut header = Vec::new();
        while header.len() < MAX_HEADER {
            let line = self.line()?;
            let ends = line.is_empty() || is_blank(&line);
            header.extend_from_slice(&line);
            if ends {
                break;
            }
        }
        let flags = status::take(&mut header);
        self.ready = header;
        let place = format!("message {} of {}", self.messages, self.path.display());
        let meta = Meta { flags, arrived: arrived(&from) };
        Ok(Some(Found { mailbox: self.mailbox.clone(), place, meta }))
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
            let quotes = line.iter().take_while(|octet| **octet == b'>').count();
            if is_start && quotes > 0 && line[quotes..].starts_with(FROM) {
                line.remove(0);
            }
            if let Some(mut before) = self.held.take() {
                before.extend_from_slice(&line);
                return Ok(before);
            }
            return Ok(line);
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

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

/// The mbox files below a folder, with their names.
fn find(folder: &Path, above: &str, depth: usize, files: &mut Vec<(PathBuf, String)>) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::new("cannot list", folder))? {
        let entry = entry.map_err(Error::new("cannot list", folder))?;
        let (path, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str() else { continue };
        let kind = entry.file_type().map_err(Error::new("cannot read", &path))?;
        if kind.is_dir() && depth < MAX_DEPTH {
            find(&path, &format!("{above}{name}/"), depth + 1, files)?;
        } else if let Some(name) = name.strip_suffix(ENDING).filter(|_| kind.is_file()) {
            files.push((path, format!("{above}{name}")));
        }
    }
    Ok(())
}

/// The date of a `From ` line: `From sender Thu Nov 14 22:13:20 2023`, UTC. Programs put a time zone behind the time or the
/// year: it is passed over where it is none that is counted in hours.
fn arrived(from: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(from).ok()?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
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
