//! SCRAM (RFC 5802, RFC 7677), the server's side: it keeps keys that are made of the password and cannot be used to log
//! in, and learns from the client's proof whether it knows the password.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};

pub(crate) use message::unescape;

pub(crate) mod message;
pub(crate) mod server;
#[cfg(test)]
mod tests;

/// Rounds of hashing at least (RFC 7677 §4).
pub const MIN_ITERATIONS: u32 = 4096;

/// The hash function of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1, of SCRAM-SHA-1. In HMAC and PBKDF2 nothing is known against it.
    Sha1,
    /// SHA-256, of SCRAM-SHA-256.
    Sha256,
}

/// What is kept of a password for one hash function (RFC 5802 §3).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// `StoredKey`: what the client's proof is held against.
    pub stored: Vec<u8>,
    /// `ServerKey`: by which the server proves that it knows the password.
    pub server: Vec<u8>,
}

/// What an exchange needs to know of a user: the salt, and the keys of every password that is right for that user and
/// was made with it. Of a user who does not exist: a salt, and no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    /// The salt.
    pub salt: Vec<u8>,
    /// Rounds of hashing.
    pub iterations: u32,
    /// The keys of each password.
    pub candidates: Vec<Keys>,
}

impl Keys {
    /// The keys of a password, which must be prepared ([`crate::prepare`]).
    pub fn derive(hash: Hash, password: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted = vec![0; hash.output_len()];
        pbkdf2::derive(hash.pbkdf2(), iterations, salt, password.as_bytes(), &mut salted);
        let client_key = hash.hmac(&salted, b"Client Key");
        Self { stored: hash.digest(&client_key), server: hash.hmac(&salted, b"Server Key") }
    }

    /// Whether `proof` proves the password to someone who was told `message`.
    fn verify(&self, hash: Hash, message: &[u8], proof: &[u8]) -> bool {
        let signature = hash.hmac(&self.stored, message);
        if proof.len() != signature.len() {
            return false;
        }
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(proof, bits)| proof ^ bits).collect();
        constant_time::verify_slices_are_equal(&hash.digest(&client_key), &self.stored).is_ok()
    }
}

impl std::fmt::Debug for Keys {
    // Not the keys: what is logged is read by many.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Hash {
    fn output_len(self) -> usize {
        match self {
            Self::Sha1 => digest::SHA1_OUTPUT_LEN,
            Self::Sha256 => digest::SHA256_OUTPUT_LEN,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        }
    }

    fn hmac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), text).as_ref().to_vec()
    }

    fn digest(self, text: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, text).as_ref().to_vec()
    }
}
