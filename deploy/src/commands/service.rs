//! `waypost service`: one of the three services, as `waypost up` runs it.
//!
//! The same code as the binaries `msa`, `mta` and `mda`; only the end differs: a service of `waypost up` ends with it.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ValueEnum;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::failure::{Explain, Failure};

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which one
    name: Name,
    /// The process of `waypost up` to end with
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    supervisor: Option<i32>,
    /// What the service's own program takes: --config FILE, --check, --print-config
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    Msa,
    Mta,
    Mda,
}

/// Runs it to its end.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (name, title) = match arguments.name {
        Name::Msa => ("msa", c"waypost-msa"),
        Name::Mta => ("mta", c"waypost-mta"),
        Name::Mda => ("mda", c"waypost-mda"),
    };
    if let Some(supervisor) = arguments.supervisor {
        end_with(supervisor).explain(|| format!("cannot tie the {name} to its supervisor"))?;
        // For `ps` and `top`: the program was started under a name that says nothing.
        rustix::thread::set_name(title).explain(|| format!("cannot name the process of the {name}"))?;
    }
    let command_line = std::iter::once(OsString::from(name)).chain(arguments.rest.iter().cloned());
    Ok(match arguments.name {
        Name::Msa => msa::main_from(command_line),
        Name::Mta => mta::main_from(command_line),
        Name::Mda => mda::main_from(command_line),
    })
}

/// Has the kernel kill this process when its supervisor ends, however that ends.
///
/// Strictly, when the *thread* that started this process ends; the supervisor starts services from its main thread.
/// Killing loses nothing that was promised: it is what the journal is made for.
fn end_with(supervisor: i32) -> rustix::io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before the kernel knew.
    if getppid() == Pid::from_raw(supervisor) { Ok(()) } else { Err(rustix::io::Errno::SRCH) }
}
