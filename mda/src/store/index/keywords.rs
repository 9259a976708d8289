//! Keywords of an index: each set of them that messages have stands there once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::store::Flags;
use crate::store::flags::KeywordSet;

/// A set of keywords in an index: 0 for none, else its place and one.
pub(super) type SetId = u32;

/// Sets beside which it does not matter how many are in use.
const FEW: usize = 1_024;

/// The sets of keywords of an index, and the keywords by themselves. Only ever added to, within a generation.
#[derive(Debug, Clone, Default)]
pub(super) struct Keywords {
    generation: u32,
    sets: Log<KeywordSet>,
    names: Log<Arc<str>>,
}

/// Finds the sets that there are already.
#[derive(Debug, Default)]
pub(super) struct Interner {
    /// By the keywords with a separator.
    sets: HashMap<String, SetId>,
    names: HashSet<Arc<str>>,
    /// The last that was looked for.
    sought: String,
}

impl Keywords {
    pub(super) fn set(&self, id: SetId) -> Option<&KeywordSet> {
        self.sets.get((id as usize).checked_sub(1)?)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter()
    }

    /// Every keyword of the other is here; it may say no wrongly when unused ones were forgotten in between.
    pub(super) fn has_all_of(&self, other: &Self) -> bool {
        self.generation == other.generation && self.names.len >= other.names.len
    }

    /// There are many more sets than so many messages can have.
    pub(super) fn are_mostly_unused(&self, messages: u32) -> bool {
        self.sets.len > FEW + 2 * messages as usize
    }

    /// Begins anew.
    pub(super) fn next_generation(&self) -> Self {
        Self { generation: self.generation.wrapping_add(1), ..Self::default() }
    }

    /// Octets that they take, roughly.
    pub(super) fn octets(&self) -> usize {
        /// Of a set with its keywords, here and in the interner.
        const SET: usize = 256;
        (self.sets.len + self.names.len) * SET
    }
}

impl Interner {
    /// The set of these keywords, in whatever order they are.
    pub(super) fn intern(&mut self, keywords: &mut Keywords, set: &[String]) -> SetId {
        self.find(keywords, set.iter().map(String::as_str))
    }

    pub(super) fn intern_set(&mut self, keywords: &mut Keywords, set: Option<&KeywordSet>) -> SetId {
        self.find(keywords, set.into_iter().flat_map(|set| set.iter()).map(|name| &**name))
    }

    fn find<'a>(&mut self, keywords: &mut Keywords, set: impl Iterator<Item = &'a str> + Clone) -> SetId {
        self.sought.clear();
        for name in set.clone() {
            self.sought.push_str(name);
            self.sought.push('\0');
        }
        if self.sought.is_empty() {
            return 0;
        }
        if let Some(id) = self.sets.get(self.sought.as_str()) {
            return *id;
        }
        let mut flags = Flags::none();
        set.for_each(|name| flags.set_keyword(name));
        let names: KeywordSet = flags.keywords().map(|name| self.name(keywords, name)).collect();
        keywords.sets.push(names);
        let id = keywords.sets.len as SetId;
        self.sets.insert(self.sought.clone(), id);
        id
    }

    fn name(&mut self, keywords: &mut Keywords, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = Arc::from(name);
        self.names.insert(Arc::clone(&name));
        keywords.names.push(Arc::clone(&name));
        name
    }
}

/// A list that is only added to; clones share all but its end.
#[derive(Debug, Clone)]
struct Log<T> {
    /// All but the last are full.
    chunks: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T: Clone> Log<T> {
    const CHUNK: usize = 64;

    fn get(&self, at: usize) -> Option<&T> {
        self.chunks.get(at / Self::CHUNK)?.get(at % Self::CHUNK)
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    fn push(&mut self, item: T) {
        if self.len.is_multiple_of(Self::CHUNK) {
            self.chunks.push(Arc::default());
        }
        if let Some(last) = self.chunks.last_mut() {
            Arc::make_mut(last).push(item);
        }
        self.len += 1;
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}
