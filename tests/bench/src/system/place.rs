//! Where the systems keep their mail: a folder on a real disk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

/// File systems in memory, by their magic numbers (statfs(2)): what is synced there costs nothing.
const IN_MEMORY: [i128; 2] = [0x0102_1994, 0x8584_58f6];
/// The longest path of a Unix socket is 107 octets; the systems' own, below the folder, take up to so many.
const LONGEST_PATH: usize = 64;

/// What a system is told at its start.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// A folder in which it makes one of its own.
    pub(crate) dir: PathBuf,
    /// Where mail for relay.test goes.
    pub(crate) sink: SocketAddr,
    /// Accounts that it has, from number 0 on.
    pub(crate) accounts: u32,
}

/// The folder's absolute path, if it lies on a disk and can be used by all of the systems.
pub(crate) fn checked(dir: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let dir = dir.canonicalize().with_context(|| format!("cannot find {}", dir.display()))?;
    let stat = rustix::fs::statfs(&dir).with_context(|| format!("cannot look at {}", dir.display()))?;
    ensure_usable(&dir, i128::from(stat.f_type))?;
    Ok(dir)
}

/// Fails for a folder in a file system with this magic number that cannot be used.
fn ensure_usable(dir: &Path, magic: i128) -> anyhow::Result<()> {
    ensure!(
        !IN_MEMORY.contains(&magic),
        "{} is in memory, where syncing costs nothing; name a folder on a disk with --dir",
        dir.display()
    );
    ensure!(
        dir.as_os_str().len() <= LONGEST_PATH,
        "{} is too long a path for the systems' sockets; name a shorter one with --dir",
        dir.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXT4: i128 = 0xef53;

    #[test]
    fn memory_is_no_disk() {
        let dir = Path::new("/srv/mail");
        assert!(ensure_usable(dir, EXT4).is_ok());
        for magic in IN_MEMORY {
            let error = ensure_usable(dir, magic).unwrap_err().to_string();
            assert!(error.contains("in memory"), "{error}");
        }
    }

    #[test]
    fn a_path_too_long_for_sockets_is_refused() {
        let error = ensure_usable(Path::new(&"/x".repeat(LONGEST_PATH)), EXT4).unwrap_err().to_string();
        assert!(error.contains("too long"), "{error}");
    }
}
