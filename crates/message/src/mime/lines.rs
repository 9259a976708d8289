//! Counts the lines of all parts in one pass, however deeply they lie within each other.

use memchr::memchr_iter;

use super::structure::Part;

/// Fills in [`Part::lines`].
pub(super) fn count(message: &[u8], parts: &mut [Part]) {
    let mut places: Vec<usize> = parts.iter().flat_map(|part| [part.body.start, part.body.end]).collect();
    places.sort_unstable();
    places.dedup();
    let mut line_ends = Vec::with_capacity(places.len());
    let (mut from, mut seen) = (0, 0);
    for place in &places {
        seen += memchr_iter(b'\n', &message[from..*place]).count();
        from = *place;
        line_ends.push(seen);
    }
    let before = |place: usize| places.binary_search(&place).map_or(0, |index| line_ends[index]);
    for part in parts {
        let unended = message[part.body.clone()].last().is_some_and(|last| *last != b'\n');
        part.lines = before(part.body.end) - before(part.body.start) + usize::from(unended);
    }
}
