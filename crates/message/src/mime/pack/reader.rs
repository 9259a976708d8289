//! Reads the packed form.

use super::WORDS;

/// An octet is not as it was written.
#[derive(Debug)]
pub(super) struct Malformed;

pub(super) type Read<T> = Result<T, Malformed>;

/// Octets that are left.
pub(super) struct Reader<'a> {
    octets: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Fails if the octets are of another version.
    pub(super) fn new(octets: &'a [u8], version: u8) -> Read<Self> {
        let mut reader = Self { octets };
        if reader.octet()? == version { Ok(reader) } else { Err(Malformed) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    pub(super) fn octet(&mut self) -> Read<u8> {
        let (first, rest) = self.octets.split_first().ok_or(Malformed)?;
        self.octets = rest;
        Ok(*first)
    }

    pub(super) fn number(&mut self) -> Read<usize> {
        let mut number = 0;
        for shift in (0..usize::BITS).step_by(7) {
            let octet = usize::from(self.octet()?);
            number |= (octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    pub(super) fn text(&mut self) -> Read<String> {
        let number = self.number()?;
        if number & 1 == 1 {
            return WORDS.get(number >> 1).map(|word| (*word).to_owned()).ok_or(Malformed);
        }
        let (text, rest) = self.octets.split_at_checked(number >> 1).ok_or(Malformed)?;
        self.octets = rest;
        String::from_utf8(text.to_vec()).map_err(|_| Malformed)
    }

    pub(super) fn optional_text(&mut self) -> Read<Option<String>> {
        let is_there = self.octet()? != 0;
        self.optional(is_there, Self::text)
    }

    /// Reads what is there only if a flag says so.
    pub(super) fn optional<T>(
        &mut self,
        is_there: bool,
        read: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<Option<T>> {
        is_there.then(|| read(self)).transpose()
    }

    pub(super) fn list<T>(&mut self, item: impl Fn(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let count = self.number()?;
        // Each item takes an octet at least.
        let mut items = Vec::with_capacity(count.min(self.octets.len()).min(64));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }
}
