//! Leaves: messages of a mailbox with neighbouring UIDs, in one row.
//!
//! A leaf holds what an index needs of its messages, and what changes: their flags. What came with a message and stays
//! is in a row of its own ([`super::record::Placed`]) that no change of flags touches.

mod codec;

use std::ops::RangeInclusive;

use jiff::Timestamp;
use journal::Position;

use super::record::{Flagged, Placed};
use super::{EmailId, Flags, Row, SystemFlag, Uid};

/// UIDs of one leaf: a change of one message writes up to so many anew, one of all messages a row for so many.
pub(super) const UIDS: u32 = 64;

/// States of flags, unused ones among them, that are at hand before those are forgotten. An octet counts them.
const MOST_STATES: usize = 2 * UIDS as usize;

/// The messages of a mailbox with one of [`UIDS`] UIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// The UIDs divided by [`UIDS`].
    number: u32,
    /// A bit for each UID that there is, the lowest for the first.
    present: u64,
    /// Ascending by UID.
    messages: Vec<Message>,
    states: Vec<FlagState>,
}

/// A message, without its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) uid: Uid,
    pub(super) email: u64,
    /// Octets of the body.
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) internal_date: i64,
    /// Seconds since 1970; 0 where that was not recorded.
    pub(super) saved_at: i64,
    /// Its place in the leaf's `states`.
    state: u8,
}

/// Flags that messages have, since when, and which record says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FlagState {
    pub(super) flags: u32,
    pub(super) keywords: Vec<String>,
    pub(super) modseq: u64,
    pub(super) at: Position,
    /// The record is the one that placed the messages too.
    pub(super) as_placed: bool,
}

impl Message {
    pub(super) fn of(placed: &Placed) -> Self {
        Self {
            uid: placed.uid,
            email: placed.email,
            size: placed.size,
            internal_date: placed.internal_date,
            saved_at: placed.saved_at,
            state: 0,
        }
    }

    /// The row of what came with it, which has no flags, says the same.
    pub(super) fn came_by(&self, placed: &Placed) -> bool {
        Self { state: self.state, ..Self::of(placed) } == *self
            && (placed.modseq, placed.flags, placed.keywords.len()) == (0, 0, 0)
    }

    /// The message with its flags.
    pub(super) fn row(&self, flags: &FlagState) -> Row {
        let time = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::MIN);
        Row {
            uid: self.uid,
            email: EmailId(self.email),
            flags: Flags::from_parts(flags.flags, &flags.keywords),
            internal_date: time(self.internal_date),
            size: self.size,
            modseq: flags.modseq,
            saved_at: (self.saved_at > 0).then(|| time(self.saved_at)),
        }
    }
}

impl FlagState {
    /// With these a message is placed by the record at a position.
    pub(super) fn of_placed(placed: &Placed, at: Position) -> Self {
        let Placed { flags, ref keywords, modseq, .. } = *placed;
        Self { flags, keywords: keywords.clone(), modseq, at, as_placed: true }
    }

    pub(super) fn of_flagged(flagged: &Flagged, at: Position) -> Self {
        let Flagged { flags, ref keywords, modseq, .. } = *flagged;
        Self { flags, keywords: keywords.clone(), modseq, at, as_placed: false }
    }

    pub(super) fn has(&self, flag: SystemFlag) -> bool {
        self.flags & flag as u32 != 0
    }

    /// What the keywords take in a record.
    fn keyword_octets(&self) -> i64 {
        let octets: usize = self.keywords.iter().map(|keyword| keyword.len() + 2).sum();
        i64::try_from(octets).unwrap_or(i64::MAX)
    }

    /// Of two states of one message the greater counts.
    pub(super) fn age(&self) -> (u64, Position) {
        (self.modseq, self.at)
    }
}

impl Leaf {
    /// The leaf that a UID belongs to.
    pub(super) fn number_of(uid: Uid) -> u32 {
        uid / UIDS
    }

    /// A leaf without messages.
    pub(super) fn empty(number: u32) -> Self {
        Self { number, present: 0, messages: Vec::new(), states: Vec::new() }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The UIDs that belong here.
    pub(super) fn uids(&self) -> RangeInclusive<Uid> {
        uids_of(self.number)
    }

    /// The messages with their flags, ascending by UID.
    pub(super) fn messages(&self) -> impl Iterator<Item = (&Message, &FlagState)> {
        self.messages.iter().map(|message| (message, &self.states[usize::from(message.state)]))
    }

    /// The messages of a range of UIDs, with their flags.
    pub(super) fn within(&self, uids: &RangeInclusive<Uid>) -> impl Iterator<Item = (&Message, &FlagState)> {
        let messages = &self.messages[self.places(uids)];
        messages.iter().map(|message| (message, &self.states[usize::from(message.state)]))
    }

    pub(super) fn get(&self, uid: Uid) -> Option<(&Message, &FlagState)> {
        self.within(&(uid..=uid)).next()
    }

    /// The states of flags, and the messages with the place of theirs.
    pub(super) fn parts(&self) -> (&[FlagState], impl Iterator<Item = (&Message, usize)>) {
        let messages = self.messages.iter().map(|message| (message, usize::from(message.state)));
        (&self.states, messages)
    }

    /// The records that messages have their keywords from, and what these take there: in one that placed messages beside
    /// each, in one that changed flags once for all messages of the leaf.
    pub(super) fn keyword_octets(&self) -> Vec<(Position, i64)> {
        if self.states.iter().all(|state| state.keywords.is_empty()) {
            return Vec::new();
        }
        let mut messages = vec![0_i64; self.states.len()];
        for message in &self.messages {
            messages[usize::from(message.state)] += 1;
        }
        let states = self.states.iter().zip(messages);
        let used = states.filter(|(state, messages)| *messages > 0 && !state.keywords.is_empty());
        used.map(|(state, messages)| {
            let times = if state.as_placed { messages } else { 1 };
            (state.at, times * state.keyword_octets())
        })
        .collect()
    }

    /// The UIDs of a range within the leaf that no message has.
    pub(super) fn missing(&self, uids: &RangeInclusive<Uid>) -> impl Iterator<Item = Uid> {
        let (first, mut bits) = (self.number * UIDS, self.bits(uids) & !self.present);
        std::iter::from_fn(move || {
            let place = bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
            (place < u64::BITS).then(|| first + place)
        })
    }

    /// Puts a message in, which belongs here and is not there: whoever takes one out counts what goes with it.
    pub(super) fn insert(&mut self, message: Message, state: FlagState) {
        let state = self.place_of(state);
        let bit = 1 << (message.uid % UIDS);
        debug_assert_eq!(self.present & bit, 0, "{} is there", message.uid);
        let place = (self.present & (bit - 1)).count_ones() as usize;
        self.present |= bit;
        self.messages.insert(place, Message { state, ..message });
    }

    /// Takes a message out.
    pub(super) fn remove(&mut self, uid: Uid) -> Option<(Message, FlagState)> {
        let place = self.places(&(uid..=uid));
        let message = *self.messages.get(place.clone())?.first()?;
        self.messages.remove(place.start);
        self.present &= !(1 << (uid % UIDS));
        Some((message, self.states[usize::from(message.state)].clone()))
    }

    /// Gives these flags to the messages of a range within the leaf whose own are older; `tell` hears of each with the
    /// flags that it had.
    pub(super) fn reflag(
        &mut self,
        uids: &RangeInclusive<Uid>,
        new: &FlagState,
        mut tell: impl FnMut(&Message, &FlagState),
    ) {
        let places = self.places(uids);
        if places.is_empty() {
            return;
        }
        let place = self.place_of(new.clone());
        let Self { messages, states, .. } = self;
        for message in &mut messages[places] {
            let old = &states[usize::from(message.state)];
            if old.age() < new.age() {
                tell(message, old);
                message.state = place;
            }
        }
    }

    /// The place of a state, which is added if there is none like it.
    fn place_of(&mut self, state: FlagState) -> u8 {
        if let Some(place) = self.states.iter().rposition(|known| *known == state) {
            return place as u8;
        }
        if self.states.len() >= MOST_STATES {
            self.forget_unused();
        }
        self.states.push(state);
        (self.states.len() - 1) as u8
    }

    /// Drops states that no message has; the others come in the order in which messages have them.
    fn forget_unused(&mut self) {
        let mut order = Order::default();
        for message in &mut self.messages {
            message.state = order.place_of(message.state);
        }
        let states = order.states().map(|place| std::mem::take(&mut self.states[usize::from(place)]));
        self.states = states.collect();
    }

    /// Where the messages of a range stand.
    fn places(&self, uids: &RangeInclusive<Uid>) -> std::ops::Range<usize> {
        let bits = self.bits(uids);
        if bits == 0 {
            return 0..0;
        }
        let before = (1 << bits.trailing_zeros()) - 1;
        let start = (self.present & before).count_ones() as usize;
        start..start + (self.present & bits).count_ones() as usize
    }

    /// The bits of a range's UIDs that belong here.
    fn bits(&self, uids: &RangeInclusive<Uid>) -> u64 {
        let own = self.uids();
        let (first, last) = (*uids.start().max(own.start()), *uids.end().min(own.end()));
        if first > last {
            return 0;
        }
        (u64::MAX >> (UIDS - 1 - (last - first))) << (first % UIDS)
    }
}

/// The UIDs that belong to a leaf.
fn uids_of(number: u32) -> RangeInclusive<Uid> {
    let first = number * UIDS;
    first..=first + (UIDS - 1)
}

/// Ranges of UIDs, cut where leaves begin: the number of a leaf, and UIDs of it.
pub(super) fn pieces(
    ranges: impl IntoIterator<Item = RangeInclusive<Uid>>,
) -> impl Iterator<Item = (u32, RangeInclusive<Uid>)> {
    ranges.into_iter().flat_map(|range| {
        let numbers = Leaf::number_of(*range.start())..=Leaf::number_of(*range.end());
        numbers.map(move |number| {
            let own = uids_of(number);
            (number, *range.start().max(own.start())..=*range.end().min(own.end()))
        })
    })
}

/// States of flags in the order in which messages have them.
struct Order {
    /// By their place until now: the new place, or [`NONE`].
    places: [u8; MOST_STATES],
    /// The places until now.
    states: [u8; UIDS as usize],
    len: u8,
}

/// No place of a state.
const NONE: u8 = u8::MAX;

impl Default for Order {
    fn default() -> Self {
        Self { places: [NONE; MOST_STATES], states: [0; UIDS as usize], len: 0 }
    }
}

impl Order {
    fn place_of(&mut self, old: u8) -> u8 {
        let place = &mut self.places[usize::from(old)];
        if *place == NONE {
            *place = self.len;
            self.states[usize::from(self.len)] = old;
            self.len += 1;
        }
        *place
    }

    /// The places until now, in their new order.
    fn states(&self) -> impl ExactSizeIterator<Item = u8> + use<> {
        self.states.into_iter().take(usize::from(self.len))
    }
}

#[cfg(test)]
mod tests;
