//! Real messages, for tests.

use std::fs;
use std::path::PathBuf;

/// Every message of the corpus, as it lies there, with its path.
pub(crate) fn messages() -> Vec<(PathBuf, Vec<u8>)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus");
    let mut messages = Vec::new();
    for folder in ["legacy", "rfc"] {
        for entry in fs::read_dir(format!("{root}/{folder}")).expect("the corpus") {
            let path = entry.expect("an entry").path();
            let message = fs::read(&path).expect("a message");
            messages.push((path, message));
        }
    }
    assert!(messages.len() > 60);
    messages
}
