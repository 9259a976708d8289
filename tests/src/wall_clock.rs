//! A clock of the scenario's own: the time of day as the programs that it starts see it (by libfaketime). How fast time
//! passes does not change.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::peer::missing;

/// The clock.
pub struct WallClock {
    library: PathBuf,
    dir: TempDir,
}

impl WallClock {
    /// One that shows the real time. `None` if the library is not here and the scenario may be left out.
    ///
    /// # Panics
    /// If it is required and missing.
    pub fn find() -> Option<Self> {
        let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let library = folders
            .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
            .find(|file| file.is_file())
            .or_else(|| missing("libfaketime"))?;
        let clock = Self { library, dir: tempfile::tempdir().expect("a temporary folder") };
        clock.shows("+0");
        Some(clock)
    }

    /// Sets it to so long before or after the real time, for example `+1d`.
    ///
    /// # Panics
    /// If that does not work.
    pub fn shows(&self, offset: &str) {
        // Whoever looks meanwhile sees the old time or the new one.
        let new = self.dir.path().join("new");
        fs::write(&new, offset).and_then(|()| fs::rename(&new, self.offset())).expect("the clock is set");
    }

    /// What programs have to be started with.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.display().to_string();
        vec![
            ("LD_PRELOAD", text(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", text(&self.offset())),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn offset(&self) -> PathBuf {
        self.dir.path().join("offset")
    }
}
