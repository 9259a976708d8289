//! The fields of a header block (RFC 5322 §2.2), read in place.
//!
//! Reading is tolerant in the ways of RFC 7103: lines may end in a bare LF, octets may be 8-bit, a line that is no
//! field belongs to the field before it (§7.2), blanks may stand before the colon (§7.4), and an mbox `From ` line may
//! come first. The fields of a block, put back together, are always exactly the block.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

#[cfg(test)]
mod tests;

/// Octets of a header block that a receiver should accept at most.
pub const MAX_HEADER: usize = 256 * 1024;
/// Fields in a header block that a receiver should accept at most.
pub const MAX_FIELDS: usize = 4_000;

/// Iterates over the fields of a header block; stops at the blank line behind it, so a whole message will do as well.
pub fn fields(block: &[u8]) -> Fields<'_> {
    Fields { block, offset: 0 }
}

/// The value of the first field of this name.
pub fn first<'a>(block: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(block).find(|field| field.is(name)).map(|field| field.value)
}

/// Octets of the header block at the start of `message`, with the blank line that ends it; all of it if none does.
pub fn length(message: &[u8]) -> usize {
    EndFinder::default().push(message).unwrap_or(message.len())
}

/// One field of a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Where `raw` begins in the block.
    pub offset: usize,
    /// What stands before the colon, without blanks. Empty only for lines at the top of the block that are no field.
    pub name: &'a [u8],
    /// What stands behind the colon, with its folds, without the line end that ends the field.
    pub value: &'a [u8],
    /// The whole field with its last line end.
    pub raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// Whether this is the field `name`, in whatever case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value on one line: line ends taken out, blanks around it taken off (RFC 5322 §2.2.3).
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.value)
    }

    /// Whether the field is as RFC 5322 §2.2 wants it: a name, and every further line begins with a blank.
    pub fn is_well_formed(&self) -> bool {
        self.malformed_line().is_none()
    }

    /// The first line of the field, counted from 0, that is neither its beginning nor a fold.
    pub fn malformed_line(&self) -> Option<usize> {
        let mut lines = self.raw.split_inclusive(|byte| *byte == b'\n');
        if lines.next().and_then(field_name).is_none() {
            return Some(0);
        }
        lines.position(|line| !is_blank(line[0])).map(|index| index + 1)
    }
}

/// Takes the line ends out of a folded value, and the blanks around it off.
///
/// A further line that does not begin with a blank, as it should, gets one (RFC 7103 §7.2).
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr2(b'\r', b'\n', value).is_none() {
        return Cow::Borrowed(value.trim_ascii());
    }
    let mut unfolded = Vec::with_capacity(value.len());
    for line in value.split(|byte| *byte == b'\n') {
        if !unfolded.is_empty() && !line.first().is_none_or(|byte| is_blank(*byte)) {
            unfolded.push(b' ');
        }
        unfolded.extend(line.iter().filter(|byte| **byte != b'\r'));
    }
    Cow::Owned(unfolded.trim_ascii().to_vec())
}

/// Iterator over the fields of a header block; see [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    block: &'a [u8],
    /// Where the next field begins.
    offset: usize,
}

impl Fields<'_> {
    /// How far the block has been read; behind the last field, where the blank line begins.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let rest = &self.block[self.offset..];
        let first = line_length(rest);
        if is_end(&rest[..first]) {
            return None;
        }
        let mut length = first;
        while !starts_field_or_end(&rest[length..]) {
            length += line_length(&rest[length..]);
        }
        let raw = &rest[..length];
        let (name, value) = match field_name(&raw[..first]) {
            Some(name) => {
                let colon = name.len() + memchr(b':', &raw[name.len()..]).unwrap_or_default();
                (name, &raw[colon + 1..])
            }
            None => (&raw[..0], raw),
        };
        let field = Field { offset: self.offset, name, value: without_line_end(value), raw };
        self.offset += length;
        Some(field)
    }
}

/// Finds the end of a header block in a stream, over any boundaries between chunks.
///
/// The end is the first empty line; a line of blanks is not empty (RFC 7103 §7.3).
#[derive(Clone, Debug)]
pub struct EndFinder {
    /// The line so far is empty, but for a CR if `carriage_return`.
    empty: bool,
    carriage_return: bool,
}

impl Default for EndFinder {
    fn default() -> Self {
        Self { empty: true, carriage_return: false }
    }
}

impl EndFinder {
    /// Takes the next chunk. `Some(n)`: the header block with its blank line ends behind `n` octets of the chunk.
    pub fn push(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < chunk.len() {
            match chunk[at] {
                b'\n' if self.empty => return Some(at + 1),
                b'\r' if self.empty && !self.carriage_return => {
                    self.carriage_return = true;
                    at += 1;
                }
                _ => {
                    let line_end = memchr(b'\n', &chunk[at..]);
                    self.empty = line_end.is_some();
                    self.carriage_return = false;
                    at = line_end.map_or(chunk.len(), |length| at + length + 1);
                }
            }
        }
        None
    }
}

/// Octets of the first line, with its line end.
fn line_length(text: &[u8]) -> usize {
    memchr(b'\n', text).map_or(text.len(), |end| end + 1)
}

/// Whether a line ends the block: empty, or not there at all.
fn is_end(line: &[u8]) -> bool {
    matches!(line, b"" | b"\n" | b"\r\n")
}

/// Whether what comes next is not part of the field before.
fn starts_field_or_end(rest: &[u8]) -> bool {
    let line = &rest[..line_length(rest)];
    is_end(line) || field_name(line).is_some()
}

/// The name of the field that the line begins: printable ASCII, perhaps blanks, a colon (RFC 5322 §2.2, §4.5).
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let length = line.iter().position(|byte| !matches!(byte, b'!'..=b'9' | b';'..=b'~'))?;
    let colon = line[length..].iter().find(|byte| !is_blank(**byte))?;
    (length > 0 && *colon == b':').then(|| &line[..length])
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
