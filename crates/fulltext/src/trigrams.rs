//! Three characters in a row.

/// Bits of a character: `char::MAX` is 0x10ffff.
const BITS: u32 = 21;

/// The trigrams of a text, each once, as numbers that no two trigrams share.
pub(super) fn of(text: &str) -> Vec<u64> {
    const MASK: u64 = (1 << (3 * BITS)) - 1;
    let mut trigrams = Vec::with_capacity(text.len().min(1 << 16));
    let mut last = 0;
    for (place, character) in text.chars().enumerate() {
        last = (last << BITS | u64::from(character)) & MASK;
        if place >= 2 {
            trigrams.push(last);
        }
    }
    trigrams.sort_unstable();
    trigrams.dedup();
    trigrams
}
