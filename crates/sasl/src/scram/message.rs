//! What the client says in SCRAM (RFC 5802 §7), octets to types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, plain};

/// The client's first message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct First<'a> {
    /// `gs2-header`: what is said of channel bindings, and whom to act as.
    pub(crate) header: &'a str,
    pub(crate) flag: Flag<'a>,
    /// The rest, as it goes into the proof.
    pub(crate) bare: &'a str,
    pub(crate) username: String,
    pub(crate) nonce: &'a str,
}

/// `gs2-cbind-flag`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flag<'a> {
    /// The client cannot bind channels.
    CannotBind,
    /// The client could, but believes that the server cannot.
    BelievesWeCannot,
    /// The client binds this kind of channel.
    Binds(&'a str),
}

/// The client's last message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Final<'a> {
    /// Without the proof, as it goes into the proof.
    pub(crate) without_proof: &'a str,
    /// `gs2-header`, and the channel's data behind it.
    pub(crate) binding: Vec<u8>,
    pub(crate) nonce: &'a str,
    pub(crate) proof: Vec<u8>,
}

impl<'a> First<'a> {
    /// `gs2-cbind-flag "," [ authzid ] "," [reserved-mext ","] username "," nonce ["," extensions]`
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, Error> {
        let message = text(message)?;
        let mut parts = message.splitn(3, ',');
        let (Some(flag), Some(acts_as), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Error::Malformed);
        };
        let header = &message[..message.len() - bare.len()];
        let flag = match flag.strip_prefix("p=") {
            Some(kind) => Flag::Binds(kind),
            None if flag == "n" => Flag::CannotBind,
            None if flag == "y" => Flag::BelievesWeCannot,
            None => return Err(Error::Malformed),
        };
        // `m=` in front is an extension that must be understood, and none is.
        let mut attributes = bare.split(',');
        let username = attribute(attributes.next(), "n=")?;
        let nonce = attribute(attributes.next(), "r=")?;
        let username = unescape(username)?;
        match acts_as.strip_prefix("a=") {
            // Against the grammar, but said by GNU SASL of a user who acts as nobody else.
            Some("") => {}
            Some(other) if unescape(other)? != username => return Err(Error::Proxy),
            None if !acts_as.is_empty() => return Err(Error::Malformed),
            _ => {}
        }
        if nonce.is_empty() || !nonce.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(Error::Malformed);
        }
        Ok(Self { header, flag, bare, username, nonce })
    }
}

impl<'a> Final<'a> {
    /// `channel-binding "," nonce ["," extensions] "," proof`
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, Error> {
        let message = text(message)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Error::Malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attribute(attributes.next(), "c=")?;
        let nonce = attribute(attributes.next(), "r=")?;
        let decode = |text| STANDARD.decode(text).map_err(|_| Error::Malformed);
        Ok(Self { without_proof, binding: decode(binding)?, nonce, proof: decode(proof)? })
    }
}

/// `saslname`: a comma is written `=2C`, an equals sign `=3D`, and no other equals sign may stand in it.
pub(crate) fn unescape(name: &str) -> Result<String, Error> {
    let mut pieces = name.split('=');
    let mut unescaped = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (character, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            (None, None) => return Err(Error::Malformed),
        };
        unescaped.push(character);
        unescaped.push_str(rest);
    }
    plain::field(&unescaped)
}

fn text(message: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(message).map_err(|_| Error::Malformed)
}

fn attribute<'a>(found: Option<&'a str>, name: &str) -> Result<&'a str, Error> {
    found.and_then(|attribute| attribute.strip_prefix(name)).ok_or(Error::Malformed)
}
