//! OAUTHBEARER (RFC 7628) and XOAUTH2: an access token, and whom it is said to be of.

use crate::{Error, MAX_FIELD, scram};

/// What the client is told when its token is refused (RFC 7628 §3.2.2); it answers with an octet, and that is the end.
pub(crate) const REFUSED: &[u8] = br#"{"status":"invalid_token","schemes":"bearer"}"#;

/// The fields of XOAUTH2, which differ.
pub(crate) const REFUSED_XOAUTH2: &[u8] = br#"{"status":"401","schemes":"bearer","scope":""}"#;

/// What parts the fields (RFC 7628 §3.1).
const SEPARATOR: char = '\u{1}';

/// An access token, and the account that it should be for, if the client names one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) username: Option<String>,
    pub(crate) token: String,
}

impl Bearer {
    /// `n,a=user@example.com,^Ahost=…^Aport=…^Aauth=Bearer token^A^A` (RFC 7628 §3.1). Channels are not bound: RFC 7628
    /// knows of no mechanism that would.
    pub(crate) fn parse(message: &[u8]) -> Result<Self, Error> {
        let message = std::str::from_utf8(message).map_err(|_| Error::Malformed)?;
        let (header, fields) = message.split_once(SEPARATOR).ok_or(Error::Malformed)?;
        let acts_as = header.strip_prefix("n,").or_else(|| header.strip_prefix("y,"));
        let acts_as = acts_as.and_then(|rest| rest.strip_suffix(',')).ok_or(Error::Malformed)?;
        let username = match acts_as.strip_prefix("a=") {
            Some(name) => Some(scram::unescape(name)?),
            None if acts_as.is_empty() => None,
            None => return Err(Error::Malformed),
        };
        let token = token(fields)?;
        Ok(Self { username, token })
    }

    /// `user=someone@example.com^Aauth=Bearer token^A^A`.
    pub(crate) fn parse_xoauth2(message: &[u8]) -> Result<Self, Error> {
        let message = std::str::from_utf8(message).map_err(|_| Error::Malformed)?;
        let (user, fields) = message.split_once(SEPARATOR).ok_or(Error::Malformed)?;
        let user =
            user.strip_prefix("user=").filter(|user| user.len() <= MAX_FIELD).ok_or(Error::Malformed)?;
        let token = token(fields)?;
        Ok(Self { username: (!user.is_empty()).then(|| user.to_owned()), token })
    }
}

/// The value of `auth`, among other fields.
fn token(fields: &str) -> Result<String, Error> {
    let fields = fields.strip_suffix("\u{1}\u{1}").ok_or(Error::Malformed)?;
    let auth =
        fields.split(SEPARATOR).find_map(|field| field.strip_prefix("auth=")).ok_or(Error::Malformed)?;
    let (scheme, token) = auth.split_once(' ').ok_or(Error::Malformed)?;
    let token = token.trim_matches(' ');
    // RFC 6750 §2.1, b64token.
    let valid = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet);
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || !token.bytes().all(valid) {
        return Err(Error::Malformed);
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(username: Option<&str>, token: &str) -> Bearer {
        Bearer { username: username.map(str::to_owned), token: token.to_owned() }
    }

    /// RFC 7628 §4.1.
    #[test]
    fn the_example_of_the_standard() {
        let message = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01\
            auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
        assert_eq!(Bearer::parse(message), Ok(bearer(Some("user@example.com"), token)));
    }

    #[test]
    fn a_token_may_come_without_a_name() {
        assert_eq!(Bearer::parse(b"n,,\x01auth=Bearer abc\x01\x01"), Ok(bearer(None, "abc")));
        assert_eq!(Bearer::parse(b"n,a=a=2Cb,\x01auth=bearer abc\x01\x01"), Ok(bearer(Some("a,b"), "abc")));
    }

    #[test]
    fn the_older_form_names_the_user_in_front() {
        let message =
            b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01";
        let token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";
        assert_eq!(Bearer::parse_xoauth2(message), Ok(bearer(Some("someuser@example.com"), token)));
    }

    #[test]
    fn what_holds_no_token_is_an_error() {
        for message in [
            "",
            "\u{1}",
            "n,,",
            "n,,\u{1}\u{1}",
            "n,,\u{1}auth=Bearer \u{1}\u{1}",
            "n,,\u{1}auth=Basic abc\u{1}\u{1}",
            "n,,\u{1}auth=Bearer a b\u{1}\u{1}",
            "n,,\u{1}auth=Bearer abc\u{1}",
            "p=tls-exporter,,\u{1}auth=Bearer abc\u{1}\u{1}",
            "n,b=x,\u{1}auth=Bearer abc\u{1}\u{1}",
        ] {
            assert_eq!(Bearer::parse(message.as_bytes()), Err(Error::Malformed), "{message:?}");
        }
        assert_eq!(Bearer::parse_xoauth2(b"auth=Bearer abc\x01\x01"), Err(Error::Malformed));
    }
}
