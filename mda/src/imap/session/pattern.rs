//! Patterns of LIST (RFC 9051 §6.3.9): `*` is anything, `%` anything within a level.
//!
//! A pattern is an automaton with a state for each of its characters, and a set of states is a row of bits. So one walk
//! over a name says of the name and of each of its superiors whether they match, and time is in proportion to the name's
//! length and a 64th of the pattern's, whatever the wildcards.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::store::MailboxName;

/// Characters in all patterns of a command together, with their references.
const LENGTH: usize = 2_000;

/// Patterns, of which a name has to match one.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    patterns: Vec<Pattern>,
    length: usize,
}

/// A pattern with its reference put before it.
#[derive(Debug)]
struct Pattern {
    /// For each character the states that wait for it.
    characters: HashMap<char, Bits>,
    /// The states at a `*`.
    stars: Bits,
    /// The states at a `%`.
    percents: Bits,
    /// How many states there are before the last, which is a match.
    length: usize,
}

/// Which of a name and its superiors match: the octets of each that does, ascending.
pub(super) type Matches = Vec<usize>;

impl Patterns {
    /// False: there is no room for it.
    pub(super) fn add(&mut self, reference: &str, pattern: &str) -> bool {
        let length = self.length + reference.chars().count() + pattern.chars().count();
        let fits = length <= LENGTH;
        if fits {
            self.length = length;
            self.patterns.push(Pattern::new(reference, pattern));
        }
        fits
    }

    pub(super) fn matches(&self, name: &MailboxName) -> Matches {
        match self.patterns.as_slice() {
            [only] => only.matches(name),
            patterns => {
                let mut all: Matches = patterns.iter().flat_map(|pattern| pattern.matches(name)).collect();
                all.sort_unstable();
                all.dedup();
                all
            }
        }
    }
}

impl Pattern {
    fn new(reference: &str, pattern: &str) -> Self {
        let mut steps: Vec<char> = Vec::new();
        for step in reference.chars().chain(pattern.chars()) {
            // Of two wildcards side by side the wider one says all: so no state leads on to more than one other.
            match (steps.last_mut(), step) {
                (Some(last @ ('*' | '%')), '*') => *last = '*',
                (Some('*' | '%'), '%') => {}
                _ => steps.push(step),
            }
        }
        let states = steps.len() + 1;
        let (mut stars, mut percents) = (Bits::none(states), Bits::none(states));
        let mut characters: HashMap<char, Bits> = HashMap::new();
        for (state, step) in steps.iter().enumerate() {
            match step {
                '*' => stars.set(state),
                '%' => percents.set(state),
                step => characters.entry(*step).or_insert_with(|| Bits::none(states)).set(state),
            }
        }
        Self { characters, stars, percents, length: steps.len() }
    }

    /// INBOX has no case (RFC 9051 §5.1).
    fn matches(&self, name: &MailboxName) -> Matches {
        let name = name.as_str();
        let inbox = name == "INBOX" || name.starts_with("INBOX/");
        let mut matches = Matches::new();
        let mut states = Bits::none(self.length + 1);
        states.set(0);
        self.pass_wildcards(&mut states);
        for (at, character) in name.char_indices() {
            let is_separator = character == MailboxName::SEPARATOR;
            if is_separator && states.has(self.length) {
                matches.push(at);
            }
            let mut next = Bits::none(self.length + 1);
            let lower = (inbox && at < 5).then(|| character.to_ascii_lowercase());
            for waiting in [Some(character), lower].into_iter().flatten() {
                if let Some(waiting) = self.characters.get(&waiting) {
                    next.add_next_of(&states, waiting);
                }
            }
            next.add_both(&states, &self.stars);
            if !is_separator {
                next.add_both(&states, &self.percents);
            }
            self.pass_wildcards(&mut next);
            states = next;
        }
        if states.has(self.length) {
            matches.push(name.len());
        }
        matches
    }

    /// A wildcard may stand for nothing.
    fn pass_wildcards(&self, states: &mut Bits) {
        let before = states.clone();
        states.add_next_of(&before, &self.stars);
        states.add_next_of(&before, &self.percents);
    }
}

/// A set of states.
#[derive(Debug, Clone)]
struct Bits(Vec<u64>);

impl Bits {
    fn none(states: usize) -> Self {
        Self(vec![0; states.div_ceil(64)])
    }

    fn set(&mut self, state: usize) {
        self.0[state / 64] |= 1 << (state % 64);
    }

    fn has(&self, state: usize) -> bool {
        self.0[state / 64] & 1 << (state % 64) != 0
    }

    /// Adds the states that are in both sets.
    fn add_both(&mut self, one: &Self, other: &Self) {
        for ((to, one), other) in self.0.iter_mut().zip(&one.0).zip(&other.0) {
            *to |= one & other;
        }
    }

    /// Adds the states behind those that are in both sets.
    fn add_next_of(&mut self, one: &Self, other: &Self) {
        let mut carried = 0;
        for ((to, one), other) in self.0.iter_mut().zip(&one.0).zip(&other.0) {
            let both = one & other;
            *to |= both << 1 | carried;
            carried = both >> 63;
        }
    }
}
