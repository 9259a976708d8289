//! What fuzzing has found to be different once is given to every build: see `tests/fuzz/run`.

use std::fs;
use std::path::Path;

#[path = "../fuzz/targets.rs"]
mod targets;

#[test]
fn every_kept_input_is_met_without_a_panic() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (target, run) in targets::TARGETS {
        let mut inputs = 0;
        for file in fs::read_dir(corpus.join(target)).expect("the target's inputs").flatten() {
            let input = fs::read(file.path()).expect("an input");
            let met = std::panic::catch_unwind(|| run(&input));
            assert!(met.is_ok(), "{target} panics on {}", file.path().display());
            inputs += 1;
        }
        assert!(inputs > 0, "there is nothing kept for {target}");
    }
}
