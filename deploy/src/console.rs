//! What the user sees: text on standard output and standard error, coloured on a terminal only.

mod table;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

pub(crate) use table::Table;

/// Where a command writes. Results go to standard output; progress, warnings and errors to standard error.
///
/// Write errors are ignored: a reader that went away (`waypost queue list | head`) or a closed terminal is no reason to
/// fail, least of all for the supervisor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    colour_out: bool,
    colour_err: bool,
}

#[expect(clippy::unused_self, reason = "whoever writes has been given where to")]
impl Console {
    /// The process's own; colours where it is a terminal and `NO_COLOR` is not set.
    pub(crate) fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            colour_out: wanted && io::stdout().is_terminal(),
            colour_err: wanted && io::stderr().is_terminal(),
        }
    }

    /// A line of the result.
    pub(crate) fn print(self, line: impl Display) {
        let _ = writeln!(io::stdout().lock(), "{line}");
    }

    /// A table of the result.
    pub(crate) fn print_table(self, table: &Table) {
        let _ = write!(io::stdout().lock(), "{}", table.render(self.colour_out));
    }

    /// A headline of the result.
    pub(crate) fn print_heading(self, text: &str) {
        self.print(paint(self.colour_out, BOLD, text));
    }

    /// A result for programs.
    pub(crate) fn print_json(self, value: &impl serde::Serialize) {
        let mut out = io::stdout().lock();
        if serde_json::to_writer_pretty(&mut out, value).is_ok() {
            let _ = writeln!(out);
        }
    }

    /// One of many results for programs, on a line of its own.
    pub(crate) fn print_json_line(self, value: &impl serde::Serialize) {
        let mut out = io::stdout().lock();
        if serde_json::to_writer(&mut out, value).is_ok() {
            let _ = writeln!(out);
        }
    }

    /// A line about progress.
    pub(crate) fn note(self, line: impl Display) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Something that the user should know, though the command goes on.
    pub(crate) fn warn(self, line: impl Display) {
        let _ =
            writeln!(io::stderr().lock(), "{} {line}", paint(self.colour_err, YELLOW, "waypost: warning:"));
    }

    /// Help that was shown because the command line lacks something.
    pub(crate) fn explain(self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Why the command failed.
    pub(crate) fn error(self, line: impl Display) {
        let _ = writeln!(io::stderr().lock(), "{} {line}", paint(self.colour_err, RED, "waypost:"));
    }

    /// Shown less prominently than the rest, on standard error: excerpts of logs.
    pub(crate) fn excerpt(self, text: &str) {
        for line in text.lines() {
            self.note(format_args!("  {}", paint(self.colour_err, DIM, &clean(line))));
        }
    }
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";

fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The text without control characters, so that what a remote server or a message says cannot steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("550 \x1b[2Jno\r\nsuch user\u{9b}"), "550  [2Jno  such user ");
    }

    #[test]
    fn paint_leaves_plain_text_alone() {
        assert_eq!(paint(false, BOLD, "x"), "x");
        assert_eq!(paint(true, BOLD, "x"), "\x1b[1mx\x1b[0m");
    }
}
