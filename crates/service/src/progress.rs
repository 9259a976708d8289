//! Tells whoever waits at a terminal how far long work has come.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often it is told.
const EVERY: Duration = Duration::from_millis(250);

/// Progress on standard error: on a terminal one line that changes and is taken away at the end, elsewhere nothing.
#[derive(Debug)]
pub struct Progress {
    told: Instant,
    live: bool,
}

impl Progress {
    /// Nothing is told at once: of what is soon done nobody needs to hear.
    pub fn begin() -> Self {
        Self { told: Instant::now(), live: std::io::stderr().is_terminal() }
    }

    /// So much is done of a stage.
    pub fn tell(&mut self, stage: &str, done: u64) {
        if self.live && self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            let mut terminal = std::io::stderr().lock();
            let _ = write!(terminal, "\r{stage}: {done}\x1b[K");
            let _ = terminal.flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.live {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
