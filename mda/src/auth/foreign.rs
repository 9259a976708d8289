//! Password hashes that other systems have made. They are checked as they are, and replaced by one of our own at the
//! first login that is right.

use argon2::{
    Params,
    password_hash::{self, phc::PasswordHash},
};
use sha_crypt::{PasswordVerifier as _, ShaCrypt};

/// The most that one check may cost, whoever made the hash: memory, and how much of it is gone over in all passes.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_ARGON2_WORK_KIB: u64 = 1024 * 1024;
const MAX_BCRYPT_COST: u32 = 16;
/// Of a hash that does not say.
const SHA_512_ROUNDS: u32 = 5_000;
const MIN_ROUNDS: u32 = 1_000;
const MAX_ROUNDS: u32 = 5_000_000;

/// Why a hash cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Nothing that could be checked here, or should be relied on.
    #[error(
        "a hash of this kind is not taken: {{ARGON2ID}}, {{BLF-CRYPT}} and {{SHA512-CRYPT}} are; others are too weak"
    )]
    Scheme,
    /// It is not what its scheme says.
    #[error("the hash cannot be read")]
    Malformed,
    /// Checking it would keep this machine busy.
    #[error("the hash was made with costs that are too high to be checked here")]
    Costs,
}

/// Reads a hash, with the scheme in braces in front that Dovecot writes, or without one.
pub fn import(text: &str) -> Result<String, ImportError> {
    let (scheme, hash) = match text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((scheme, hash)) => (Some(scheme.to_ascii_uppercase()), hash),
        None => (None, text),
    };
    let kind = Kind::of(hash).ok_or(ImportError::Scheme)?;
    if scheme.is_some_and(|scheme| scheme != kind.scheme()) {
        return Err(ImportError::Scheme);
    }
    match kind {
        Kind::Argon2id => {
            let hash = PasswordHash::new(hash).map_err(|_| ImportError::Malformed)?;
            let params = Params::try_from(&hash).map_err(|_| ImportError::Malformed)?;
            let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
            if params.m_cost() > MAX_MEMORY_KIB || work > MAX_ARGON2_WORK_KIB {
                return Err(ImportError::Costs);
            }
            if hash.salt.is_none() || hash.hash.is_none() {
                return Err(ImportError::Malformed);
            }
        }
        Kind::Bcrypt => {
            let parts: bcrypt::HashParts = hash.parse().map_err(|_| ImportError::Malformed)?;
            if parts.get_cost() > MAX_BCRYPT_COST {
                return Err(ImportError::Costs);
            }
        }
        Kind::Sha512Crypt => {
            if sha512_rounds(hash).ok_or(ImportError::Malformed)? > MAX_ROUNDS {
                return Err(ImportError::Costs);
            }
        }
    }
    Ok(hash.to_owned())
}

/// The rounds of `$6$rounds=5000$salt$digest`, if it is that; nothing is computed, which may take seconds.
fn sha512_rounds(hash: &str) -> Option<u32> {
    let fields = hash.strip_prefix("$6$")?;
    let (rounds, fields) = match fields.strip_prefix("rounds=") {
        Some(rest) => {
            let (rounds, fields) = rest.split_once('$')?;
            (rounds.parse().ok().filter(|rounds| *rounds >= MIN_ROUNDS)?, fields)
        }
        None => (SHA_512_ROUNDS, fields),
    };
    let (salt, digest) = fields.split_once('$')?;
    let is_digest = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'/');
    let right = (1..=16).contains(&salt.len()) && digest.len() == 86 && digest.bytes().all(is_digest);
    right.then_some(rounds)
}

/// Checks a password against a hash that was made elsewhere; none if the hash is of our kind. An error if it cannot be
/// read.
pub(super) fn verify(password: &str, hash: &str) -> Option<Result<bool, String>> {
    match Kind::of(hash)? {
        Kind::Argon2id => None,
        Kind::Bcrypt => Some(bcrypt::verify(password, hash).map_err(|error| error.to_string())),
        Kind::Sha512Crypt => Some(match ShaCrypt::default().verify_password(password.as_bytes(), hash) {
            Ok(()) => Ok(true),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(error.to_string()),
        }),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Argon2id,
    Bcrypt,
    Sha512Crypt,
}

impl Kind {
    fn of(hash: &str) -> Option<Self> {
        match hash.strip_prefix('$')?.split('$').next()? {
            "argon2id" => Some(Self::Argon2id),
            "2a" | "2b" | "2y" => Some(Self::Bcrypt),
            "6" => Some(Self::Sha512Crypt),
            _ => None,
        }
    }

    /// As Dovecot names it.
    fn scheme(self) -> &'static str {
        match self {
            Self::Argon2id => "ARGON2ID",
            Self::Bcrypt => "BLF-CRYPT",
            Self::Sha512Crypt => "SHA512-CRYPT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `U*U`, from crypt_blowfish's own tests.
    const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    /// Of `Hello world!`, from the specification of SHA-crypt.
    const SHA_512: &str = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";

    #[test]
    fn hashes_of_other_systems_are_checked() {
        for (scheme, hash, password) in
            [("BLF-CRYPT", BCRYPT, "U*U"), ("SHA512-CRYPT", SHA_512, "Hello world!")]
        {
            assert_eq!(import(&format!("{{{scheme}}}{hash}")), Ok(hash.to_owned()));
            assert_eq!(import(hash), Ok(hash.to_owned()));
            assert_eq!(verify(password, hash), Some(Ok(true)), "{scheme}");
            assert_eq!(verify("wrong", hash), Some(Ok(false)), "{scheme}");
        }
    }

    #[test]
    fn weak_and_foreign_hashes_are_refused() {
        for text in [
            "{PLAIN}secret",
            "{SSHA}1234567890123456789012345678ABCDEFGH",
            "{SSHA512}abc",
            "secret",
            "",
            "$1$salt$hash",
            "{CRYPT}$1$salt$hash",
        ] {
            assert_eq!(import(text), Err(ImportError::Scheme), "{text}");
        }
        assert_eq!(import(&format!("{{SSHA}}{BCRYPT}")), Err(ImportError::Scheme));
        assert_eq!(import("$2y$05$short"), Err(ImportError::Malformed));
        assert_eq!(import("$6$salt"), Err(ImportError::Malformed));
        assert_eq!(import("$argon2id$v=19$m=1$x"), Err(ImportError::Malformed));
        let without_digest = "$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHQ";
        assert_eq!(import(without_digest), Err(ImportError::Malformed));
        assert_eq!(import(&SHA_512.replace("$6$", "$6$rounds=10$")), Err(ImportError::Malformed));
        assert_eq!(import(&SHA_512.replace('/', "!")), Err(ImportError::Malformed));
    }

    #[test]
    fn hashes_that_would_keep_the_machine_busy_are_refused() {
        assert_eq!(import(&BCRYPT.replace("$05$", "$31$")), Err(ImportError::Costs));
        assert_eq!(import(&SHA_512.replace("$6$", "$6$rounds=999999999$")), Err(ImportError::Costs));
        let dear = "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ";
        assert_eq!(import(dear), Err(ImportError::Costs));
        // Each is within bounds; both together are not.
        assert_eq!(import(&dear.replace("m=4194304,t=1", "m=262144,t=64")), Err(ImportError::Costs));
        assert!(import(&dear.replace("m=4194304,t=1", "m=65536,t=3")).is_ok());
    }
}
