//! What is kept of a password, and passwords that we make up.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, rand};
use sasl::scram::{Hash, Keys};

use super::AuthError;
use crate::store::{Account, ScramKeys};

/// Letters and digits that nobody takes for another; 32 of them, so that a random octet chooses without a bias.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Characters of a password that we make up: 100 bits.
const LENGTH: usize = 20;

/// Characters that stand together.
const GROUP: usize = 4;

/// With what a password is salted, and how often hashed.
#[derive(Clone)]
pub(super) struct Salt {
    salt: Vec<u8>,
    iterations: u32,
}

impl Salt {
    /// The one of an account's other passwords, so that SCRAM, which tells the salt before it knows which of them will
    /// be used, can take any of them; else the user's own.
    pub(super) fn beside(others: Option<&ScramKeys>, own: Vec<u8>, iterations: u32) -> Self {
        match others {
            Some(keys) => Self { salt: keys.salt.clone(), iterations: keys.iterations },
            None => Self { salt: own, iterations },
        }
    }

    /// Keys were made with this.
    pub(super) fn is_of(&self, keys: &ScramKeys) -> bool {
        self.salt == keys.salt && self.iterations == keys.iterations
    }

    /// The keys of a password.
    pub(super) fn keys(&self, password: &str) -> ScramKeys {
        let password = sasl::prepare(password);
        let iterations = NonZeroU32::new(self.iterations).unwrap_or(NonZeroU32::MIN);
        let keys = |hash| Keys::derive(hash, &password, &self.salt, iterations);
        ScramKeys {
            sha1: keys(Hash::Sha1),
            sha256: keys(Hash::Sha256),
            salt: self.salt.clone(),
            iterations: self.iterations,
        }
    }
}

/// The keys of an account's passwords for programs, of which all have the same salt.
pub(super) fn of_programs(account: &Account) -> Option<&ScramKeys> {
    account.app_passwords.first().map(|password| &password.scram)
}

/// A password for a program, such as `mf3k-9ad2-…`.
pub(super) fn generate() -> Result<String, AuthError> {
    let mut octets = [0; LENGTH];
    rand::fill(&mut octets).map_err(|_| no_randomness())?;
    let mut password = String::with_capacity(LENGTH + LENGTH / GROUP);
    for (at, octet) in octets.into_iter().enumerate() {
        if at > 0 && at % GROUP == 0 {
            password.push('-');
        }
        password.push(char::from(ALPHABET[usize::from(octet) % ALPHABET.len()]));
    }
    Ok(password)
}

/// What a password for a program is found by. The signs between its groups are there for the eye, and so is the case
/// that a keyboard may have changed.
pub(super) fn digest(password: &str) -> Vec<u8> {
    let plain: String =
        password.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    digest::digest(&digest::SHA256, plain.as_bytes()).as_ref().to_vec()
}

pub(super) fn no_randomness() -> AuthError {
    AuthError::Unavailable("the system gives no random numbers".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_that_are_made_up_are_long_and_never_the_same() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.len(), 24);
        assert_eq!(one.split('-').count(), 5);
        assert_ne!(one, other);
    }

    #[test]
    fn how_a_password_is_grouped_does_not_matter() {
        let digests = ["abcd-efgh", "abcdefgh", "ABCD EFGH"].map(digest);
        assert!(digests.iter().all(|digest| *digest == digests[0]));
        assert_ne!(digest("abcd-efgi"), digests[0]);
    }
}
