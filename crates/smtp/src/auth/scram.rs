//! SCRAM-SHA-256, the client's side (RFC 5802, RFC 7677): the password is proved and never sent, and the server has to
//! prove in turn that it knows it.
//!
//! No channel binding: TLS is there for whom the certificate is checked.

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Credentials, LENIENT};

#[cfg(test)]
mod tests;

/// The mechanism's name.
pub(super) const NAME: &str = "SCRAM-SHA-256";

/// Rounds of hashing that a server may ask for: with less than RFC 7677 §4 allows, whoever poses as the server learns
/// too much; with more, it could keep this host busy.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;
/// Octets of the client's nonce, before base64.
const NONCE: usize = 18;

/// An exchange that is under way.
pub(crate) struct Scram {
    password: super::Password,
    /// `n,,` or `n,a=bob,`: no channel binding, and whom to act as.
    header: String,
    /// The first message without `header`.
    first: String,
    nonce: String,
    state: State,
}

enum State {
    /// The server's nonce, salt and number of rounds are to come.
    First,
    /// The server's proof is to come; this is what it has to be.
    Final([u8; digest::SHA256_OUTPUT_LEN]),
    /// The server has proved that it knows the password.
    Verified,
}

impl Scram {
    /// Whether these credentials can be used. SASLprep (RFC 4013) leaves printable ASCII as it is; the rest of Unicode
    /// would need its tables, so that a password beyond ASCII goes by PLAIN.
    pub(crate) fn can_prove(credentials: &Credentials) -> bool {
        let printable = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let authorization = credentials.authorization.as_deref().unwrap_or_default();
        [&*credentials.username, credentials.password.reveal(), authorization].into_iter().all(printable)
    }

    /// Begins an exchange.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn start(credentials: Credentials) -> Result<Self, ScramError> {
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce).map_err(|_| ScramError::Random)?;
        Ok(Self::with_nonce(credentials, STANDARD.encode(nonce)))
    }

    fn with_nonce(credentials: Credentials, nonce: String) -> Self {
        let header = match &credentials.authorization {
            Some(authorization) => format!("n,a={},", escape(authorization)),
            None => "n,,".into(),
        };
        let first = format!("n={},r={nonce}", escape(&credentials.username));
        Self { password: credentials.password, header, first, nonce, state: State::First }
    }

    /// What goes with the command.
    pub(crate) fn initial_response(&self) -> String {
        STANDARD.encode(format!("{}{}", self.header, self.first))
    }

    /// The response to a challenge.
    ///
    /// # Errors
    /// The exchange has failed; the password is still as secret as before.
    pub(crate) fn respond(&mut self, challenge: &str) -> Result<String, ScramError> {
        let challenge = LENIENT.decode(challenge).map_err(|_| ScramError::Malformed)?;
        let challenge = std::str::from_utf8(&challenge).map_err(|_| ScramError::Malformed)?;
        match &self.state {
            State::First => self.prove(challenge),
            State::Final(expected) => {
                let proof = challenge.split(',').next().and_then(|first| first.strip_prefix("v="));
                let proof = proof.and_then(|proof| LENIENT.decode(proof).ok()).unwrap_or_default();
                constant_time::verify_slices_are_equal(&proof, expected).map_err(|_| ScramError::Impostor)?;
                self.state = State::Verified;
                Ok(String::new())
            }
            State::Verified => Err(ScramError::Malformed),
        }
    }

    /// Whether the server has proved that it knows the password. Its word that all is well does not count without.
    pub(crate) fn is_verified(&self) -> bool {
        matches!(self.state, State::Verified)
    }

    /// The last message, in answer to the server's first (RFC 5802 §3).
    fn prove(&mut self, server_first: &str) -> Result<String, ScramError> {
        let parameters = Parameters::parse(server_first).ok_or(ScramError::Malformed)?;
        let added = parameters.nonce.strip_prefix(&*self.nonce).ok_or(ScramError::Impostor)?;
        if added.is_empty() {
            return Err(ScramError::Impostor);
        }
        if !ITERATIONS.contains(&parameters.iterations.get()) {
            return Err(ScramError::Iterations(parameters.iterations.get()));
        }
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            parameters.iterations,
            &parameters.salt,
            self.password.reveal().as_bytes(),
            &mut salted,
        );
        let without_proof = format!("c={},r={}", STANDARD.encode(&self.header), parameters.nonce);
        let signed = format!("{},{server_first},{without_proof}", self.first);
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let signature = sign(stored_key.as_ref(), signed.as_bytes());
        let proof: Vec<u8> =
            client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, bits)| key ^ bits).collect();
        let server_key = sign(&salted, b"Server Key");
        let mut expected = [0; digest::SHA256_OUTPUT_LEN];
        expected.copy_from_slice(sign(server_key.as_ref(), signed.as_bytes()).as_ref());
        self.state = State::Final(expected);
        Ok(STANDARD.encode(format!("{without_proof},p={}", STANDARD.encode(proof))))
    }
}

/// Nothing of an exchange is printed.
impl std::fmt::Debug for Scram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scram").finish_non_exhaustive()
    }
}

/// The server's first message: `r=nonce,s=salt,i=rounds`, perhaps with extensions behind them.
struct Parameters<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: std::num::NonZeroU32,
}

impl<'a> Parameters<'a> {
    fn parse(message: &'a str) -> Option<Self> {
        // An extension in front (`m=`) is one that must be understood (RFC 5802 §5.1).
        let mut attributes = message.split(',');
        let nonce = attributes.next()?.strip_prefix("r=")?;
        let salt = LENIENT.decode(attributes.next()?.strip_prefix("s=")?).ok()?;
        let iterations = attributes.next()?.strip_prefix("i=")?.parse().ok()?;
        (!salt.is_empty()).then_some(Self { nonce, salt, iterations })
    }
}

fn sign(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

/// `saslname` of RFC 5802 §7.
fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// Why an exchange came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScramError {
    /// Not what the mechanism has at this point.
    #[error("The server's SCRAM challenge is malformed")]
    Malformed,
    /// The server does not know the password, or answers another client.
    #[error("The server did not prove that it knows the password")]
    Impostor,
    /// Too few rounds, or too many.
    #[error("The server asks for {0} rounds of SCRAM, which are too few or too many")]
    Iterations(u32),
    /// No random numbers.
    #[error("No random numbers for SCRAM")]
    Random,
}
