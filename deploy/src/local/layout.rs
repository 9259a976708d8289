//! What lies where in the folder of a pipeline.

use std::path::{Path, PathBuf};

use super::files::{self, Access, Lock, NotLocked};
use super::ports::Service;
use crate::failure::{Explain, Failure};

/// The paths of a pipeline's folder (`--dir`).
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Of the pipeline in `root`, whether it exists or not.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Makes the folder and locks it, so that no second pipeline uses it; then makes the folders in it.
    ///
    /// The paths of the layout that is returned are absolute: the services and the commands that are shown to the user
    /// work from any folder.
    pub(crate) fn prepare(root: &Path) -> Result<(Self, Lock), Failure> {
        let what = || format!("cannot use the folder {}", root.display());
        let advise = |failure: Failure| failure.advise("choose a folder you can write to with --dir");
        files::make_folder(root, Access::Private).explain(what).map_err(advise)?;
        let layout = Self::new(root.canonicalize().explain(what).map_err(advise)?);
        let lock = Lock::take(&layout.root.join("lock")).map_err(|error| match error {
            NotLocked::Held(holder) => {
                Failure::new(what(), format!("another `waypost up` (process {holder}) runs in it")).advise(
                    "stop that one, or choose another folder with --dir and other ports with --port-offset",
                )
            }
            NotLocked::Io(error) => advise(Failure::new(what(), error)),
        })?;
        for (folder, access) in [
            (layout.tls(), Access::Private),
            (layout.config_folder(), Access::Private),
            (layout.log_folder(), Access::Private),
        ] {
            files::make_folder(&folder, access)
                .explain(|| format!("cannot make the folder {}", folder.display()))
                .map_err(advise)?;
        }
        Ok((layout, lock))
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Certificates and keys.
    pub(crate) fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// A certificate, for example `ca` or `operator`.
    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.tls().join(format!("{name}.pem"))
    }

    /// A private key.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.tls().join(format!("{name}.key"))
    }

    /// A service's configuration.
    pub(crate) fn config(&self, service: &Service) -> PathBuf {
        self.config_folder().join(format!("{service}.toml"))
    }

    fn config_folder(&self) -> PathBuf {
        self.root.join("config")
    }

    /// A service's log.
    pub(crate) fn log(&self, service: &Service) -> PathBuf {
        self.log_folder().join(format!("{service}.log"))
    }

    /// What the supervisor itself has to tell.
    pub(crate) fn supervisor_log(&self) -> PathBuf {
        self.log_folder().join("up.log")
    }

    fn log_folder(&self) -> PathBuf {
        self.root.join("log")
    }

    /// What a service keeps.
    pub(crate) fn data(&self, service: &Service) -> PathBuf {
        self.root.join(&service.name)
    }

    /// Who serves where, once all services do.
    pub(crate) fn ready(&self) -> PathBuf {
        self.root.join("ready.json")
    }

    /// The generated passwords.
    pub(crate) fn accounts(&self) -> PathBuf {
        self.root.join("accounts.txt")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_place_of_the_folder_is_told_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data");
        std::fs::write(&file, "").unwrap();
        let failure = Layout::prepare(&file).unwrap_err().to_string();
        assert!(failure.starts_with(&format!("cannot use the folder {}: ", file.display())), "{failure}");
        assert!(failure.ends_with("(choose a folder you can write to with --dir)"), "{failure}");
    }

    #[test]
    fn a_second_pipeline_in_the_same_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Layout::prepare(folder.path()).unwrap();
        let failure = Layout::prepare(folder.path()).unwrap_err().to_string();
        assert!(
            failure.contains(&format!("another `waypost up` (process {})", std::process::id())),
            "{failure}"
        );
    }

    #[test]
    fn paths_are_absolute_once_prepared() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, _lock) = Layout::prepare(&folder.path().join("a/../b")).unwrap();
        assert!(layout.root().is_absolute());
        assert!(layout.tls().is_dir());
        assert!(!layout.root().to_string_lossy().contains(".."));
    }
}
