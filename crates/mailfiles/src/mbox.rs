//! mbox: a `From ` line before each message, an empty line behind it (RFC 4155, appendix A). Lines of a message that could
//! be taken for such a line, quoted ones included, are quoted by `>` (the form called mboxrd).
//!
//! Flags stand in the fields `Status`, `X-Status` and `X-Keywords`, as mutt and Dovecot have them. Ours are the first of
//! the header and no part of the message; of those of others none are ours, and their fields are taken out wherever they
//! stand in the header.
//!
//! A mailbox `a/b` is the file `a/b.mbox`. The message of their own that UW-IMAP and Pine put first in a file is no mail.

mod reader;
mod status;

use std::fs::File;
use std::io::{BufWriter, Seek as _, Write as _};
use std::path::PathBuf;

use jiff::Timestamp;

pub(crate) use reader::Reader;

use crate::folder::Folder;
use crate::{Error, Meta};

/// What the files' names end with.
const ENDING: &str = ".mbox";

#[derive(Debug)]
pub(crate) struct Writer {
    root: Folder,
    mailbox: Option<Mailbox>,
}

#[derive(Debug)]
struct Mailbox {
    path: PathBuf,
    file: BufWriter<File>,
    /// Where the message begins that is being written.
    start: u64,
    quoting: Quoting,
}

impl Writer {
    pub(crate) fn new(root: Folder) -> Self {
        Self { root, mailbox: None }
    }

    pub(crate) fn mailbox(&mut self, name: &str) -> Result<(), Error> {
        self.close()?;
        let (above, last) = name.rsplit_once('/').unwrap_or(("", name));
        let above = above.split('/').filter(|level| !level.is_empty());
        let folder =
            above.map(str::as_ref).try_fold(self.root.clone(), |folder, level| folder.make(level))?;
        let last = format!("{last}{ENDING}");
        let path = folder.path().join(&last);
        let file = folder.new_file(last.as_ref())?;
        let file = BufWriter::new(file);
        self.mailbox = Some(Mailbox { path, file, start: 0, quoting: Quoting::default() });
        Ok(())
    }

    pub(crate) fn begin(&mut self, meta: &Meta) -> Result<(), Error> {
        self.with(|mailbox| {
            mailbox.start = mailbox.file.stream_position()?;
            mailbox.quoting = Quoting::default();
            let arrived = Timestamp::from_second(meta.arrived.unwrap_or(0)).unwrap_or(Timestamp::UNIX_EPOCH);
            // As asctime has it, in UTC (RFC 4155).
            let date = arrived.strftime("%a %b %e %H:%M:%S %Y");
            write!(mailbox.file, "From MAILER-DAEMON {date}\n{}", status::fields(&meta.flags))
        })
    }

    pub(crate) fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.with(|mailbox| {
            let mut quoted = Vec::with_capacity(octets.len() + 64);
            mailbox.quoting.push(octets, &mut quoted);
            mailbox.file.write_all(&quoted)
        })
    }

    pub(crate) fn end(&mut self) -> Result<(), Error> {
        self.with(|mailbox| {
            let mut rest = Vec::new();
            mailbox.quoting.end(&mut rest);
            rest.push(b'\n');
            mailbox.file.write_all(&rest)
        })
    }

    pub(crate) fn abandon(&mut self) -> Result<(), Error> {
        self.with(|mailbox| {
            mailbox.file.flush()?;
            mailbox.file.get_ref().set_len(mailbox.start)?;
            mailbox.file.seek(std::io::SeekFrom::Start(mailbox.start)).map(drop)
        })
    }

    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.close()?;
        self.root.sync()
    }

    fn close(&mut self) -> Result<(), Error> {
        let closed = self.with(|mailbox| mailbox.file.flush());
        self.mailbox = None;
        closed
    }

    fn with(&mut self, act: impl FnOnce(&mut Mailbox) -> std::io::Result<()>) -> Result<(), Error> {
        let Some(mailbox) = &mut self.mailbox else { return Ok(()) };
        act(mailbox).map_err(Error::new("cannot write", &mailbox.path))
    }
}

/// Quotes the lines that look like the beginning of a message, whatever pieces they come in.
#[derive(Debug)]
struct Quoting {
    /// So many octets of a line that may be one, behind any `>`, were held back; `None` within another line.
    matched: Option<usize>,
    ends_line: bool,
}

const FROM: &[u8] = b"From ";

impl Default for Quoting {
    fn default() -> Self {
        Self { matched: Some(0), ends_line: true }
    }
}

impl Quoting {
    fn push(&mut self, octets: &[u8], quoted: &mut Vec<u8>) {
        let mut rest = octets;
        while let Some(first) = rest.first().copied() {
            let Some(matched) = self.matched else {
                let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
                quoted.extend_from_slice(&rest[..end]);
                rest = &rest[end..];
                if quoted.last() == Some(&b'\n') {
                    self.matched = Some(0);
                }
                continue;
            };
            if matched == 0 && first == b'>' {
                quoted.push(first);
                rest = &rest[1..];
            } else if first == FROM[matched] {
                rest = &rest[1..];
                self.matched = Some(matched + 1);
                if matched + 1 == FROM.len() {
                    // One more of them is the same wherever it stands among them.
                    quoted.push(b'>');
                    self.let_go(quoted);
                }
            } else {
                self.let_go(quoted);
            }
        }
        if let Some(last) = octets.last() {
            self.ends_line = *last == b'\n';
        }
    }

    /// Gives what was held back: it is the beginning of a line.
    fn let_go(&mut self, quoted: &mut Vec<u8>) {
        quoted.extend_from_slice(&FROM[..self.matched.take().unwrap_or(0)]);
    }

    fn end(&mut self, quoted: &mut Vec<u8>) {
        self.let_go(quoted);
        if !self.ends_line {
            quoted.extend_from_slice(b"\r\n");
        }
    }
}
