//! Commands that leave something running in the background.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Runs a command to its end, with what it says in a file. What it leaves running must not keep our output open, for whoever
/// reads that would wait for its end; and Ctrl-C at our terminal is not for it, nor for what is to stop it.
///
/// # Errors
/// If the file cannot be made, or the command cannot be started.
pub fn run_quietly(command: &mut Command, said: &Path) -> io::Result<ExitStatus> {
    let output = File::create(said)?;
    command.process_group(0).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).status()
}
