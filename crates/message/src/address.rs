//! Mailbox addresses of the envelope: `local-part@domain` (RFC 5321 §4.1.2), in UTF-8 (RFC 6531 §3.3).
//!
//! What a peer wrote is kept and printed as written; equality, order and hashing go by meaning: `"a b"@x` equals
//! `"a\ b"@X`, and a domain in U-labels equals its A-labels.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

#[cfg(test)]
mod tests;

/// Octets in a local part at most (RFC 5321 §4.5.3.1.1).
pub const MAX_LOCAL_PART: usize = 64;
/// Octets in a domain at most (RFC 5321 §4.5.3.1.2).
pub const MAX_DOMAIN: usize = 255;
/// Octets in a path at most, its two angle brackets included (RFC 5321 §4.5.3.1.3).
pub const MAX_PATH: usize = 256;
/// Octets in a label of the DNS at most (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// A mailbox: local part, `@` and domain.
///
/// Equality is exact about the case of the local part, as RFC 5321 §2.4 wants it between hosts; whoever owns the domain
/// looks mailboxes up by [`Address::key`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    domain: Domain,
    local_part: LocalPart,
}

impl Address {
    /// Puts an address together from its parts.
    ///
    /// # Errors
    /// [`AddressError::TooLong`] if it would not fit into a path.
    pub fn new(local_part: LocalPart, domain: Domain) -> Result<Self, AddressError> {
        // The brackets and the `@` count.
        if local_part.as_str().len() + domain.as_str().len() + 3 > MAX_PATH {
            return Err(AddressError::TooLong);
        }
        Ok(Self { domain, local_part })
    }

    /// Parses `local-part@domain`, without angle brackets.
    ///
    /// # Errors
    /// Says which rule of RFC 5321 §4.1.2 or §4.5.3.1 the text breaks.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        // A quoted local part may hold an `@`, a domain cannot: the last one parts them.
        let (local_part, domain) = text.rsplit_once('@').ok_or(AddressError::NoAt)?;
        Self::new(LocalPart::parse(local_part)?, Domain::parse(domain)?)
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &LocalPart {
        &self.local_part
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The key by which a mailbox is found here: local part unquoted and in lower case, domain in lower-case A-labels.
    ///
    /// Two spellings that people take for the same address have the same key.
    pub fn key(&self) -> String {
        format!("{}@{}", self.local_part.unquoted().to_lowercase(), self.domain.ascii())
    }

    /// Whether every octet is ASCII as it stands, so that it can travel without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.local_part.text.is_ascii() && self.domain.text.is_ascii()
    }

    /// The same address for a hop without SMTPUTF8: the domain in A-labels. `None` if the local part is not ASCII,
    /// for which there is no such form (RFC 6531 §3.3).
    pub fn to_ascii(&self) -> Option<Self> {
        if !self.local_part.text.is_ascii() {
            return None;
        }
        let domain = if self.domain.text.is_ascii() {
            self.domain.clone()
        } else {
            Domain { text: self.domain.ascii.clone(), ..self.domain.clone() }
        };
        Self::new(self.local_part.clone(), domain).ok()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part, self.domain)
    }
}

/// Where reports about a message go: an address, or nowhere (`<>`, RFC 5321 §4.5.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReversePath {
    /// `<>`: the message is itself a report and must never cause another.
    #[default]
    Null,
    /// Reports go here.
    Address(Address),
}

impl ReversePath {
    /// Parses a reverse-path without its angle brackets; empty text is the null one.
    ///
    /// # Errors
    /// As [`Address::parse`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() { Ok(Self::Null) } else { Address::parse(text).map(Self::Address) }
    }

    /// The address, unless null.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }

    /// Whether this is `<>`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl From<Address> for ReversePath {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

impl FromStr for ReversePath {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// Without angle brackets: empty text for the null path, as [`ReversePath::parse`] reads it.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().map_or(Ok(()), |address| address.fmt(f))
    }
}

/// The part before the `@`: a dot-string or a quoted string (RFC 5321 §4.1.2).
#[derive(Clone, Debug)]
pub struct LocalPart {
    /// As it was written, with its quotes if it has any.
    text: Box<str>,
}

impl LocalPart {
    /// Parses a local part as it stands in a path.
    ///
    /// # Errors
    /// [`AddressError::LocalPart`], [`AddressError::LocalPartTooLong`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_LOCAL_PART {
            return Err(AddressError::LocalPartTooLong);
        }
        let quoted = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
        let valid = if quoted { is_quoted_content(&text[1..text.len() - 1]) } else { is_dot_string(text) };
        if valid { Ok(Self { text: text.into() }) } else { Err(AddressError::LocalPart) }
    }

    /// Makes a local part that means `content`, quoted if it has to be.
    ///
    /// # Errors
    /// As [`LocalPart::parse`]: control characters and too long a text have no form.
    pub fn from_unquoted(content: &str) -> Result<Self, AddressError> {
        if is_dot_string(content) {
            return Self::parse(content);
        }
        let mut text = String::with_capacity(content.len() + 2);
        text.push('"');
        for c in content.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
        Self::parse(&text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it means: without quotes and backslashes.
    pub fn unquoted(&self) -> Cow<'_, str> {
        let Some(content) = self.text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return Cow::Borrowed(&self.text);
        };
        if !content.contains('\\') {
            return Cow::Borrowed(content);
        }
        let mut meaning = String::with_capacity(content.len());
        let mut chars = content.chars();
        while let Some(c) = chars.next() {
            meaning.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        Cow::Owned(meaning)
    }
}

impl PartialEq for LocalPart {
    fn eq(&self, other: &Self) -> bool {
        self.unquoted() == other.unquoted()
    }
}

impl Eq for LocalPart {}

impl Hash for LocalPart {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.unquoted().hash(state);
    }
}

impl PartialOrd for LocalPart {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LocalPart {
    fn cmp(&self, other: &Self) -> Ordering {
        self.unquoted().cmp(&other.unquoted())
    }
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `Dot-string = Atom *("." Atom)`, atoms extended by UTF-8 (RFC 6531 §3.3).
fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// `atext` (RFC 5322 §3.2.3), or what UTF-8 adds; C1 controls and line separators are in no one's name.
fn is_atext(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        _ if c.is_ascii() => "!#$%&'*+-/=?^_`{|}~".contains(c),
        _ => is_utf8_text(c),
    }
}

/// `*QcontentSMTP` (RFC 5321 §4.1.2): text between quotes, in which a backslash takes the next character as it is.
fn is_quoted_content(content: &str) -> bool {
    let mut chars = content.chars();
    while let Some(c) = chars.next() {
        let valid = match c {
            '"' => false,
            '\\' => chars.next().is_some_and(|escaped| matches!(escaped, ' '..='~')),
            ' '..='~' => true,
            _ => is_utf8_text(c),
        };
        if !valid {
            return false;
        }
    }
    true
}

fn is_utf8_text(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// The part behind the `@`: a domain name or an address literal (RFC 5321 §4.1.2 and §4.1.3).
#[derive(Clone, Debug)]
pub struct Domain {
    /// As it was written.
    text: Box<str>,
    /// The name in lower-case A-labels, or the literal in its canonical form.
    ascii: Box<str>,
    /// The address of an address literal.
    ip: Option<IpAddr>,
}

impl Domain {
    /// Parses a domain name in A-labels or U-labels, or an address literal in square brackets.
    ///
    /// # Errors
    /// [`AddressError::Domain`], [`AddressError::AddressLiteral`], [`AddressError::DomainTooLong`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_DOMAIN {
            return Err(AddressError::DomainTooLong);
        }
        if text.starts_with('[') {
            let ip = parse_literal(text).ok_or(AddressError::AddressLiteral)?;
            return Ok(Self { text: text.into(), ..Self::from(ip) });
        }
        let ascii = if text.is_ascii() { ascii_name(text) } else { idna_name(text) };
        Ok(Self { text: text.into(), ascii: ascii.ok_or(AddressError::Domain)?.into(), ip: None })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name in lower-case A-labels, as the DNS and other hosts know it; a literal in its canonical form. The key of
    /// a domain.
    pub fn ascii(&self) -> &str {
        &self.ascii
    }

    /// The address, if this is an address literal.
    pub fn ip(&self) -> Option<IpAddr> {
        self.ip
    }
}

/// The address literal of an IP address: `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
impl From<IpAddr> for Domain {
    fn from(ip: IpAddr) -> Self {
        let text: Box<str> = match ip {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        }
        .into();
        Self { text: text.clone(), ascii: text, ip: Some(ip) }
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.ascii == other.ascii
    }
}

impl Eq for Domain {}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ascii.hash(state);
    }
}

impl PartialOrd for Domain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Domain {
    fn cmp(&self, other: &Self) -> Ordering {
        self.ascii.cmp(&other.ascii)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3). Other tags are registered nowhere and reach no one.
fn parse_literal(text: &str) -> Option<IpAddr> {
    let content = text.strip_prefix('[')?.strip_suffix(']')?;
    match content.split_at_checked(5) {
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPv6:") => {
            rest.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        _ => content.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// A name of letters, digits and hyphens, in lower case. A-labels are taken as they are.
fn ascii_name(text: &str) -> Option<String> {
    let valid = text.split('.').all(|label| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    });
    valid.then(|| text.to_ascii_lowercase())
}

/// A name with U-labels, as A-labels (RFC 5890, mapped by UTS 46).
fn idna_name(text: &str) -> Option<String> {
    let name = Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .ok()?;
    Some(name.into_owned())
}

/// Why a text is not an address; the words are fit for an SMTP reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`.
    #[error("an address has the form local-part@domain")]
    NoAt,
    /// The local part is neither a dot-string nor a quoted string.
    #[error("malformed local part")]
    LocalPart,
    /// The local part is over [`MAX_LOCAL_PART`] octets.
    #[error("local part longer than 64 octets")]
    LocalPartTooLong,
    /// The domain is no name of the DNS.
    #[error("malformed domain")]
    Domain,
    /// The text in square brackets is no IPv4 or IPv6 address.
    #[error("malformed address literal")]
    AddressLiteral,
    /// The domain is over [`MAX_DOMAIN`] octets.
    #[error("domain longer than 255 octets")]
    DomainTooLong,
    /// The whole is over [`MAX_PATH`] octets.
    #[error("path longer than 256 octets")]
    TooLong,
}
