//! Mail in files: folders of Maildir, and mbox, as other mail systems write and read them. One message at a time, piece by
//! piece. Knows no store and no network.
//!
//! A message is written octet by octet as it is. Of one that is read every line ends with CRLF, as mail has it (RFC 5322
//! §2.1), whatever it ended with in the file.
//!
//! Files are read of folders that belong to users, for an operator who may read everything: see `folder`.

#![forbid(unsafe_code)]

mod folder;
mod maildir;
mod mbox;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use folder::Folder;

/// Octets that are read at once.
const PIECE: usize = 64 << 10;

/// How deep folders may lie within each other.
const MAX_DEPTH: usize = 32;

/// How mail lies in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A file for each message, a folder for each mailbox: Maildir++, as Dovecot and Courier write it.
    Maildir,
    /// A file for each mailbox, `From ` between the messages: mboxrd.
    Mbox,
}

/// What files say of a message beside its octets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// As IMAP names them: `\Seen`, `$Forwarded`.
    pub flags: Vec<String>,
    /// When it arrived, in seconds since 1970; `None` if that cannot be told.
    pub arrived: Option<i64>,
}

/// What cannot be read or written, and why.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct Error {
    what: String,
    source: io::Error,
    is_doubt: bool,
}

impl Error {
    fn new(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{what} {}", shown(&path.to_string_lossy()));
        move |source| Self { what, source, is_doubt: false }
    }

    /// All could be read, but perhaps not as it was meant.
    pub fn is_doubt(&self) -> bool {
        self.is_doubt
    }

    fn doubt(path: &Path, why: &str) -> Self {
        let source = io::Error::other(why.to_owned());
        Self { is_doubt: true, ..Self::new("look at", path)(source) }
    }

    fn invalid(path: &Path, why: &str) -> Self {
        Self::new("cannot read", path)(io::Error::new(io::ErrorKind::InvalidData, why.to_owned()))
    }
}

/// Names of others, and text made of them, for a terminal: what would steer it, or begin a line, is escaped.
pub fn shown(text: &str) -> String {
    let escaped = |c: char| match c {
        '\'' | '"' | '\\' => String::from(c),
        c => c.escape_debug().to_string(),
    };
    text.chars().map(escaped).collect()
}

/// Writes mailboxes into a folder, for its owner alone to read.
#[derive(Debug)]
pub struct Writer(Writing);

#[derive(Debug)]
enum Writing {
    Maildir(maildir::Writer),
    Mbox(mbox::Writer),
}

impl Writer {
    /// Begins in a folder that does not exist or is empty: mail is never mixed with what is there. One that exists must be
    /// the caller's, and nobody else may write into it.
    pub fn create(format: Format, root: &Path) -> Result<Self, Error> {
        let root = Folder::create(root)?;
        Ok(Self(match format {
            Format::Maildir => Writing::Maildir(maildir::Writer::new(root)),
            Format::Mbox => Writing::Mbox(mbox::Writer::new(root)),
        }))
    }

    /// The messages that follow are of this mailbox: UTF-8, levels parted by `/`, `INBOX` the one of new mail. A name that
    /// would lead out of the folder is refused.
    pub fn mailbox(&mut self, name: &str) -> Result<(), Error> {
        if name.contains('\0') || name.split('/').any(|level| matches!(level, "" | "." | "..")) {
            let unfit = io::Error::new(io::ErrorKind::InvalidInput, "no file can have this name");
            return Err(Error::new("cannot make", Path::new(name))(unfit));
        }
        match &mut self.0 {
            Writing::Maildir(writer) => writer.mailbox(name),
            Writing::Mbox(writer) => writer.mailbox(name),
        }
    }

    /// Begins a message of so many octets. Of a mailbox no two have the same `number`.
    pub fn begin(&mut self, number: u32, octets: u64, meta: &Meta) -> Result<(), Error> {
        match &mut self.0 {
            Writing::Maildir(writer) => writer.begin(number, octets, meta),
            Writing::Mbox(writer) => writer.begin(meta),
        }
    }

    /// Adds the next octets of the message.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        match &mut self.0 {
            Writing::Maildir(writer) => writer.write(octets),
            Writing::Mbox(writer) => writer.write(octets),
        }
    }

    /// The message is whole: whoever looks at the files finds it from now on.
    pub fn end(&mut self) -> Result<(), Error> {
        match &mut self.0 {
            Writing::Maildir(writer) => writer.end(),
            Writing::Mbox(writer) => writer.end(),
        }
    }

    /// Nothing of the message that was begun is to be left.
    pub fn abandon(&mut self) -> Result<(), Error> {
        match &mut self.0 {
            Writing::Maildir(writer) => writer.abandon(),
            Writing::Mbox(writer) => writer.abandon(),
        }
    }

    /// Ends: all is on stable storage. Gives how many keywords of messages the format had no room for.
    pub fn finish(self) -> Result<u64, Error> {
        match self.0 {
            Writing::Maildir(writer) => writer.finish(),
            Writing::Mbox(writer) => writer.finish().map(|()| 0),
        }
    }
}

/// A message that was found; its octets are read next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The mailbox that it lies in: UTF-8, levels parted by `/`; `INBOX` for the one of new mail.
    pub mailbox: String,
    /// Where it stands, for people.
    pub place: String,
    /// What is known of it.
    pub meta: Meta,
}

/// Reads the messages of a folder, mailbox by mailbox. Of Maildir the names of one mailbox' files are in memory, of mbox
/// a message's header.
#[derive(Debug)]
pub struct Reader(Reading);

#[derive(Debug)]
enum Reading {
    Maildir(maildir::Reader),
    Mbox(mbox::Reader),
}

impl Reader {
    /// Looks for mailboxes below a folder; for mbox it may be a single file too, whose messages are `INBOX`'s.
    pub fn open(format: Format, root: &Path) -> Result<Self, Error> {
        Ok(Self(match format {
            Format::Maildir => Reading::Maildir(maildir::Reader::open(root)?),
            Format::Mbox => Reading::Mbox(mbox::Reader::open(root)?),
        }))
    }

    /// The next message, whether or not the one before was read to its end. An error is of one message or mailbox, or of a
    /// link or whatever else is not looked into: it can be gone on.
    pub fn next_message(&mut self) -> Option<Result<Found, Error>> {
        match &mut self.0 {
            Reading::Maildir(reader) => reader.next_message(),
            Reading::Mbox(reader) => reader.next_message(),
        }
    }

    /// Adds the next octets of the message to `piece`; `false` if there are no more.
    pub fn read(&mut self, piece: &mut Vec<u8>) -> Result<bool, Error> {
        match &mut self.0 {
            Reading::Maildir(reader) => reader.read(piece),
            Reading::Mbox(reader) => reader.read(piece),
        }
    }
}
