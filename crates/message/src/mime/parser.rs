//! Finds the parts of a message in one pass (RFC 2046 §5.1).

use std::ops::Range;

use memchr::{memchr, memmem};

use super::content;
use super::lines;
use super::structure::{Body, Encoding, Part, Structure};
use crate::envelope::Envelope;
use crate::parameters;

/// Parts within parts at most; what lies deeper is text.
pub const MAX_DEPTH: usize = 100;
/// Parts of a message at most; what comes behind belongs to the last one.
pub const MAX_PARTS: usize = 10_000;
/// Octets of a boundary at most: RFC 2046 §5.1.1 says 70, some programs write more.
const MAX_BOUNDARY: usize = 256;

impl Structure {
    /// Finds the parts of a message.
    pub fn parse(message: &[u8]) -> Self {
        let mut parser = Parser {
            message,
            parts: Vec::new(),
            open: Vec::new(),
            multiparts: Vec::new(),
            delimiters: memmem::Finder::new(b"\n--"),
        };
        parser.run();
        let mut parts = parser.parts;
        lines::count(message, &mut parts);
        Self { parts }
    }
}

struct Parser<'a> {
    message: &'a [u8],
    parts: Vec<Part>,
    /// The part that is being read, behind all those it lies in.
    open: Vec<usize>,
    /// The multiparts among them that another part may follow in.
    multiparts: Vec<Multipart>,
    delimiters: memmem::Finder<'static>,
}

/// A multipart whose closing delimiter has not come.
struct Multipart {
    boundary: Vec<u8>,
    /// Its place in `open`.
    depth: usize,
    last_child: Option<usize>,
}

/// A line that parts the parts.
struct Delimiter {
    /// Its place in `multiparts`.
    multipart: usize,
    /// It is the last of its multipart.
    closing: bool,
    start: usize,
    /// Behind its line end.
    end: usize,
}

impl Parser<'_> {
    fn run(&mut self) {
        let mut at = 0;
        // Where the header of the part begins that is to be read next.
        let mut header = Some((0, ("text", "plain")));
        loop {
            if let Some((start, default_type)) = header.take() {
                at = self.header_end(start);
                let nested = self.begin(start..at, default_type);
                if nested {
                    header = Some((at, ("text", "plain")));
                    continue;
                }
            }
            let Some(delimiter) = self.next_delimiter(at) else { break };
            at = delimiter.end;
            let default_type = self.pass(&delimiter);
            if !delimiter.closing {
                if self.parts.len() == MAX_PARTS {
                    // The last part goes on to the end, through this delimiter and all others.
                    break;
                }
                header = Some((at, default_type));
            }
        }
        self.close(0, self.message.len());
    }

    /// Begins a part with its header. `true`: its body is a message, whose header comes next.
    fn begin(&mut self, header: Range<usize>, default_type: (&str, &str)) -> bool {
        let index = self.parts.len();
        let mut part = content::part(&self.message[header.clone()], default_type);
        part.body = header.end..header.end;
        part.header = header;
        self.link(index);
        self.open.push(index);
        let room = self.open.len() < MAX_DEPTH && index + 1 < MAX_PARTS;
        let nested = is_message(&part);
        if part.media_type == "multipart" {
            let boundary = parameters::find(&part.parameters, "boundary").unwrap_or_default();
            let boundary = boundary.trim_ascii_end();
            if room && (1..=MAX_BOUNDARY).contains(&boundary.len()) {
                let boundary = boundary.as_bytes().to_vec();
                self.multiparts.push(Multipart { boundary, depth: self.open.len() - 1, last_child: None });
            } else {
                content::degrade(&mut part);
            }
        } else if nested && !room {
            content::degrade(&mut part);
        } else if nested && !is_identity(&part.encoding) {
            // No composite type may be encoded (RFC 2045 §6.4): its octets are all that is known of it.
            part.media_type = "application".into();
            part.subtype = "octet-stream".into();
        }
        let descend = nested && part.media_type == "message";
        if descend {
            part.content = Body::Message { message: index + 1, envelope: Box::default() };
        }
        self.parts.push(part);
        descend
    }

    /// Ties a part that begins to what it lies in.
    fn link(&mut self, index: usize) {
        let Some(parent) = self.open.last().copied() else { return };
        let Some(multipart) = self.multiparts.last_mut().filter(|last| last.depth + 1 == self.open.len())
        else {
            return;
        };
        match multipart.last_child.replace(index) {
            Some(last) => self.parts[last].next = Some(index),
            None => self.parts[parent].content = Body::Multipart { first: index },
        }
    }

    /// Where the header that begins here ends: behind its blank line, or at a delimiter.
    fn header_end(&self, start: usize) -> usize {
        let mut at = start;
        while at < self.message.len() {
            let end = self.line_end(at);
            let line = &self.message[at..end];
            if matches!(line, b"\n" | b"\r\n") {
                return end;
            }
            if self.delimiter(at, end).is_some() {
                return at;
            }
            at = end;
        }
        at
    }

    /// The next line that parts parts, from the beginning of a line on.
    fn next_delimiter(&self, from: usize) -> Option<Delimiter> {
        if self.multiparts.is_empty() {
            return None;
        }
        let mut at = from;
        loop {
            let end = self.line_end(at);
            if let Some(delimiter) = self.delimiter(at, end) {
                return Some(delimiter);
            }
            // The line's own end may be the line end before the next candidate.
            let search = end.checked_sub(1).filter(|search| *search >= at)?;
            at = search + self.delimiters.find(&self.message[search..])? + 1;
        }
    }

    /// The line, if it is `--boundary` or `--boundary--` of an open multipart, the innermost first.
    fn delimiter(&self, start: usize, end: usize) -> Option<Delimiter> {
        let line = self.message[start..end].strip_prefix(b"--")?.trim_ascii_end();
        if line.len() > MAX_BOUNDARY + 2 {
            return None;
        }
        let matches = |boundary: &[u8]| match line.strip_prefix(boundary)? {
            b"" => Some(false),
            b"--" => Some(true),
            _ => None,
        };
        let (multipart, closing) = self
            .multiparts
            .iter()
            .enumerate()
            .rev()
            .find_map(|(index, multipart)| Some((index, matches(&multipart.boundary)?)))?;
        Some(Delimiter { multipart, closing, start, end })
    }

    /// Ends the parts that a delimiter ends; gives the type of the part that follows if it says nothing itself.
    fn pass(&mut self, delimiter: &Delimiter) -> (&'static str, &'static str) {
        let depth = self.multiparts[delimiter.multipart].depth;
        self.multiparts.truncate(delimiter.multipart + usize::from(!delimiter.closing));
        if !delimiter.closing && self.parts.len() == MAX_PARTS {
            return ("text", "plain");
        }
        // The line end before a delimiter belongs to it (RFC 2046 §5.1.1).
        let before = &self.message[..delimiter.start];
        let before =
            before.strip_suffix(b"\n").map_or(before, |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
        let end = before.len();
        self.close(depth + 1, end);
        // RFC 2046 §5.1.5.
        let parent = &self.parts[self.open[depth]];
        if parent.subtype == "digest" { ("message", "rfc822") } else { ("text", "plain") }
    }

    /// Ends the open parts from this depth on.
    fn close(&mut self, depth: usize, end: usize) {
        let Some(outermost) = self.open.get(depth) else { return };
        // Where delimiters follow each other, the line end before the second belongs to the first.
        let end = end.max(self.parts[*outermost].header.start);
        for index in self.open.drain(depth..).rev() {
            let part = &mut self.parts[index];
            // A delimiter may come before the header is over, or right behind it.
            part.header = part.header.start.min(end)..part.header.end.min(end);
            part.body = part.body.start.min(end)..end;
            if let Body::Message { message, .. } = part.content {
                let block = &self.message[self.parts[message].header.clone()];
                let envelope = Box::new(Envelope::parse(block));
                self.parts[index].content = Body::Message { message, envelope };
            } else if part.media_type == "multipart" && part.content == Body::Leaf {
                // No delimiter came.
                content::degrade(part);
            }
        }
    }

    /// Behind the end of the line that begins here.
    fn line_end(&self, start: usize) -> usize {
        memchr(b'\n', &self.message[start..]).map_or(self.message.len(), |length| start + length + 1)
    }
}

fn is_message(part: &Part) -> bool {
    part.media_type == "message" && matches!(part.subtype.as_str(), "rfc822" | "global")
}

fn is_identity(encoding: &Encoding) -> bool {
    matches!(encoding, Encoding::SevenBit | Encoding::EightBit | Encoding::Binary)
}
