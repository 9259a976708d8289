//! What the supervisor tells while it runs: on the terminal, and in a log of its own.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::logs;
use crate::console::Console;
use crate::times;

/// The terminal and the log.
#[derive(Debug)]
pub(crate) struct Diary {
    console: Console,
    log: File,
}

impl Diary {
    /// Continues the log at `path`.
    pub(crate) fn open(path: &Path, console: Console) -> io::Result<Self> {
        Ok(Self { console, log: logs::open(path)? })
    }

    /// Progress.
    pub(crate) fn note(&self, line: impl Display) {
        self.console.note(&line);
        self.write(line);
    }

    /// Something went wrong, and the pipeline goes on.
    pub(crate) fn warn(&self, line: impl Display) {
        self.console.warn(&line);
        self.write(format_args!("warning: {line}"));
    }

    /// A full disk must not stop the supervisor: a line that cannot be written is lost.
    fn write(&self, line: impl Display) {
        let now = times::local(Timestamp::now(), &TimeZone::system());
        let _ = writeln!(&self.log, "{now}  {line}");
    }
}
