//! The items of FETCH (RFC 9051 §7.5.2), one by one.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use message::envelope::Envelope;
use message::header;
use message::mime;

use crate::imap::content::Content;
use crate::imap::parse::{FetchItem, Partial, Section, SectionText};
use crate::imap::response::Responses;
use crate::imap::session::{Failure, Session};
use crate::store::{MailStore, Row};

/// What must be read for an item; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// Nothing of the message itself.
    Row,
    /// Octets that can be sent as they are read.
    Octets,
    Header,
    /// All of it, in memory.
    Structure,
}

pub(super) fn need(item: &FetchItem) -> Need {
    match item {
        FetchItem::Flags | FetchItem::InternalDate | FetchItem::Size | FetchItem::Uid => Need::Row,
        FetchItem::Rfc822 => Need::Octets,
        FetchItem::Envelope | FetchItem::Rfc822Header | FetchItem::Rfc822Text => Need::Header,
        FetchItem::Section { section, .. } if section.part.is_empty() => match section.text {
            None => Need::Octets,
            Some(_) => Need::Header,
        },
        FetchItem::Body
        | FetchItem::BodyStructure
        | FetchItem::Section { .. }
        | FetchItem::Binary { .. }
        | FetchItem::BinarySize(_) => Need::Structure,
    }
}

/// What an item's value is.
enum Value {
    /// There is no such part.
    Nil,
    /// Octets of the message as they are.
    Range(Range<u64>),
    /// Octets that were made of it.
    Made(Bytes),
}

impl<S: MailStore> Session<S> {
    /// False: the part cannot be decoded, and NIL stands for it.
    pub(super) async fn fetch_item(
        &mut self,
        row: &Row,
        content: &Content<S>,
        item: &FetchItem,
    ) -> Result<bool, Failure> {
        let responses = &mut self.wire.responses;
        match item {
            FetchItem::Flags => {
                responses.raw("FLAGS ").flags(&row.flags);
            }
            FetchItem::InternalDate => {
                responses.raw("INTERNALDATE ").date_time(row.internal_date);
            }
            FetchItem::Size => {
                responses.raw("RFC822.SIZE ").number(row.size);
            }
            FetchItem::Uid => {
                responses.raw("UID ").number(row.uid);
            }
            FetchItem::Envelope => {
                responses.raw("ENVELOPE ").envelope(&Envelope::parse(&content.header()));
            }
            FetchItem::Body | FetchItem::BodyStructure => {
                let extended = *item == FetchItem::BodyStructure;
                responses.raw(if extended { "BODYSTRUCTURE " } else { "BODY " });
                match content.structure() {
                    Some(structure) => responses.structure(&structure, extended),
                    None => responses.raw("NIL"),
                };
            }
            FetchItem::Rfc822 => {
                responses.raw("RFC822");
                self.send(content, Value::Range(0..content.size()), None).await?;
            }
            FetchItem::Rfc822Header => {
                responses.raw("RFC822.HEADER");
                self.send(content, Value::Made(content.header()), None).await?;
            }
            FetchItem::Rfc822Text => {
                responses.raw("RFC822.TEXT");
                self.send(content, Value::Range(content.header().len() as u64..content.size()), None).await?;
            }
            FetchItem::Section { section, partial, .. } => {
                responses.raw("BODY").section(section);
                self.send(content, section_value(content, section), *partial).await?;
            }
            FetchItem::Binary { part, partial, .. } => return Ok(self.binary(content, part, *partial)),
            FetchItem::BinarySize(part) => return Ok(self.binary_size(content, part)),
        }
        Ok(true)
    }

    async fn send(
        &mut self,
        content: &Content<S>,
        value: Value,
        partial: Option<Partial>,
    ) -> Result<(), Failure> {
        if let Some(partial) = partial {
            self.wire.responses.raw("<").number(partial.offset).raw(">");
        }
        self.wire.responses.raw(" ");
        match value {
            Value::Nil => {
                self.wire.responses.raw("NIL");
            }
            Value::Made(octets) => {
                let range = cut(0..octets.len() as u64, partial);
                self.wire.responses.literal(&octets[range.start as usize..range.end as usize]);
            }
            Value::Range(range) => {
                let range = cut(range, partial);
                self.wire.responses.literal_head(range.end - range.start);
                self.send_octets(content, range).await?;
            }
        }
        Ok(())
    }

    /// `BINARY[…]`: the part without its transfer encoding.
    fn binary(&mut self, content: &Content<S>, part: &[u32], partial: Option<Partial>) -> bool {
        let responses = &mut self.wire.responses;
        responses.raw("BINARY").part_number(part);
        if let Some(partial) = partial {
            responses.raw("<").number(partial.offset).raw(">");
        }
        responses.raw(" ");
        match decoded(content, part) {
            Decoded::Octets(octets) => {
                let range = cut(0..octets.len() as u64, partial);
                responses.binary(&octets[range.start as usize..range.end as usize]);
            }
            Decoded::NoSuchPart => {
                responses.raw("NIL");
            }
            Decoded::UnknownEncoding => {
                responses.raw("NIL");
                return false;
            }
        }
        true
    }

    fn binary_size(&mut self, content: &Content<S>, part: &[u32]) -> bool {
        let responses = &mut self.wire.responses;
        responses.raw("BINARY.SIZE").part_number(part).raw(" ");
        let (size, known) = match decoded(content, part) {
            Decoded::Octets(octets) => (octets.len(), true),
            Decoded::NoSuchPart => (0, true),
            Decoded::UnknownEncoding => (0, false),
        };
        responses.number(size as u64);
        known
    }
}

/// `<offset.length>` of a range; what is beyond its end is empty (RFC 9051 §6.4.5).
fn cut(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(Partial { offset, length }) = partial else { return range };
    let start = range.start.saturating_add(offset).min(range.end);
    start..start.saturating_add(length).min(range.end)
}

fn section_value<S: MailStore>(content: &Content<S>, section: &Section) -> Value {
    if section.part.is_empty() {
        return match &section.text {
            None => Value::Range(0..content.size()),
            Some(SectionText::Text) => Value::Range(content.header().len() as u64..content.size()),
            Some(SectionText::Fields { names, not }) => Value::Made(fields(&content.header(), names, *not)),
            Some(SectionText::Header | SectionText::Mime) => Value::Made(content.header()),
        };
    }
    let Some(structure) = content.structure() else { return Value::Nil };
    let asked = match &section.text {
        None => mime::Section::Whole,
        Some(SectionText::Header | SectionText::Fields { .. }) => mime::Section::Header,
        Some(SectionText::Text) => mime::Section::Text,
        Some(SectionText::Mime) => mime::Section::Mime,
    };
    let Some(range) = structure.section(&section.part, asked) else { return Value::Nil };
    match &section.text {
        Some(SectionText::Fields { names, not }) => Value::Made(fields(&content.slice(range), names, *not)),
        _ => Value::Range(range.start as u64..range.end as u64),
    }
}

/// Some fields of a header as they are, and a blank line (RFC 9051 §6.4.5.1).
fn fields(block: &[u8], names: &[Bytes], not: bool) -> Bytes {
    let mut chosen = BytesMut::new();
    for field in header::fields(block) {
        let named = names.iter().any(|name| name.eq_ignore_ascii_case(field.name));
        if named != not {
            chosen.extend_from_slice(field.raw);
        }
    }
    chosen.extend_from_slice(b"\r\n");
    chosen.freeze()
}

enum Decoded {
    Octets(Bytes),
    NoSuchPart,
    UnknownEncoding,
}

fn decoded<S: MailStore>(content: &Content<S>, path: &[u32]) -> Decoded {
    let Some(structure) = content.structure() else { return Decoded::NoSuchPart };
    if path.is_empty() {
        return Decoded::Octets(content.slice(0..content.size() as usize));
    }
    let Some(part) = structure.part(path) else { return Decoded::NoSuchPart };
    let octets = content.slice(part.body.clone());
    match &part.encoding {
        mime::Encoding::Other(_) => Decoded::UnknownEncoding,
        encoding => Decoded::Octets(mime::Decoder::decode(encoding, &octets).into()),
    }
}

impl Responses {
    /// `section`, as it was asked for.
    fn section(&mut self, section: &Section) -> &mut Self {
        self.raw("[").numbers(&section.part);
        if let Some(text) = &section.text {
            self.raw(if section.part.is_empty() { "" } else { "." });
            match text {
                SectionText::Header => self.raw("HEADER"),
                SectionText::Text => self.raw("TEXT"),
                SectionText::Mime => self.raw("MIME"),
                SectionText::Fields { names, not } => {
                    self.raw(if *not { "HEADER.FIELDS.NOT (" } else { "HEADER.FIELDS (" });
                    for (index, name) in names.iter().enumerate() {
                        self.raw(if index > 0 { " " } else { "" }).astring(name);
                    }
                    self.raw(")")
                }
            };
        }
        self.raw("]")
    }

    /// `section-binary`
    fn part_number(&mut self, part: &[u32]) -> &mut Self {
        self.raw("[").numbers(part).raw("]")
    }

    fn numbers(&mut self, part: &[u32]) -> &mut Self {
        for (index, number) in part.iter().enumerate() {
            self.raw(if index > 0 { "." } else { "" }).number(*number);
        }
        self
    }
}
