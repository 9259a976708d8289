//! Programs that nobody here wrote: mail clients and servers from the distribution's packages.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A program that is on this machine.
pub struct Program(PathBuf);

impl Program {
    /// A command to run it.
    pub fn command(&self) -> Command {
        Command::new(&self.0)
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("the program starts")
    }
}

/// Finds a program. `None` if it is not here and the scenario may be left out; with `WAYPOST_PEERS=required`, as CI has
/// it, a missing program is a failure.
///
/// # Panics
/// If the program is required and missing.
pub fn program(name: &str) -> Option<Program> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    found.map(Program).or_else(|| missing(name))
}

/// A Python with the packages that `module` needs, likewise.
///
/// # Panics
/// If it is required and missing.
pub fn python(module: &str) -> Option<Program> {
    let interpreter =
        env::var_os("WAYPOST_PYTHON").map_or_else(|| program("python3"), |path| Some(Program(path.into())));
    let interpreter = interpreter?;
    let imports = interpreter.run(&["-c", &format!("import {module}")]);
    if imports.status.success() { Some(interpreter) } else { missing(&format!("python3 with {module}")) }
}

/// Something that the scenario needs is not here.
pub(crate) fn missing<T>(name: &str) -> Option<T> {
    assert!(
        env::var_os("WAYPOST_PEERS").is_none_or(|peers| peers != "required"),
        "{name} is not on this machine, and WAYPOST_PEERS=required"
    );
    eprintln!("left out: {name} is not on this machine");
    None
}
