//! The PLAIN mechanism of SASL (RFC 4616): one message with name and password.

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Characters of base64 that a message may take: three names of 1,024 octets, and what parts them.
pub const MAX_ENCODED: usize = 4 * 1024 + 16;

/// A client's credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Plain {
    /// Authentication identity: the login name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Plain {
    // Not the password: what is logged is read by many.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plain").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why a client's response is no PLAIN message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlainError {
    /// Longer than [`MAX_ENCODED`].
    #[error("the response is too long")]
    TooLong,
    /// Not base64 with its padding (RFC 4648 §4).
    #[error("the response is not valid base64")]
    Base64,
    /// Not `[authzid] NUL authcid NUL passwd` in UTF-8.
    #[error("the response is not a PLAIN message")]
    Malformed,
    /// The client asks to act as someone else, which nobody may.
    #[error("acting as another user is not allowed")]
    Proxy,
}

impl Plain {
    /// Decodes a client's response.
    pub fn decode(response: &[u8]) -> Result<Self, PlainError> {
        if response.len() > MAX_ENCODED {
            return Err(PlainError::TooLong);
        }
        let message = BASE64_STANDARD.decode(response).map_err(|_| PlainError::Base64)?;
        let message = String::from_utf8(message).map_err(|_| PlainError::Malformed)?;
        let mut parts = message.split('\0');
        let (Some(acts_as), Some(username), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PlainError::Malformed);
        };
        if username.is_empty() || password.is_empty() {
            return Err(PlainError::Malformed);
        }
        if !acts_as.is_empty() && acts_as != username {
            return Err(PlainError::Proxy);
        }
        Ok(Self { username: username.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(message: &str) -> Result<Plain, PlainError> {
        Plain::decode(BASE64_STANDARD.encode(message).as_bytes())
    }

    #[test]
    fn name_and_password_are_parted_by_nul() {
        let plain = Plain { username: "tim".into(), password: "tanstaaftanstaaf".into() };
        assert_eq!(decode("\0tim\0tanstaaftanstaaf"), Ok(plain.clone()));
        assert_eq!(decode("tim\0tim\0tanstaaftanstaaf"), Ok(plain));
    }

    #[test]
    fn nobody_acts_as_another() {
        assert_eq!(decode("Ursel\0Kurt\0xipj3plmq"), Err(PlainError::Proxy));
    }

    #[test]
    fn what_is_no_plain_message_is_an_error() {
        for message in ["", "tim", "tim\0pass", "\0tim\0", "\0\0pass", "\0tim\0pass\0more"] {
            assert_eq!(decode(message), Err(PlainError::Malformed), "{message:?}");
        }
        assert_eq!(Plain::decode(b"!!!"), Err(PlainError::Base64));
        assert_eq!(Plain::decode(b"AHRpbQBw"), decode("\0tim\0p"));
        assert_eq!(Plain::decode(&[b'A'; MAX_ENCODED + 4]), Err(PlainError::TooLong));
        assert_eq!(
            Plain::decode(BASE64_STANDARD.encode(b"\0tim\0\xff").as_bytes()),
            Err(PlainError::Malformed)
        );
    }
}
