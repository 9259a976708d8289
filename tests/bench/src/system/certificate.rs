//! What Postfix and Dovecot show under TLS: a key of the same kind as Waypost's (ECDSA, P-256).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use pipeline_tests::Authority;

/// The files.
#[derive(Debug)]
pub(crate) struct Files {
    /// The authority to trust.
    pub(crate) ca: PathBuf,
    /// The certificate for `localhost`.
    pub(crate) chain: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

impl Files {
    /// Makes them in a folder.
    pub(crate) fn make(dir: &Path) -> anyhow::Result<Self> {
        let authority = Authority::new();
        let certificate = authority.issue(&["localhost"]);
        let files = Self { ca: dir.join("ca.pem"), chain: dir.join("chain.pem"), key: dir.join("key.pem") };
        for (file, text) in [
            (&files.ca, authority.pem()),
            (&files.chain, certificate.chain().to_owned()),
            (&files.key, certificate.key()),
        ] {
            fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(files)
    }
}
