//! Gives what libFuzzer makes up to the target that `FUZZ_TARGET` names; `tests/fuzz/run` starts it.

#![no_main]

use std::sync::LazyLock;

mod targets;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    let target = targets::TARGETS.iter().find(|(target, _)| *target == name);
    target.expect("there is such a target").1
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET(input));
