//! File descriptors: as many as the system grants, and one held in reserve.

use std::{fs::File, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files to what the system allows this process, and returns it. `None` is no limit.
pub fn raise_descriptor_limit() -> io::Result<Option<u64>> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(limit.maximum)
}

/// One descriptor kept open, to be given up for a moment when there is no other: with it, the connection that waits
/// can be accepted and closed, rather than wait in the backlog until the client gives up.
#[derive(Debug, Default)]
pub(super) struct Reserve(Option<File>);

impl Reserve {
    /// Takes a descriptor if there is one to be had.
    pub(super) fn refill(&mut self) {
        if self.0.is_none() {
            self.0 = File::open("/dev/null").ok();
        }
    }

    /// Gives the descriptor up; false if there was none.
    pub(super) fn release(&mut self) -> bool {
        self.0.take().is_some()
    }
}

/// Whether there are no descriptors left, for this process (EMFILE) or the whole system (ENFILE).
pub(super) fn exhausted(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(errno, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}
