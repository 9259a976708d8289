//! Runs the fault scenarios. It is also the `waypost` under test: in a process with [`faults::AS_WAYPOST`] in its
//! environment this program is that command, so that one build tests the very commit.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    if env::var_os(faults::AS_WAYPOST).is_some() { waypost::main() } else { faults::main() }
}
