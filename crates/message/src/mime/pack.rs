//! A structure in few octets, to be kept beside its message.
//!
//! Numbers are LEB128; a text is its length and its octets, or the number of one of [`WORDS`]. The first octet is the
//! version of the form: whoever meets another parses the message again.

mod reader;
mod writer;

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::parser::MAX_PARTS;
use super::structure::{Body, Disposition, Encoding, Part, Structure};
use crate::address_list::{Entry, Mailbox};
use crate::envelope::Envelope;
use crate::parameters::Parameter;
use reader::{Malformed, Read, Reader};
use writer::Writer;

/// The version of the form.
const VERSION: u8 = 1;

/// Texts that most messages have. The order is part of the form: new ones come last.
const WORDS: [&str; 29] = [
    "text",
    "plain",
    "html",
    "multipart",
    "alternative",
    "mixed",
    "related",
    "signed",
    "report",
    "application",
    "octet-stream",
    "pdf",
    "image",
    "jpeg",
    "png",
    "gif",
    "message",
    "rfc822",
    "charset",
    "utf-8",
    "us-ascii",
    "iso-8859-1",
    "boundary",
    "name",
    "filename",
    "inline",
    "attachment",
    "format",
    "flowed",
];

/// What a part has beside what all have.
mod has {
    pub(super) const ID: u8 = 1;
    pub(super) const DESCRIPTION: u8 = 2;
    pub(super) const MD5: u8 = 4;
    pub(super) const DISPOSITION: u8 = 8;
    pub(super) const LANGUAGES: u8 = 16;
    pub(super) const LOCATION: u8 = 32;
    pub(super) const PARAMETERS: u8 = 64;
    pub(super) const NEXT: u8 = 128;
}

impl Structure {
    /// The structure in few octets: some 50 for a message of one part.
    pub fn pack(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.number(self.parts.len());
        for part in &self.parts {
            pack_part(&mut out, part);
        }
        out.into_octets()
    }

    /// The structure that [`Structure::pack`] gave; `None` if the octets are of another version or damaged.
    pub fn unpack(octets: &[u8]) -> Option<Self> {
        unpack(octets).ok()
    }
}

fn unpack(octets: &[u8]) -> Read<Structure> {
    let mut input = Reader::new(octets, VERSION)?;
    let count = input.number()?;
    if !(1..=MAX_PARTS).contains(&count) {
        return Err(Malformed);
    }
    // Each part takes some octets: what is announced and not there takes no memory.
    let mut parts = Vec::with_capacity(count.min(octets.len()));
    for index in 0..count {
        parts.push(unpack_part(&mut input, index, count)?);
    }
    if input.is_empty() { Ok(Structure { parts }) } else { Err(Malformed) }
}

fn pack_part(out: &mut Writer, part: &Part) {
    let flags = [
        (has::ID, part.id.is_some()),
        (has::DESCRIPTION, part.description.is_some()),
        (has::MD5, part.md5.is_some()),
        (has::DISPOSITION, part.disposition.is_some()),
        (has::LANGUAGES, !part.languages.is_empty()),
        (has::LOCATION, part.location.is_some()),
        (has::PARAMETERS, !part.parameters.is_empty()),
        (has::NEXT, part.next.is_some()),
    ];
    out.octet(flags.iter().filter(|(_, is)| *is).map(|(flag, _)| flag).sum());
    for number in [part.header.start, part.header.len(), part.body.start, part.body.len(), part.lines] {
        out.number(number);
    }
    out.text(&part.media_type);
    out.text(&part.subtype);
    pack_encoding(out, &part.encoding);
    for text in [&part.id, &part.description, &part.md5, &part.location].into_iter().flatten() {
        out.text(text);
    }
    if let Some(disposition) = &part.disposition {
        out.text(&disposition.kind);
        out.list(&disposition.parameters, pack_parameter);
    }
    if !part.languages.is_empty() {
        out.list(&part.languages, |out, language| out.text(language));
    }
    if !part.parameters.is_empty() {
        out.list(&part.parameters, pack_parameter);
    }
    if let Some(next) = part.next {
        out.number(next);
    }
    match &part.content {
        Body::Leaf => out.octet(0),
        Body::Multipart { first } => {
            out.octet(1);
            out.number(*first);
        }
        Body::Message { message, envelope } => {
            out.octet(2);
            out.number(*message);
            pack_envelope(out, envelope);
        }
    }
}

fn unpack_part(input: &mut Reader<'_>, index: usize, count: usize) -> Read<Part> {
    let flags = input.octet()?;
    let has = |flag: u8| flags & flag != 0;
    // A part is tied to later ones only, so that following the ties ends.
    let later = |number: usize| if index < number && number < count { Ok(number) } else { Err(Malformed) };
    Ok(Part {
        header: unpack_range(input)?,
        body: unpack_range(input)?,
        lines: input.number()?,
        media_type: input.text()?,
        subtype: input.text()?,
        encoding: unpack_encoding(input)?,
        id: input.optional(has(has::ID), Reader::text)?,
        description: input.optional(has(has::DESCRIPTION), Reader::text)?,
        md5: input.optional(has(has::MD5), Reader::text)?,
        location: input.optional(has(has::LOCATION), Reader::text)?,
        disposition: input.optional(has(has::DISPOSITION), unpack_disposition)?,
        languages: input.optional(has(has::LANGUAGES), |input| input.list(Reader::text))?.unwrap_or_default(),
        parameters: input
            .optional(has(has::PARAMETERS), |input| input.list(unpack_parameter))?
            .unwrap_or_default(),
        next: input.optional(has(has::NEXT), |input| later(input.number()?))?,
        content: match input.octet()? {
            0 => Body::Leaf,
            1 => Body::Multipart { first: later(input.number()?)? },
            2 => Body::Message {
                message: later(input.number()?)?,
                envelope: Box::new(unpack_envelope(input)?),
            },
            _ => return Err(Malformed),
        },
    })
}

fn unpack_range(input: &mut Reader<'_>) -> Read<Range<usize>> {
    let start = input.number()?;
    Ok(start..start.checked_add(input.number()?).ok_or(Malformed)?)
}

fn pack_encoding(out: &mut Writer, encoding: &Encoding) {
    out.octet(match encoding {
        Encoding::SevenBit => 0,
        Encoding::EightBit => 1,
        Encoding::Binary => 2,
        Encoding::QuotedPrintable => 3,
        Encoding::Base64 => 4,
        Encoding::Other(_) => 5,
    });
    if let Encoding::Other(name) = encoding {
        out.text(name);
    }
}

fn unpack_encoding(input: &mut Reader<'_>) -> Read<Encoding> {
    Ok(match input.octet()? {
        0 => Encoding::SevenBit,
        1 => Encoding::EightBit,
        2 => Encoding::Binary,
        3 => Encoding::QuotedPrintable,
        4 => Encoding::Base64,
        5 => Encoding::Other(input.text()?),
        _ => return Err(Malformed),
    })
}

fn pack_parameter(out: &mut Writer, parameter: &Parameter) {
    out.octet(u8::from(parameter.extended));
    out.text(&parameter.name);
    out.text(&parameter.value);
}

fn unpack_parameter(input: &mut Reader<'_>) -> Read<Parameter> {
    let extended = input.octet()? != 0;
    Ok(Parameter { extended, name: input.text()?, value: input.text()? })
}

fn unpack_disposition(input: &mut Reader<'_>) -> Read<Disposition> {
    Ok(Disposition { kind: input.text()?, parameters: input.list(unpack_parameter)? })
}

fn pack_envelope(out: &mut Writer, envelope: &Envelope) {
    let Envelope { date, subject, from, sender, reply_to, to, cc, bcc, in_reply_to, message_id } = envelope;
    for text in [date, subject, in_reply_to, message_id] {
        out.optional_text(text.as_deref());
    }
    for list in [from, sender, reply_to, to, cc, bcc] {
        out.list(list, pack_entry);
    }
}

fn unpack_envelope(input: &mut Reader<'_>) -> Read<Envelope> {
    Ok(Envelope {
        date: input.optional_text()?,
        subject: input.optional_text()?,
        in_reply_to: input.optional_text()?,
        message_id: input.optional_text()?,
        from: input.list(unpack_entry)?,
        sender: input.list(unpack_entry)?,
        reply_to: input.list(unpack_entry)?,
        to: input.list(unpack_entry)?,
        cc: input.list(unpack_entry)?,
        bcc: input.list(unpack_entry)?,
    })
}

fn pack_entry(out: &mut Writer, entry: &Entry) {
    match entry {
        Entry::Mailbox(mailbox) => {
            out.octet(0);
            out.optional_text(mailbox.name.as_deref());
            out.optional_text(mailbox.route.as_deref());
            out.text(&mailbox.local_part);
            out.text(&mailbox.domain);
        }
        Entry::GroupStart(name) => {
            out.octet(1);
            out.text(name);
        }
        Entry::GroupEnd => out.octet(2),
    }
}

fn unpack_entry(input: &mut Reader<'_>) -> Read<Entry> {
    Ok(match input.octet()? {
        0 => Entry::Mailbox(Mailbox {
            name: input.optional_text()?,
            route: input.optional_text()?,
            local_part: input.text()?,
            domain: input.text()?,
        }),
        1 => Entry::GroupStart(input.text()?),
        2 => Entry::GroupEnd,
        _ => return Err(Malformed),
    })
}
