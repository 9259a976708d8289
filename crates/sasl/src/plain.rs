//! PLAIN (RFC 4616): name and password in one message.

use crate::{Error, MAX_FIELD};

/// `[authzid] NUL authcid NUL passwd` (RFC 4616 §2): name and password.
pub(crate) fn parse(message: &[u8]) -> Result<(String, String), Error> {
    let message = std::str::from_utf8(message).map_err(|_| Error::Malformed)?;
    let mut parts = message.split('\0');
    let (Some(acts_as), Some(username), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Error::Malformed);
    };
    let (username, password) = (field(username)?, field(password)?);
    if !acts_as.is_empty() && acts_as != username {
        return Err(Error::Proxy);
    }
    Ok((username, password))
}

/// A name or a password.
pub(crate) fn field(text: &str) -> Result<String, Error> {
    let valid = (1..=MAX_FIELD).contains(&text.len()) && !text.contains('\0');
    if valid { Ok(text.to_owned()) } else { Err(Error::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_password_are_parted_by_nul() {
        let tim = Ok(("tim".to_owned(), "tanstaaftanstaaf".to_owned()));
        assert_eq!(parse(b"\0tim\0tanstaaftanstaaf"), tim);
        assert_eq!(parse(b"tim\0tim\0tanstaaftanstaaf"), tim);
    }

    #[test]
    fn nobody_acts_as_another() {
        assert_eq!(parse(b"Ursel\0Kurt\0xipj3plmq"), Err(Error::Proxy));
    }

    #[test]
    fn what_is_no_plain_message_is_an_error() {
        for message in ["", "tim", "tim\0pass", "\0tim\0", "\0\0pass", "\0tim\0pass\0more"] {
            assert_eq!(parse(message.as_bytes()), Err(Error::Malformed), "{message:?}");
        }
        assert_eq!(parse(b"\0tim\0\xff"), Err(Error::Malformed));
        assert_eq!(parse(format!("\0tim\0{}", "a".repeat(1025)).as_bytes()), Err(Error::Malformed));
    }
}
