//! `waypost queue top`: the busiest sites, live.

use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use jiff::Timestamp;
use rustix::termios;
use service::config::HumanDuration;

use super::nodes::Choice;
use super::sites;
use crate::console::Console;
use crate::failure::Failure;

/// Lines that are not sites: the headline, the note, and one that stays empty so that nothing scrolls.
const FRAME: usize = 3;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost queue top
  waypost queue top --every 5s

Ends with Ctrl-C. Where the output is no terminal, one picture is written and the command ends.")]
pub(super) struct Arguments {
    /// How often it asks
    #[arg(long, value_name = "TIME", default_value = "1s")]
    every: HumanDuration,
    #[command(flatten)]
    choice: Choice,
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let nodes = arguments.choice.find(console)?;
    let live = io::stdout().is_terminal();
    let _screen = live.then(Screen::enter);
    loop {
        let (rows, columns) = if live { size() } else { (usize::MAX, usize::MAX) };
        let limit = u32::try_from(rows.saturating_sub(FRAME).clamp(1, 1000)).unwrap_or(1000);
        let overview = sites::overview(&nodes, limit).await?;
        let text = sites::table(&overview.sites, Timestamp::now()).render(false);
        if !live {
            console.print(text.trim_end());
            return Ok(());
        }
        draw(&text, &overview.rest(), columns);
        tokio::select! {
            () = tokio::time::sleep(Duration::max(*arguments.every, Duration::from_millis(100))) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// One picture, over the one before: each line is cut to the terminal's width and cleared to its end.
fn draw(table: &str, rest: &str, columns: usize) {
    let mut picture = String::from("\x1b[H");
    for (index, line) in table.lines().chain([rest]).enumerate() {
        let line: String = line.chars().take(columns).collect();
        let (before, after) = if index == 0 { ("\x1b[7m", "\x1b[0m") } else { ("", "") };
        picture.extend([before, &line, after, "\x1b[K\r\n"]);
    }
    picture.push_str("\x1b[J");
    let mut out = io::stdout().lock();
    let _ = out.write_all(picture.as_bytes());
    let _ = out.flush();
}

/// Rows and columns of the terminal.
fn size() -> (usize, usize) {
    match termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
        _ => (24, 80),
    }
}

/// The terminal's other screen, without a cursor, for as long as this lives.
struct Screen;

impl Screen {
    fn enter() -> Self {
        Self::write("\x1b[?1049h\x1b[?25l");
        Self
    }

    fn write(sequence: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(sequence.as_bytes());
        let _ = out.flush();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        Self::write("\x1b[?25h\x1b[?1049l");
    }
}
