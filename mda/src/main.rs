//! The MDA's process.

use std::process::ExitCode;

/// Many small allocations from many threads: what the system's allocator fragments.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    mda::main()
}
