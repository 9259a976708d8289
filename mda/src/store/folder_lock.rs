//! One store to a folder.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{Result, StoreError};

/// How often and how far apart the lock is tried: half a second in all. A store that was just closed in this process may
/// hold it for a moment more.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// Holds the folder until it is dropped, or the process dies. Taken before anything in the folder is touched: whoever
/// sets rows aside must know that nobody writes them.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub(super) fn acquire(dir: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| StoreError::Io {
            what: format!("cannot lock the store in {}", dir.display()),
            reason: error.to_string(),
        };
        let file = File::options().create(true).truncate(false).write(true).open(dir.join("LOCK"));
        let file = file.map_err(failed)?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Io {
                        what: format!("cannot open the store in {}", dir.display()),
                        reason: "it is open in another process".to_owned(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Ok(Self { _file: file })
    }
}
