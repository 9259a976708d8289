//! The server's two messages, and the check of the proof.

use aws_lc_rs::{constant_time, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::message::{Final, First, Flag};
use super::{Hash, Keys, Verifier};
use crate::{Binding, Context, Error, Offer};

/// Octets of our nonce, before base64.
const NONCE: usize = 18;

/// The client has said who it is.
pub(crate) struct Begun {
    hash: Hash,
    pub(crate) username: String,
    /// `client-first-message-bare`.
    client_first: String,
    /// Both sides' nonces.
    nonce: String,
    /// What the client has to repeat: its header, and the channel's data.
    binding: Vec<u8>,
}

/// The client has been told salt and rounds; its proof is to come.
pub(crate) struct Challenged {
    begun: Begun,
    verifier: Verifier,
    server_first: String,
}

/// The client has proved that it knows the password.
#[derive(Debug)]
pub(crate) struct Proved {
    pub(crate) username: String,
    /// The password's, of the verifier's candidates.
    pub(crate) keys: Keys,
    /// `server-final-message`.
    pub(crate) server_final: String,
}

impl Begun {
    /// Takes the client's first message.
    pub(crate) fn new(hash: Hash, binds: bool, context: &Context, message: &[u8]) -> Result<Self, Error> {
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce).map_err(|_| Error::Random)?;
        Self::with_nonce(hash, binds, context, message, &STANDARD.encode(nonce))
    }

    pub(crate) fn with_nonce(
        hash: Hash,
        binds: bool,
        context: &Context,
        message: &[u8],
        nonce: &str,
    ) -> Result<Self, Error> {
        let first = First::parse(message)?;
        let data = match first.flag {
            Flag::Binds(kind) if binds => context.bindings.get(kind).ok_or(Error::Binding)?,
            // The name of the mechanism says whether the channel is bound, and has to be of one mind with the flag.
            Flag::Binds(_) => return Err(Error::Binding),
            _ if binds => return Err(Error::Malformed),
            // Someone in between has taken the `-PLUS` away (RFC 5802 §6).
            Flag::BelievesWeCannot if context.offer == Offer::WithBinding => return Err(Error::Binding),
            Flag::BelievesWeCannot | Flag::CannotBind => &[],
        };
        let binding = [first.header.as_bytes(), data].concat();
        Ok(Self {
            hash,
            nonce: format!("{}{nonce}", first.nonce),
            client_first: first.bare.to_owned(),
            binding,
            username: first.username,
        })
    }

    /// Goes on with what is known of the user: what is to be said, and the state after that.
    pub(crate) fn challenge(self, verifier: Verifier) -> (String, Challenged) {
        let salt = STANDARD.encode(&verifier.salt);
        let server_first = format!("r={},s={salt},i={}", self.nonce, verifier.iterations);
        (server_first.clone(), Challenged { begun: self, verifier, server_first })
    }
}

impl Challenged {
    /// Takes the client's last message.
    pub(crate) fn verify(self, message: &[u8]) -> Result<Proved, Error> {
        let Self { begun, verifier, server_first } = self;
        let last = Final::parse(message)?;
        if last.nonce != begun.nonce {
            return Err(Error::Malformed);
        }
        if constant_time::verify_slices_are_equal(&last.binding, &begun.binding).is_err() {
            return Err(Error::Binding);
        }
        let signed = format!("{},{server_first},{}", begun.client_first, last.without_proof);
        let right = |keys: &Keys| keys.verify(begun.hash, signed.as_bytes(), &last.proof);
        let keys = verifier.candidates.into_iter().find(right).ok_or(Error::Proof)?;
        let signature = begun.hash.hmac(&keys.server, signed.as_bytes());
        let server_final = format!("v={}", STANDARD.encode(signature));
        Ok(Proved { username: begun.username, keys, server_final })
    }
}

impl Binding {
    fn get(&self, kind: &str) -> Option<&[u8]> {
        match kind {
            "tls-exporter" => self.tls_exporter.as_deref(),
            "tls-server-end-point" => self.tls_server_end_point.as_deref(),
            _ => None,
        }
    }
}
