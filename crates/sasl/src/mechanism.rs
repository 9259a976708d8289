//! The mechanisms and their names.

use std::fmt;

use crate::scram::Hash;

/// A way to say who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mechanism {
    /// SCRAM-SHA-256-PLUS (RFC 7677): the password is proved, and so is that nobody stands in between.
    ScramSha256Plus,
    /// SCRAM-SHA-256 (RFC 7677): the password is proved and never sent.
    ScramSha256,
    /// SCRAM-SHA-1-PLUS (RFC 5802).
    ScramSha1Plus,
    /// SCRAM-SHA-1 (RFC 5802), all that older programs can.
    ScramSha1,
    /// EXTERNAL (RFC 4422 appendix A): what TLS has shown, a client's certificate.
    External,
    /// OAUTHBEARER (RFC 7628): an access token.
    OAuthBearer,
    /// XOAUTH2: the same before there was a standard for it.
    XOAuth2,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN: never a standard, but all some programs can.
    Login,
}

impl Mechanism {
    /// All of them, the strongest first, which is the order they are offered in.
    pub const ALL: [Self; 9] = [
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::ScramSha1Plus,
        Self::ScramSha1,
        Self::External,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::Plain,
        Self::Login,
    ];

    /// The mechanism of this name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::External => "EXTERNAL",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The hash of SCRAM, and whether the channel is bound.
    pub fn scram(self) -> Option<(Hash, bool)> {
        match self {
            Self::ScramSha256Plus => Some((Hash::Sha256, true)),
            Self::ScramSha256 => Some((Hash::Sha256, false)),
            Self::ScramSha1Plus => Some((Hash::Sha1, true)),
            Self::ScramSha1 => Some((Hash::Sha1, false)),
            _ => None,
        }
    }

    /// Whether the client sends a password that others could use.
    pub fn reveals_password(self) -> bool {
        matches!(self, Self::Plain | Self::Login)
    }

    /// Whether the server speaks first (RFC 4422 §3): a client has nothing to say before.
    pub(crate) fn server_speaks_first(self) -> bool {
        self == Self::Login
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_no_other_name_is() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::parse(mechanism.name()), Some(mechanism));
            assert_eq!(Mechanism::parse(&mechanism.name().to_lowercase()), Some(mechanism));
        }
        assert_eq!(Mechanism::parse("CRAM-MD5"), None);
        assert_eq!(Mechanism::parse(""), None);
    }
}
