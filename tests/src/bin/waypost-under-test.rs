//! The operator's command, built beside the scenarios so that they can run it.

use std::process::ExitCode;

fn main() -> ExitCode {
    waypost::main()
}
