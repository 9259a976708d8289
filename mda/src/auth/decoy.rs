//! The salts that SCRAM tells of, of users whom nobody knows as of all others: made from the name, so that who exists can
//! be told neither from a salt nor from when it changes.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use aws_lc_rs::{hmac, rand};
use sasl::scram::Verifier;

/// Octets of a salt, made up or not.
pub(super) const SALT: usize = 16;

/// The secret that salts are made up with.
const FILE: &str = "decoy.key";

/// Makes salts. With another secret they would be others: it is kept beside the store, so that they stay the same.
pub struct Decoy(hmac::Key);

impl Decoy {
    /// Reads the secret that is kept in a folder, or makes one. The folder must be this process' alone.
    pub fn load(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        Self::read_or_make(folder, &path).map_err(named)
    }

    fn read_or_make(folder: &Path, path: &Path) -> io::Result<Self> {
        match File::open(path) {
            Ok(mut file) => {
                let mut secret = [0; 32];
                file.read_exact(&mut secret)?;
                Ok(Self::of(&secret))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = random()?;
                let unfinished = folder.join("decoy.key.new");
                let mut options = OpenOptions::new();
                let mut file =
                    options.create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
                file.write_all(&secret)?;
                file.sync_all()?;
                std::fs::rename(&unfinished, path)?;
                File::open(folder)?.sync_all()?;
                Ok(Self::of(&secret))
            }
            Err(error) => Err(error),
        }
    }

    /// With a secret that is forgotten when the process ends.
    pub fn fleeting() -> io::Result<Self> {
        random().map(|secret| Self::of(&secret))
    }

    fn of(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// What is told of a user, with which no proof is right.
    pub(super) fn verifier(&self, user: &str, iterations: u32) -> Verifier {
        Verifier { salt: self.salt(user), iterations, candidates: Vec::new() }
    }

    /// The salt of a user's passwords.
    pub(super) fn salt(&self, user: &str) -> Vec<u8> {
        hmac::sign(&self.0, user.as_bytes()).as_ref()[..SALT].to_vec()
    }
}

fn random() -> io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    rand::fill(&mut secret).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_same_salt_each_time_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let decoy = Decoy::load(folder.path()).unwrap();
        let salt = decoy.verifier("nobody@example.test", 4096).salt;
        assert_eq!(salt.len(), SALT);
        assert_ne!(decoy.verifier("somebody@example.test", 4096).salt, salt);
        let again = Decoy::load(folder.path()).unwrap();
        assert_eq!(again.verifier("nobody@example.test", 4096).salt, salt);
    }
}
