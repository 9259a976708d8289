//! URLs of messages in mailboxes of ours (RFC 5092 §5), as CATENATE has them: relative ones only (RFC 4469 §3).

use bytes::Bytes;

use super::cursor::Cursor;
use super::fetch::{Partial, Section, section};

/// A message, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageUrl {
    /// Its name in UTF-8; None: the selected one.
    pub mailbox: Option<String>,
    /// What the mailbox's must be.
    pub uid_validity: Option<u32>,
    /// Which message.
    pub uid: u32,
    /// What of the message.
    pub section: Section,
    /// Which octets of that.
    pub partial: Option<Partial>,
}

/// Reads `/mailbox[;UIDVALIDITY=n]/;UID=n[/;SECTION=…][/;PARTIAL=offset[.length]]`. None if it is anything else: a URL
/// of another server, or of no message.
pub fn message_url(url: &[u8]) -> Option<MessageUrl> {
    let text = std::str::from_utf8(url).ok()?;
    let (place, message) = split_once(text, ";UID=")?;
    let place = place.strip_suffix('/').unwrap_or(place);
    let (mailbox, uid_validity) = match split_once(place, ";UIDVALIDITY=") {
        Some((mailbox, number)) => (mailbox, Some(number.parse().ok()?)),
        None => (place, None),
    };
    let mut steps = message.split("/;");
    let uid = steps.next()?.parse().ok().filter(|uid| *uid > 0)?;
    let mut url = MessageUrl {
        mailbox: Some(mailbox_name(mailbox)?).filter(|name| !name.is_empty()),
        uid_validity,
        uid,
        section: Section::default(),
        partial: None,
    };
    for step in steps {
        let (name, value) = step.split_once('=')?;
        let value = decoded(value)?;
        match name.to_ascii_uppercase().as_str() {
            "SECTION" => url.section = whole_section(value)?,
            "PARTIAL" => url.partial = Some(partial(&value)?),
            _ => return None,
        }
    }
    Some(url)
}

/// As the method of strings, the separator in any case.
fn split_once<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let at = text.to_ascii_uppercase().find(separator)?;
    Some((text.get(..at)?, text.get(at + separator.len()..)?))
}

/// The path of a mailbox; None for what leads elsewhere.
fn mailbox_name(path: &str) -> Option<String> {
    let path = match path.strip_prefix('/') {
        Some(path) if path.starts_with('/') => return None,
        Some(path) => path,
        None => path,
    };
    // A colon before any slash ends a scheme.
    if path.split('/').next().is_some_and(|first| first.contains(':')) {
        return None;
    }
    decoded(path)
}

fn whole_section(text: String) -> Option<Section> {
    let mut cursor = Cursor::new(Bytes::from(text));
    let section = section(&mut cursor).ok()?;
    cursor.end().ok()?;
    Some(section)
}

fn partial(text: &str) -> Option<Partial> {
    let (offset, length) = match text.split_once('.') {
        Some((offset, length)) => (offset, length.parse().ok().filter(|length| *length > 0)?),
        None => (text, u64::MAX),
    };
    Some(Partial { offset: offset.parse().ok()?, length })
}

/// Percent-encoding (RFC 3986 §2.1).
fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        let high = char::from(digits[0]).to_digit(16)?;
        let low = char::from(digits[1]).to_digit(16)?;
        octets.push((high * 16 + low) as u8);
        rest = after;
    }
    String::from_utf8(octets).ok()
}
