//! FETCH (RFC 9051 §6.4.5).

use bytes::Bytes;

use super::cursor::{Cursor, Invalid};
use super::partial::{PartialRange, partial_range};
use super::set::{MessageSet, message_set};

/// Numbers in a part's address; deeper than any message's MIME structure is followed.
const PART_DEPTH: usize = 128;

/// Items in one command, each once: a client asks for a dozen, or for one of each part.
const ITEMS: usize = 1_000;

/// Something to fetch of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchItem {
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Size,
    /// `UID`
    Uid,
    /// `MODSEQ` (RFC 7162 §3.1.4.2)
    ModSeq,
    /// `EMAILID` (RFC 8474 §5.1)
    EmailId,
    /// `THREADID` (RFC 8474 §5.2)
    ThreadId,
    /// `SAVEDATE` (RFC 8514 §4.2)
    SaveDate,
    /// `ENVELOPE`
    Envelope,
    /// `BODY`: the structure without its extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `BODY[…]<…>` and `BODY.PEEK[…]<…>`
    Section {
        /// What of the message.
        section: Section,
        /// Which octets of that.
        partial: Option<Partial>,
        /// `\Seen` is not set.
        peek: bool,
    },
    /// `RFC822` (RFC 3501 §6.4.5)
    Rfc822,
    /// `RFC822.HEADER`
    Rfc822Header,
    /// `RFC822.TEXT`
    Rfc822Text,
    /// `BINARY[…]<…>` and `BINARY.PEEK[…]<…>`
    Binary {
        /// Empty: the whole message.
        part: Vec<u32>,
        /// Which octets of the decoded part.
        partial: Option<Partial>,
        /// `\Seen` is not set.
        peek: bool,
    },
    /// `BINARY.SIZE[…]`
    BinarySize(Vec<u32>),
    /// `PREVIEW` (RFC 8970 §3.1)
    Preview,
}

impl FetchItem {
    /// Fetching it makes the message `\Seen`.
    pub fn sets_seen(&self) -> bool {
        matches!(
            self,
            Self::Rfc822
                | Self::Rfc822Text
                | Self::Section { peek: false, .. }
                | Self::Binary { peek: false, .. }
        )
    }

    /// Octets that it takes, roughly.
    pub fn octets(&self) -> usize {
        let behind = match self {
            Self::Section { section, .. } => {
                let names = match &section.text {
                    Some(SectionText::Fields { names, .. }) => &names[..],
                    _ => &[],
                };
                // With what the shared octets of each name take beside them.
                let names = names.iter().map(|name| name.len() + 3 * size_of::<Bytes>());
                section.part.capacity() * size_of::<u32>() + names.sum::<usize>()
            }
            Self::Binary { part, .. } | Self::BinarySize(part) => part.capacity() * size_of::<u32>(),
            _ => 0,
        };
        size_of::<Self>() + behind
    }

    /// Lets go of the command that it is part of, so as not to keep all of that in memory.
    pub fn detach(&mut self) {
        if let Self::Section {
            section: Section { text: Some(SectionText::Fields { names, .. }), .. }, ..
        } = self
        {
            for name in names {
                *name = Bytes::copy_from_slice(name);
            }
        }
    }
}

/// `section-spec`: of which part, and what of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// Empty: the message itself.
    pub part: Vec<u32>,
    /// None: all of it.
    pub text: Option<SectionText>,
}

impl Section {
    /// `BODY[]`: all of the message.
    pub fn is_whole(&self) -> bool {
        self.part.is_empty() && self.text.is_none()
    }
}

/// `section-text`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionText {
    /// The header of the message, or of the message within the part.
    Header,
    /// Some of that header's fields.
    Fields {
        /// As sent.
        names: Vec<Bytes>,
        /// All but these.
        not: bool,
    },
    /// What follows that header.
    Text,
    /// The header of the part itself; only with a part.
    Mime,
}

/// `<offset.length>`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// Of the first octet, 0-based.
    pub offset: u64,
    /// At least 1.
    pub length: u64,
}

/// `fetch-modifiers` (RFC 4466 §2.4): which messages of the set are fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FetchModifiers {
    /// Only those that came or changed since (RFC 7162 §3.1.4.1).
    pub changed_since: Option<u64>,
    /// The UIDs that were expunged since are told too (RFC 7162 §3.2.6); only with `changed_since`.
    pub vanished: bool,
    /// Only this part of the messages of the set (RFC 9394 §3.3).
    pub partial: Option<PartialRange>,
}

pub(super) fn arguments(
    cursor: &mut Cursor,
    uid: bool,
) -> Result<(MessageSet, Vec<FetchItem>, FetchModifiers), Invalid> {
    cursor.space()?;
    let set = message_set(cursor)?;
    cursor.space()?;
    let items = if cursor.take(b'(') {
        let mut items = vec![item(cursor)?];
        while !cursor.take(b')') {
            cursor.space()?;
            let item = item(cursor)?;
            if items.contains(&item) {
                continue;
            }
            if items.len() == ITEMS {
                return Err(cursor.invalid("fewer fetch items"));
            }
            items.push(item);
        }
        items
    } else if let Some(items) = fetch_macro(cursor) {
        items
    } else {
        vec![item(cursor)?]
    };
    Ok((set, items, modifiers(cursor, uid)?))
}

/// `[SP "(" fetch-att *(SP fetch-att) ")"]` (RFC 5465 §8)
pub(super) fn items(cursor: &mut Cursor) -> Result<Vec<FetchItem>, Invalid> {
    let mut items = Vec::new();
    if !cursor.is_at(" (") {
        return Ok(items);
    }
    cursor.space()?;
    cursor.expect(b'(')?;
    items.push(item(cursor)?);
    while !cursor.take(b')') {
        cursor.space()?;
        if items.len() == ITEMS {
            return Err(cursor.invalid("fewer fetch items"));
        }
        items.push(item(cursor)?);
    }
    Ok(items)
}

/// `[SP "(" fetch-modifier *(SP fetch-modifier) ")"]`; some go with UIDs only.
fn modifiers(cursor: &mut Cursor, uid: bool) -> Result<FetchModifiers, Invalid> {
    let mut modifiers = FetchModifiers::default();
    if !cursor.take(b' ') {
        return Ok(modifiers);
    }
    cursor.expect(b'(')?;
    loop {
        let invalid = cursor.invalid("a fetch modifier");
        match cursor.atom()?.to_ascii_uppercase().as_slice() {
            b"CHANGEDSINCE" => {
                cursor.space()?;
                modifiers.changed_since = Some(cursor.number64()?);
            }
            b"VANISHED" if uid => modifiers.vanished = true,
            b"PARTIAL" if uid => {
                cursor.space()?;
                modifiers.partial = Some(partial_range(cursor)?);
            }
            _ => return Err(invalid),
        }
        if cursor.take(b')') {
            break;
        }
        cursor.space()?;
    }
    if modifiers.vanished && modifiers.changed_since.is_none() {
        return Err(cursor.invalid("CHANGEDSINCE with VANISHED"));
    }
    Ok(modifiers)
}

fn fetch_macro(cursor: &mut Cursor) -> Option<Vec<FetchItem>> {
    let mut items = vec![FetchItem::Flags, FetchItem::InternalDate, FetchItem::Size];
    if cursor.keyword("FAST") {
        return Some(items);
    }
    items.push(FetchItem::Envelope);
    if cursor.keyword("ALL") {
        return Some(items);
    }
    items.push(FetchItem::Body);
    cursor.keyword("FULL").then_some(items)
}

pub(super) fn item(cursor: &mut Cursor) -> Result<FetchItem, Invalid> {
    let invalid = cursor.invalid("a fetch item");
    let name = cursor.fetch_name().to_ascii_uppercase();
    match name.as_slice() {
        b"FLAGS" => Ok(FetchItem::Flags),
        b"INTERNALDATE" => Ok(FetchItem::InternalDate),
        b"RFC822.SIZE" => Ok(FetchItem::Size),
        b"UID" => Ok(FetchItem::Uid),
        b"MODSEQ" => Ok(FetchItem::ModSeq),
        b"EMAILID" => Ok(FetchItem::EmailId),
        b"THREADID" => Ok(FetchItem::ThreadId),
        b"SAVEDATE" => Ok(FetchItem::SaveDate),
        b"ENVELOPE" => Ok(FetchItem::Envelope),
        b"BODYSTRUCTURE" => Ok(FetchItem::BodyStructure),
        b"RFC822" => Ok(FetchItem::Rfc822),
        b"RFC822.HEADER" => Ok(FetchItem::Rfc822Header),
        b"RFC822.TEXT" => Ok(FetchItem::Rfc822Text),
        b"BODY" if cursor.peek() != Some(b'[') => Ok(FetchItem::Body),
        b"BODY" => body(cursor, false),
        b"BODY.PEEK" => body(cursor, true),
        b"BINARY" => binary(cursor, false),
        b"BINARY.PEEK" => binary(cursor, true),
        b"PREVIEW" => {
            // LAZY asks for one that costs nothing: ours never cost more.
            cursor.keyword(" (LAZY)");
            Ok(FetchItem::Preview)
        }
        b"BINARY.SIZE" => Ok(FetchItem::BinarySize(section_binary(cursor)?)),
        _ => Err(invalid),
    }
}

fn body(cursor: &mut Cursor, peek: bool) -> Result<FetchItem, Invalid> {
    cursor.expect(b'[')?;
    let section = section(cursor)?;
    cursor.expect(b']')?;
    Ok(FetchItem::Section { section, partial: partial(cursor)?, peek })
}

fn binary(cursor: &mut Cursor, peek: bool) -> Result<FetchItem, Invalid> {
    let part = section_binary(cursor)?;
    Ok(FetchItem::Binary { part, partial: partial(cursor)?, peek })
}

fn section_binary(cursor: &mut Cursor) -> Result<Vec<u32>, Invalid> {
    cursor.expect(b'[')?;
    let mut part = Vec::new();
    if cursor.peek() != Some(b']') {
        part.push(cursor.nz_number()?);
        while cursor.take(b'.') {
            push_part(&mut part, cursor)?;
        }
    }
    cursor.expect(b']')?;
    Ok(part)
}

pub(super) fn section(cursor: &mut Cursor) -> Result<Section, Invalid> {
    let mut section = Section::default();
    if cursor.peek() == Some(b']') {
        return Ok(section);
    }
    while cursor.peek().is_some_and(|octet| octet.is_ascii_digit()) {
        push_part(&mut section.part, cursor)?;
        if !cursor.take(b'.') {
            return Ok(section);
        }
    }
    section.text = Some(section_text(cursor, !section.part.is_empty())?);
    Ok(section)
}

fn section_text(cursor: &mut Cursor, in_part: bool) -> Result<SectionText, Invalid> {
    let invalid = cursor.invalid("a section");
    let name = cursor.fetch_name().to_ascii_uppercase();
    match name.as_slice() {
        b"HEADER" => Ok(SectionText::Header),
        b"TEXT" => Ok(SectionText::Text),
        b"MIME" if in_part => Ok(SectionText::Mime),
        b"HEADER.FIELDS" => Ok(SectionText::Fields { names: header_list(cursor)?, not: false }),
        b"HEADER.FIELDS.NOT" => Ok(SectionText::Fields { names: header_list(cursor)?, not: true }),
        _ => Err(invalid),
    }
}

/// Names of header fields in one section.
const FIELD_NAMES: usize = 256;

fn header_list(cursor: &mut Cursor) -> Result<Vec<Bytes>, Invalid> {
    cursor.space()?;
    cursor.expect(b'(')?;
    let mut names = vec![cursor.astring()?];
    while !cursor.take(b')') {
        cursor.space()?;
        if names.len() == FIELD_NAMES {
            return Err(cursor.invalid("fewer field names"));
        }
        names.push(cursor.astring()?);
    }
    Ok(names)
}

fn push_part(part: &mut Vec<u32>, cursor: &mut Cursor) -> Result<(), Invalid> {
    if part.len() == PART_DEPTH {
        return Err(cursor.invalid("a shorter part number"));
    }
    part.push(cursor.nz_number()?);
    Ok(())
}

fn partial(cursor: &mut Cursor) -> Result<Option<Partial>, Invalid> {
    if !cursor.take(b'<') {
        return Ok(None);
    }
    let offset = cursor.number64()?;
    cursor.expect(b'.')?;
    let invalid = cursor.invalid("a length above 0");
    let length = cursor.number64()?;
    cursor.expect(b'>')?;
    if length == 0 { Err(invalid) } else { Ok(Some(Partial { offset, length })) }
}
