//! Decides what becomes of each part.

use memchr::memchr;

use super::header::{Block, Fate};
use super::{ConversionError, Segment, Target, has_bare_line_end};
use crate::mime::{Body, Decoder, Encoding, MAX_PARTS, Part, Structure, Transfer};
use crate::{header, parameters};

/// The segments for a message in which there is something to convert.
pub(super) fn plan(message: &[u8], target: Target) -> Result<Vec<Segment>, ConversionError> {
    let structure = Structure::parse(message);
    if structure.parts().len() == MAX_PARTS {
        // The last part may hold others.
        return Err(ConversionError::Structure);
    }
    let mut planner = Planner { message, target, segments: Vec::new(), at: 0 };
    for (index, part) in structure.parts().iter().enumerate() {
        // Parts in one that stays or is encoded as a whole go with it.
        if index == 0 || part.header.start >= planner.at {
            planner.part(part, index == 0)?;
        }
    }
    planner.between(message.len());
    Ok(planner.segments)
}

struct Planner<'a> {
    message: &'a [u8],
    target: Target,
    segments: Vec<Segment>,
    /// Up to here, all is planned.
    at: usize,
}

impl Planner<'_> {
    fn part(&mut self, part: &Part, is_root: bool) -> Result<(), ConversionError> {
        self.between(part.header.start);
        let objects = self.target.objects(&self.message[part.body.clone()]);
        match &part.content {
            Body::Multipart { .. } if part.subtype == "signed" => {
                // RFC 1847 §2.1: opaque to everyone on the way.
                if objects {
                    return Err(ConversionError::Signed);
                }
                self.header(part, Fate::Relabel, is_root)?;
                self.copy(part.body.end);
                Ok(())
            }
            Body::Multipart { .. } => {
                let boundary = parameters::find(&part.parameters, "boundary").unwrap_or_default();
                if !boundary.is_ascii() {
                    return Err(ConversionError::Structure);
                }
                self.header(part, Fate::Relabel, is_root)
            }
            // Unlike message/rfc822 it may be encoded (RFC 6532 §3.7), and its header is meant as it is.
            Body::Message { .. } if part.subtype == "global" && objects => self.encode(part, is_root),
            Body::Message { .. } => self.header(part, Fate::Relabel, is_root),
            Body::Leaf if objects => self.encode(part, is_root),
            Body::Leaf => {
                self.header(part, Fate::Relabel, is_root)?;
                self.copy(part.body.end);
                Ok(())
            }
        }
    }

    /// Encodes a part whose body is octets.
    fn encode(&mut self, part: &Part, is_root: bool) -> Result<(), ConversionError> {
        if !is_encodable(&self.message[part.header.clone()], part) {
            return Err(ConversionError::Structure);
        }
        let body = &self.message[part.body.clone()];
        let segment = match &part.encoding {
            Encoding::SevenBit | Encoding::EightBit | Encoding::Binary => {
                Segment::Encode(part.body.clone(), best(part, body))
            }
            // Octets that have no place in it: encoded again without them, or with them escaped.
            Encoding::QuotedPrintable => {
                Segment::Recode(Decoder::decode(&part.encoding, body), Transfer::QuotedPrintable)
            }
            Encoding::Base64 => Segment::Recode(Decoder::decode(&part.encoding, body), Transfer::Base64),
            Encoding::Other(_) => return Err(ConversionError::Structure),
        };
        let (Segment::Encode(_, transfer) | Segment::Recode(_, transfer)) = &segment else { return Ok(()) };
        let utf8 = std::str::from_utf8(body).is_ok();
        self.header(part, Fate::Encode { transfer: *transfer, utf8 }, is_root)?;
        self.segments.push(segment);
        self.at = part.body.end;
        Ok(())
    }

    fn header(&mut self, part: &Part, fate: Fate, is_root: bool) -> Result<(), ConversionError> {
        let block = &self.message[part.header.clone()];
        // Nothing stands for a NUL or a line end that is none, and only binary mail can hold them.
        if memchr(0, block).is_some() || has_bare_line_end(block) {
            return Err(ConversionError::Structure);
        }
        let block = Block { octets: block, encoding: &part.encoding, target: self.target, is_root };
        match block.rewrite(fate)? {
            Some(text) => {
                self.segments.push(Segment::Text(text));
                self.at = part.header.end;
            }
            None => self.copy(part.header.end),
        }
        Ok(())
    }

    /// What stands between parts: delimiters, and text that nobody is shown (RFC 2046 §5.1.1).
    fn between(&mut self, end: usize) {
        if self.target.objects(&self.message[self.at..end]) {
            self.segments.push(Segment::Mask(self.at..end));
            self.at = end;
        } else {
            self.copy(end);
        }
    }

    fn copy(&mut self, end: usize) {
        if let Some(Segment::Copy(last)) = self.segments.last_mut() {
            last.end = end;
        } else if self.at < end {
            self.segments.push(Segment::Copy(self.at..end));
        }
        self.at = end;
    }
}

/// Whether the part is what its header says, and may be encoded: what is composite, or was too broken to be seen as such,
/// may not (RFC 2045 §6.4).
fn is_encodable(block: &[u8], part: &Part) -> bool {
    if part.media_type == "message" {
        return part.subtype.starts_with("global");
    }
    let declared = header::first(block, "Content-Type").map(|field| parameters::parse(field).0);
    let declared = declared.unwrap_or_default().to_ascii_lowercase();
    !declared.starts_with("multipart/") && !declared.starts_with("message/")
}

/// Text stays legible, unless that takes more room than base64.
fn best(part: &Part, body: &[u8]) -> Transfer {
    let escaped = body.iter().filter(|byte| !byte.is_ascii() || **byte == b'=').count();
    if part.media_type == "text" && escaped * 3 <= body.len() {
        Transfer::QuotedPrintable
    } else {
        Transfer::Base64
    }
}
