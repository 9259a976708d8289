//! Reads the packed form; gives `None` at the first octet that is not as it was written.

use super::WORDS;

/// Octets that are left.
pub(super) struct Reader<'a> {
    octets: &'a [u8],
}

impl<'a> Reader<'a> {
    /// `None` if the octets are of another version.
    pub(super) fn new(octets: &'a [u8], version: u8) -> Option<Self> {
        let (first, octets) = octets.split_first()?;
        (*first == version).then_some(Self { octets })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    pub(super) fn octet(&mut self) -> Option<u8> {
        let (first, rest) = self.octets.split_first()?;
        self.octets = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..usize::BITS).step_by(7) {
            let octet = usize::from(self.octet()?);
            number |= (octet & 0x7f).checked_shl(shift)?;
            if octet & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let number = self.number()?;
        if number & 1 == 1 {
            return WORDS.get(number >> 1).map(|word| (*word).to_owned());
        }
        let (text, rest) = self.octets.split_at_checked(number >> 1)?;
        self.octets = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    pub(super) fn optional_text(&mut self) -> Option<Option<String>> {
        let is_there = self.octet()? != 0;
        self.optional(is_there, Self::text)
    }

    /// Reads what is there only if a flag says so.
    pub(super) fn optional<T>(
        &mut self,
        is_there: bool,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if is_there { read(self).map(Some) } else { Some(None) }
    }

    pub(super) fn list<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        // Each item takes an octet at least.
        let mut items = Vec::with_capacity(count.min(self.octets.len()).min(64));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Some(items)
    }
}
