//! How far long work has come.

use std::io::{self, IsTerminal as _, Write as _};

/// On a terminal, one line that changes.
pub(super) fn tell(what: &str, done: u64) {
    show(&format!("{what}: {done}"));
}

/// Takes the line away.
pub(super) fn end() {
    show("");
}

fn show(line: &str) {
    let mut terminal = io::stderr().lock();
    if terminal.is_terminal() {
        let _ = write!(terminal, "\r{line}\x1b[K");
        let _ = terminal.flush();
    }
}
