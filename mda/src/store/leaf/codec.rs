//! Leaves as octets.
//!
//! Numbers are LEB128, signed ones in zigzag form; `Δ` is the difference to the one before, modulo 2^64.
//!
//! ```text
//! leaf    = number present(8, little-endian) count state{count} message{bits of present}
//! state   = flags<<2|has-keywords<<1|as-placed Δmodseq Δsegment Δoffset [count keyword{count}]
//! keyword = length octets
//! message = Δemail size Δinternal-date (saved-at - internal-date) [place of state, if count > 1]
//! ```
//!
//! States come in the order in which messages first have them, and none that no message has.

use journal::{Position, SegmentId};

use super::{FlagState, Leaf, Message, Order, UIDS, uids_of};
use crate::store::Uid;
use crate::store::table::Value;

/// Why octets are no leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::store) enum LeafError {
    #[error("a leaf that ends early")]
    Short,
    #[error("a leaf with octets behind its end")]
    Long,
    #[error("a number that is too large")]
    Large,
    #[error("a leaf without messages")]
    Empty,
    #[error("states of flags that are not in order")]
    Disorder,
    #[error("a keyword that is not UTF-8")]
    Keyword,
}

type Result<T, E = LeafError> = std::result::Result<T, E>;

const AS_PLACED: u64 = 1;
const HAS_KEYWORDS: u64 = 2;

impl Value for Leaf {
    type Error = LeafError;

    fn write(&self, to: &mut Vec<u8>) {
        to.reserve(16 + 8 * self.states.len() + 16 * self.messages.len());
        let mut order = Order::default();
        for message in &self.messages {
            order.place_of(message.state);
        }
        put(to, self.number.into());
        to.extend_from_slice(&self.present.to_le_bytes());
        let states = order.states();
        put(to, states.len() as u64);
        let many = states.len() > 1;
        let mut before = FlagState::default();
        for place in states {
            let state = &self.states[usize::from(place)];
            put_state(to, &before, state);
            before.modseq = state.modseq;
            before.at = state.at;
        }
        let (mut email, mut internal_date) = (0, 0);
        for message in &self.messages {
            put_signed(to, message.email.wrapping_sub(email).cast_signed());
            put(to, message.size);
            put_signed(to, message.internal_date.wrapping_sub(internal_date));
            put_signed(to, message.saved_at.wrapping_sub(message.internal_date));
            if many {
                to.push(order.place_of(message.state));
            }
            (email, internal_date) = (message.email, message.internal_date);
        }
    }

    fn read(octets: &[u8]) -> Result<Self> {
        let mut reader = Reader(octets);
        let number = reader.number_below(Leaf::number_of(Uid::MAX) + 1)?;
        let present = u64::from_le_bytes(reader.array()?);
        if present == 0 {
            return Err(LeafError::Empty);
        }
        let count = reader.number_below(present.count_ones() + 1)?;
        let mut states: Vec<FlagState> = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let state = reader.state(states.last())?;
            states.push(state);
        }
        let messages = reader.messages(number, present, count)?;
        if !reader.0.is_empty() {
            return Err(LeafError::Long);
        }
        Ok(Self { number, present, messages, states })
    }
}

fn put_state(to: &mut Vec<u8>, before: &FlagState, state: &FlagState) {
    let has_keywords = if state.keywords.is_empty() { 0 } else { HAS_KEYWORDS };
    put(to, u64::from(state.flags) << 2 | has_keywords | u64::from(state.as_placed));
    put_signed(to, state.modseq.wrapping_sub(before.modseq).cast_signed());
    put_signed(to, state.at.segment.0.wrapping_sub(before.at.segment.0).cast_signed());
    put_signed(to, i64::from(state.at.offset) - i64::from(before.at.offset));
    if has_keywords != 0 {
        put(to, state.keywords.len() as u64);
        for keyword in &state.keywords {
            put(to, keyword.len() as u64);
            to.extend_from_slice(keyword.as_bytes());
        }
    }
}

fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn put_signed(to: &mut Vec<u8>, number: i64) {
    put(to, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn octets(&mut self, number: usize) -> Result<&'a [u8]> {
        let (octets, rest) = self.0.split_at_checked(number).ok_or(LeafError::Short)?;
        self.0 = rest;
        Ok(octets)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (octets, rest) = self.0.split_first_chunk().ok_or(LeafError::Short)?;
        self.0 = rest;
        Ok(*octets)
    }

    fn number(&mut self) -> Result<u64> {
        match self.0.split_first() {
            Some((octet, rest)) if *octet < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*octet))
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Result<u64> {
        let (mut number, mut shift) = (0_u64, 0);
        loop {
            let (octet, rest) = self.0.split_first().ok_or(LeafError::Short)?;
            self.0 = rest;
            let bits = u64::from(octet & 0x7f);
            if shift == 63 && *octet > 1 {
                return Err(LeafError::Large);
            }
            number |= bits << shift;
            if octet & 0x80 == 0 {
                return Ok(number);
            }
            shift += 7;
        }
    }

    fn number_below(&mut self, limit: u32) -> Result<u32> {
        let number = u32::try_from(self.number()?).map_err(|_| LeafError::Large)?;
        if number < limit { Ok(number) } else { Err(LeafError::Large) }
    }

    fn signed(&mut self) -> Result<i64> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn state(&mut self, before: Option<&FlagState>) -> Result<FlagState> {
        let (modseq, at) = before.map(FlagState::age).unwrap_or_default();
        let head = self.number()?;
        let flags = u32::try_from(head >> 2).map_err(|_| LeafError::Large)?;
        let modseq = modseq.wrapping_add_signed(self.signed()?);
        let segment = SegmentId(at.segment.0.wrapping_add_signed(self.signed()?));
        let offset = i64::from(at.offset).checked_add(self.signed()?).ok_or(LeafError::Large)?;
        let offset = u32::try_from(offset).map_err(|_| LeafError::Large)?;
        let keywords = if head & HAS_KEYWORDS == 0 { Vec::new() } else { self.keywords()? };
        let at = Position { segment, offset };
        Ok(FlagState { flags, keywords, modseq, at, as_placed: head & AS_PLACED != 0 })
    }

    fn keywords(&mut self) -> Result<Vec<String>> {
        let count = self.number()?;
        // Not allocated at once: that so many follow is only said.
        let mut keywords = Vec::new();
        for _ in 0..count {
            let length = usize::try_from(self.number()?).map_err(|_| LeafError::Large)?;
            let keyword = str::from_utf8(self.octets(length)?).map_err(|_| LeafError::Keyword)?;
            keywords.push(keyword.to_owned());
        }
        Ok(keywords)
    }

    /// The messages of those UIDs of a leaf that are present, with so many states.
    fn messages(&mut self, number: u32, present: u64, states: u32) -> Result<Vec<Message>> {
        let first = *uids_of(number).start();
        let mut messages = Vec::with_capacity(present.count_ones() as usize);
        let (mut email, mut internal_date, mut known) = (0_u64, 0_i64, 0);
        for uid in (0..UIDS).filter(|place| present >> place & 1 == 1).map(|place| first + place) {
            email = email.wrapping_add_signed(self.signed()?);
            let size = self.number()?;
            internal_date = internal_date.wrapping_add(self.signed()?);
            let saved_at = internal_date.wrapping_add(self.signed()?);
            let state = if states > 1 { self.number_below(states)? } else { 0 };
            match state.cmp(&known) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => known += 1,
                std::cmp::Ordering::Greater => return Err(LeafError::Disorder),
            }
            messages.push(Message { uid, email, size, internal_date, saved_at, state: state as u8 });
        }
        if known == states { Ok(messages) } else { Err(LeafError::Disorder) }
    }
}
