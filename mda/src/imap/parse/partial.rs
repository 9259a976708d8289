//! Ranges of results (RFC 9394 §4).

use super::cursor::{Cursor, Invalid};

/// Which of some results, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialRange {
    /// Counted from the last result, else from the first.
    pub from_last: bool,
    /// As sent, 1-based; a range may be given backwards.
    pub ends: (u32, u32),
}

impl PartialRange {
    /// The part of the results that the range names; empty beyond them.
    pub fn of<T>(self, results: &[T]) -> &[T] {
        let (one, other) = self.ends;
        let (first, last) = (one.min(other) as usize, one.max(other) as usize);
        let length = results.len();
        if first > length {
            return &[];
        }
        let last = last.min(length);
        if self.from_last { &results[length - last..=length - first] } else { &results[first - 1..last] }
    }
}

/// `partial-range`
pub(super) fn partial_range(cursor: &mut Cursor) -> Result<PartialRange, Invalid> {
    let from_last = cursor.take(b'-');
    let first = cursor.nz_number()?;
    cursor.expect(b':')?;
    if from_last {
        cursor.expect(b'-')?;
    }
    Ok(PartialRange { from_last, ends: (first, cursor.nz_number()?) })
}
