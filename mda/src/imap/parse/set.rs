//! Sets of message numbers or UIDs (RFC 9051 §9, `sequence-set`).

use std::ops::RangeInclusive;

use super::cursor::{Cursor, Invalid};

/// Which messages a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageSet {
    /// Given by number.
    Numbers(SequenceSet),
    /// `$`: what the last `SEARCH RETURN (SAVE)` found (RFC 9051 §6.4.4.1).
    Saved,
}

/// Ranges as they were sent: in any order, overlapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet(pub Vec<(SetEnd, SetEnd)>);

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetEnd {
    /// Never 0.
    Number(u32),
    /// `*`: the last message's.
    Last,
}

impl SequenceSet {
    /// The ranges in ascending order, merged, with `*` standing for `last`.
    pub fn ranges(&self, last: u32) -> Vec<RangeInclusive<u32>> {
        let number = |end: SetEnd| match end {
            SetEnd::Number(number) => number,
            SetEnd::Last => last,
        };
        let mut ranges: Vec<(u32, u32)> = self
            .0
            .iter()
            .map(|&(one, other)| (number(one), number(other)))
            .map(|(one, other)| (one.min(other), one.max(other)))
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<RangeInclusive<u32>> = Vec::with_capacity(ranges.len());
        for (first, end) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.end().saturating_add(1) => {
                    *before = *before.start()..=end.max(*before.end());
                }
                _ => merged.push(first..=end),
            }
        }
        merged
    }
}

pub(super) fn message_set(cursor: &mut Cursor) -> Result<MessageSet, Invalid> {
    if cursor.take(b'$') { Ok(MessageSet::Saved) } else { sequence_set(cursor).map(MessageSet::Numbers) }
}

pub(super) fn sequence_set(cursor: &mut Cursor) -> Result<SequenceSet, Invalid> {
    let mut ranges = Vec::new();
    loop {
        let first = end(cursor)?;
        let last = if cursor.take(b':') { end(cursor)? } else { first };
        ranges.push((first, last));
        if !cursor.take(b',') {
            return Ok(SequenceSet(ranges));
        }
    }
}

fn end(cursor: &mut Cursor) -> Result<SetEnd, Invalid> {
    if cursor.take(b'*') { Ok(SetEnd::Last) } else { cursor.nz_number().map(SetEnd::Number) }
}
