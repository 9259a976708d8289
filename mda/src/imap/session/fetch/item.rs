//! The items of FETCH (RFC 9051 §7.5.2), one by one.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use message::envelope::Envelope;
use message::header;
use message::mime;

use crate::imap::content::Content;
use crate::imap::parse::{FetchItem, Partial, Section, SectionText};
use crate::imap::response::Responses;
use crate::imap::session::modseq::Style;
use crate::imap::session::{Failure, Session};
use crate::outline::Outline;
use crate::store::{MailStore, Row};

use super::broken_off;

/// What must be known of a message, beside its row, to answer some items.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Needs {
    /// What was made of it at delivery; all that follows but `octets` needs it.
    pub(super) outline: bool,
    /// The fields that mail programs list, of which the outline may say nothing.
    pub(super) fields: bool,
    /// What the message is made of.
    pub(super) structure: bool,
    /// All of its header.
    pub(super) header: bool,
    /// Octets of it that are sent as they are read.
    pub(super) octets: bool,
}

impl Needs {
    pub(super) fn of(items: &[FetchItem]) -> Self {
        let mut needs = Self::default();
        for item in items {
            needs.add(item);
        }
        needs
    }

    /// The index has it all.
    pub(super) fn nothing(self) -> bool {
        !(self.outline || self.octets)
    }

    fn add(&mut self, item: &FetchItem) {
        match item {
            FetchItem::Flags
            | FetchItem::InternalDate
            | FetchItem::Size
            | FetchItem::Uid
            | FetchItem::ModSeq
            | FetchItem::EmailId
            | FetchItem::ThreadId
            | FetchItem::SaveDate => return,
            FetchItem::Rfc822 => return self.octets = true,
            FetchItem::Section { section, .. } if section.is_whole() => return self.octets = true,
            FetchItem::Preview => {}
            FetchItem::Envelope => self.fields = true,
            FetchItem::Body | FetchItem::BodyStructure => self.structure = true,
            FetchItem::Rfc822Header => self.header = true,
            FetchItem::Rfc822Text => self.octets = true,
            FetchItem::Section { section, .. } if section.part.is_empty() => match &section.text {
                Some(SectionText::Text) => self.octets = true,
                Some(SectionText::Fields { names, not: false }) if are_known(names) => self.fields = true,
                _ => self.header = true,
            },
            FetchItem::Section { .. } | FetchItem::Binary { .. } | FetchItem::BinarySize(_) => {
                self.structure = true;
                self.octets = true;
            }
        }
        self.outline = true;
    }
}

impl FetchItem {
    /// It [needs nothing](Needs::nothing), or what outlines have.
    pub(super) fn is_outlined(&self) -> bool {
        matches!(self, Self::Envelope | Self::BodyStructure | Self::Preview)
            || Needs::of(std::slice::from_ref(self)).nothing()
    }
}

/// The outline has these fields if the message has them.
fn are_known(names: &[Bytes]) -> bool {
    names.iter().all(|name| Outline::knows(name))
}

/// What an item's value is.
pub(in crate::imap::session) enum Value {
    /// There is no such part.
    Nil,
    /// Octets of the message as they are.
    Range(Range<u64>),
    /// Octets that were made of it.
    Made(Bytes),
}

impl Value {
    /// The octets of it that are asked for.
    pub(in crate::imap::session) fn cut(self, partial: Option<Partial>) -> Self {
        match self {
            Self::Nil => Self::Nil,
            Self::Range(range) => Self::Range(cut(range, partial)),
            Self::Made(octets) => {
                let range = cut(0..octets.len() as u64, partial);
                Self::Made(octets.slice(range.start as usize..range.end as usize))
            }
        }
    }
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
            FetchItem::Flags
            | FetchItem::InternalDate
            | FetchItem::Size
            | FetchItem::Uid
            | FetchItem::ModSeq
            | FetchItem::EmailId
            | FetchItem::ThreadId
            | FetchItem::SaveDate => {
                responses.row_item(row, item);
            }
            FetchItem::Envelope => {
                responses.raw("ENVELOPE ").envelope(&Envelope::parse(&content.fields()));
            }
            FetchItem::Body => {
                responses.raw("BODY ");
                self.structure(content, false);
            }
            FetchItem::BodyStructure => {
                responses.raw("BODYSTRUCTURE ");
                self.structure(content, true);
            }
            FetchItem::Preview => {
                responses.raw("PREVIEW ").string(content.preview().as_bytes());
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
                self.send(content, Value::Range(content.header_length()..content.size()), None).await?;
            }
            FetchItem::Section { section, partial, .. } => {
                responses.raw("BODY").section(section);
                let value = section_value(content, section).await?;
                self.send(content, value, *partial).await?;
            }
            FetchItem::Binary { part, partial, .. } => return self.binary(content, part, *partial).await,
            FetchItem::BinarySize(part) => return self.binary_size(content, part).await,
        }
        Ok(true)
    }

    fn structure(&mut self, content: &Content<S>, extended: bool) {
        match content.structure() {
            Some(structure) => self.wire.responses.structure(structure, extended),
            None => self.wire.responses.raw("NIL"),
        };
    }

    async fn send(
        &mut self,
        content: &Content<S>,
        value: Value,
        partial: Option<Partial>,
    ) -> Result<(), Failure> {
        let responses = &mut self.wire.responses;
        responses.origin(partial).raw(" ");
        match value.cut(partial) {
            Value::Nil => {
                responses.raw("NIL");
            }
            Value::Made(octets) => {
                responses.literal_head(octets.len() as u64);
                responses.text_octets(&octets);
            }
            Value::Range(range) => {
                responses.literal_head(range.end - range.start);
                self.send_octets(content, range).await?;
            }
        }
        Ok(())
    }

    /// `BINARY[…]`: the part without its transfer encoding, decoded piece by piece: once to know how long it is, and
    /// again to send it.
    async fn binary(
        &mut self,
        content: &Content<S>,
        path: &[u32],
        partial: Option<Partial>,
    ) -> Result<bool, Failure> {
        self.wire.responses.raw("BINARY").part_number(path).origin(partial).raw(" ");
        let Some(encoded) = encoded(content, path) else {
            self.wire.responses.raw("NIL");
            return Ok(true);
        };
        let Some(length) = decoded_length(content, &encoded).await? else {
            self.wire.responses.raw("NIL");
            return Ok(false);
        };
        let wanted = cut(0..length.octets, partial);
        // RFC 9051 §4.3: a literal must not hold NUL, a literal8 may.
        self.wire.responses.raw(if length.has_nul { "~" } else { "" });
        self.wire.responses.literal_head(wanted.end - wanted.start);
        let mut decoding = Decoding::new(content, &encoded);
        let mut at = 0;
        while let Some(octets) = decoding.next().await? {
            let end = at + octets.len() as u64;
            let (from, to) = (wanted.start.clamp(at, end) - at, wanted.end.clamp(at, end) - at);
            self.wire.responses.octets(&octets[from as usize..to as usize]);
            self.wire.relieve_within().await?;
            at = end;
        }
        Ok(true)
    }

    async fn binary_size(&mut self, content: &Content<S>, path: &[u32]) -> Result<bool, Failure> {
        self.wire.responses.raw("BINARY.SIZE").part_number(path).raw(" ");
        let (size, known) = match encoded(content, path) {
            None => (0, true),
            Some(encoded) => match decoded_length(content, &encoded).await? {
                Some(length) => (length.octets, true),
                None => (0, false),
            },
        };
        self.wire.responses.number(size);
        Ok(known)
    }
}

/// `<offset.length>` of a range; what is beyond its end is empty (RFC 9051 §6.4.5).
fn cut(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(Partial { offset, length }) = partial else { return range };
    let start = range.start.saturating_add(offset).min(range.end);
    start..start.saturating_add(length).min(range.end)
}

pub(in crate::imap::session) async fn section_value<S: MailStore>(
    content: &Content<S>,
    section: &Section,
) -> Result<Value, Failure> {
    if section.part.is_empty() {
        return Ok(match &section.text {
            None => Value::Range(0..content.size()),
            Some(SectionText::Text) => Value::Range(content.header_length()..content.size()),
            Some(SectionText::Fields { names, not: false }) if are_known(names) => {
                Value::Made(fields(&content.fields(), names, false))
            }
            Some(SectionText::Fields { names, not }) => Value::Made(fields(&content.header(), names, *not)),
            Some(SectionText::Header | SectionText::Mime) => Value::Made(content.header()),
        });
    }
    let asked = match &section.text {
        None => mime::Section::Whole,
        Some(SectionText::Header | SectionText::Fields { .. }) => mime::Section::Header,
        Some(SectionText::Text) => mime::Section::Text,
        Some(SectionText::Mime) => mime::Section::Mime,
    };
    let range = content.structure().and_then(|structure| structure.section(&section.part, asked));
    let Some(range) = range else { return Ok(Value::Nil) };
    let range = range.start as u64..range.end as u64;
    Ok(match &section.text {
        Some(SectionText::Fields { names, not }) => {
            let block = content.block(range).await.map_err(broken_off)?;
            Value::Made(fields(&block, names, *not))
        }
        _ => Value::Range(range),
    })
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

/// What is written by itself.
fn text(write: impl FnOnce(&mut Responses) -> &mut Responses) -> Bytes {
    let mut responses = Responses::default();
    write(&mut responses);
    responses.take().into_bytes()
}

/// A part with its transfer encoding.
struct Encoded {
    range: Range<u64>,
    encoding: mime::Encoding,
}

/// None: there is no such part. The message itself is as it is (RFC 3516 §4.2).
fn encoded<S: MailStore>(content: &Content<S>, path: &[u32]) -> Option<Encoded> {
    if path.is_empty() {
        return Some(Encoded { range: 0..content.size(), encoding: mime::Encoding::Binary });
    }
    let structure = content.structure()?;
    let part = structure.part(path)?;
    let range = part.body.start as u64..part.body.end as u64;
    Some(Encoded { range, encoding: part.encoding.clone() })
}

struct DecodedLength {
    octets: u64,
    has_nul: bool,
}

/// None: nobody knows the encoding.
async fn decoded_length<S: MailStore>(
    content: &Content<S>,
    encoded: &Encoded,
) -> Result<Option<DecodedLength>, Failure> {
    if matches!(encoded.encoding, mime::Encoding::Other(_)) {
        return Ok(None);
    }
    let mut length = DecodedLength { octets: 0, has_nul: false };
    let mut decoding = Decoding::new(content, encoded);
    while let Some(octets) = decoding.next().await? {
        length.octets += octets.len() as u64;
        length.has_nul |= octets.contains(&0);
    }
    Ok(Some(length))
}

/// Decodes a part piece by piece.
struct Decoding<'a, S> {
    content: &'a Content<S>,
    left: Range<u64>,
    /// None at the end.
    decoder: Option<mime::Decoder>,
}

impl<'a, S: MailStore> Decoding<'a, S> {
    fn new(content: &'a Content<S>, encoded: &Encoded) -> Self {
        let decoder = Some(mime::Decoder::new(&encoded.encoding));
        Self { content, left: encoded.range.clone(), decoder }
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut octets = Vec::new();
        if self.left.is_empty() {
            return Ok(self.decoder.take().map(|decoder| {
                decoder.finish(&mut octets);
                octets
            }));
        }
        let piece = self.content.piece(self.left.clone()).await.map_err(broken_off)?;
        self.left.start += piece.len() as u64;
        if let Some(decoder) = &mut self.decoder {
            decoder.push(&piece, &mut octets);
        }
        Ok(Some(octets))
    }
}

impl Responses {
    /// Such [items](FetchItem::is_outlined) of a message. False, and nothing is written, if the outline lacks some of it.
    pub(super) fn outlined(
        &mut self,
        style: Style,
        number: u32,
        row: &Row,
        outline: &Outline,
        items: &[FetchItem],
    ) -> bool {
        let (mut envelope, mut structure) = (None, None);
        if items.contains(&FetchItem::Envelope) {
            envelope = outline.envelope_as(|envelope| text(|text| text.envelope(envelope)));
            if envelope.is_none() {
                return false;
            }
        }
        if items.contains(&FetchItem::BodyStructure) {
            structure = outline.structure_as(|structure| text(|text| text.structure(structure, true)));
            if structure.is_none() {
                return false;
            }
        }
        self.fetch_head(style, number, row.uid);
        for (place, item) in items.iter().enumerate() {
            self.raw(if place > 0 { " " } else { "" });
            match item {
                FetchItem::Envelope => {
                    self.raw("ENVELOPE ").octets(envelope.as_deref().unwrap_or_default());
                }
                FetchItem::BodyStructure => {
                    self.raw("BODYSTRUCTURE ").octets(structure.as_deref().unwrap_or_default());
                }
                FetchItem::Preview => {
                    self.raw("PREVIEW ").string(outline.preview().as_bytes());
                }
                item => {
                    self.row_item(row, item);
                }
            }
        }
        self.raw(")").crlf();
        true
    }

    /// An item that [needs nothing](Needs::nothing) more.
    pub(super) fn row_item(&mut self, row: &Row, item: &FetchItem) -> &mut Self {
        match item {
            FetchItem::Flags => self.raw("FLAGS ").flags(&row.flags),
            FetchItem::InternalDate => self.raw("INTERNALDATE ").date_time(row.internal_date),
            FetchItem::Size => self.raw("RFC822.SIZE ").number(row.size),
            FetchItem::Uid => self.raw("UID ").number(row.uid),
            FetchItem::ModSeq => self.raw("MODSEQ (").number(row.modseq).raw(")"),
            FetchItem::EmailId => self.raw("EMAILID (").raw(&row.email.to_string()).raw(")"),
            // RFC 8474 §5.2: where no threads are kept.
            FetchItem::ThreadId => self.raw("THREADID NIL"),
            FetchItem::SaveDate => match row.saved_at {
                Some(saved_at) => self.raw("SAVEDATE ").date_time(saved_at),
                None => self.raw("SAVEDATE NIL"),
            },
            _ => self,
        }
    }

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

    /// `<offset>` of a partial fetch.
    fn origin(&mut self, partial: Option<Partial>) -> &mut Self {
        match partial {
            Some(partial) => self.raw("<").number(partial.offset).raw(">"),
            None => self,
        }
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
