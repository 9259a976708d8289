//! Remembers over a restart that rows were found damaged.

use std::fs;
use std::path::{Path, PathBuf};

use super::StoreError;

/// A file whose presence says that the rows have to be made anew from the journal.
#[derive(Debug, Clone)]
pub(super) struct DamageMark {
    path: PathBuf,
}

impl DamageMark {
    pub(super) fn new(dir: &Path) -> Self {
        Self { path: dir.join("state-damaged") }
    }

    /// Notes an error if it means damaged rows.
    pub(super) fn note(&self, error: &StoreError) {
        if !matches!(error, StoreError::CorruptState { .. }) || self.is_set() {
            return;
        }
        tracing::error!(%error, "rows are damaged: the next start makes them anew from the journal, losing no message");
        if let Err(failed) = fs::write(&self.path, format!("{error}\n")) {
            tracing::error!(error = %failed, path = %self.path.display(), "cannot note that rows are damaged");
        }
    }

    pub(super) fn is_set(&self) -> bool {
        self.path.exists()
    }

    pub(super) fn clear(&self) -> std::io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
