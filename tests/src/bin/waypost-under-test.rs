//! The operator's command, built beside the scenarios so that they can run it.
fn main() {}
