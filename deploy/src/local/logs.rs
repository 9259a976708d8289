//! The services' logs: appended to, rotated by size at a start, their end shown when something fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::files;

/// A log that has grown over this is set aside as `….log.1` when its service starts.
const ROTATE_ABOVE: u64 = 16 * 1024 * 1024;
/// How much of a log's end is looked at for its last lines.
const TAIL_BYTES: u64 = 16 * 1024;
const TAIL_LINES: usize = 12;

/// Opens a log to append to.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > ROTATE_ABOVE) {
        fs::rename(path, files::beside(path, ".1"))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// How long the log is now; what comes later is told by [`tail`].
pub(crate) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The last lines of what was written to the log after it had `since` bytes.
pub(crate) fn tail(path: &Path, since: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    // Shorter than it was: it was rotated, and all of it is new.
    let since = if end < since { 0 } else { since };
    let from = since.max(end.saturating_sub(TAIL_BYTES));
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<&str> = text.lines().collect();
    if from > since && lines.len() > 1 {
        // The first line lost its beginning.
        lines.remove(0);
    }
    Ok(lines.split_off(lines.len().saturating_sub(TAIL_LINES)).join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn the_tail_holds_only_what_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("msa.log");
        fs::write(&path, "an earlier run\n").unwrap();
        let since = length(&path);
        fs::write(&path, "an earlier run\nthis run\nfails\n").unwrap();
        assert_eq!(tail(&path, since).unwrap(), "this run\nfails");
    }

    #[test]
    fn the_tail_of_a_long_log_is_its_last_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("msa.log");
        let text = (0..10_000).fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "line {line}");
            text
        });
        fs::write(&path, text).unwrap();
        let tail = tail(&path, 0).unwrap();
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert_eq!(tail.lines().next(), Some("line 9988"));
        assert_eq!(tail.lines().last(), Some("line 9999"));
    }

    #[test]
    fn a_log_that_is_too_long_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("msa.log");
        File::create(&path).unwrap().set_len(ROTATE_ABOVE + 1).unwrap();
        drop(open(&path).unwrap());
        assert_eq!(length(&path), 0);
        assert_eq!(length(&folder.path().join("msa.log.1")), ROTATE_ABOVE + 1);
    }
}
