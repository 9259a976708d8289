//! Rows in order, from memory and from sled.

use std::cmp::Ordering;
use std::collections::btree_map::Range;
use std::ops::Bound;
use std::sync::Arc;

use sled::IVec;

use super::Layer;

type Pair = sled::Result<(IVec, IVec)>;

/// What is in memory goes before what sled has. An error is the last item: sled's iterator would give it again and again,
/// and nobody knows what is behind it.
pub(in crate::store) struct Scan {
    memory: Ends<Memory>,
    tree: Ends<sled::Iter>,
    has_failed: bool,
}

impl Scan {
    /// The layers, the newer first, must have been taken before.
    pub(super) fn new(
        layers: [Arc<Layer>; 2],
        tree: &sled::Tree,
        bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> Self {
        let (start, end) = &bounds;
        let of = |bound: &Bound<Vec<u8>>| bound.as_ref().map(|key| IVec::from(&**key));
        let memory = Ends::new(Memory { layers, left: (of(start), of(end)) });
        // sled panics on bounds that hold nothing.
        let none = || (Bound::Included(Vec::new()), Bound::Excluded(Vec::new()));
        if is_empty(&memory.items.left) {
            let tree = Ends { over: true, ..Ends::new(tree.range(none())) };
            return Self { memory, tree, has_failed: false };
        }
        Self { memory, tree: Ends::new(tree.range(bounds)), has_failed: false }
    }

    /// Gives what sled has next, at one of its ends.
    fn give_from_tree(&mut self, next: impl FnOnce(&mut Ends<sled::Iter>) -> Option<Pair>) -> Option<Pair> {
        let next = next(&mut self.tree);
        self.has_failed = matches!(next, Some(Err(_)));
        next
    }
}

impl Iterator for Scan {
    type Item = Pair;

    fn next(&mut self) -> Option<Pair> {
        while !self.has_failed {
            let order = match (self.memory.peek(), self.tree.peek()) {
                (Some((key, _)), Some(Ok((other, _)))) => key.cmp(other),
                (None, _) | (_, Some(Err(_))) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
            };
            if order == Ordering::Greater {
                return self.give_from_tree(Ends::next);
            }
            if order == Ordering::Equal {
                drop(self.tree.next());
            }
            if let Some((key, Some(row))) = self.memory.next() {
                return Some(Ok((key, row)));
            }
        }
        None
    }
}

impl DoubleEndedIterator for Scan {
    fn next_back(&mut self) -> Option<Pair> {
        while !self.has_failed {
            let order = match (self.memory.peek_back(), self.tree.peek_back()) {
                (Some((key, _)), Some(Ok((other, _)))) => key.cmp(other),
                (None, _) | (_, Some(Err(_))) => Ordering::Less,
                (Some(_), None) => Ordering::Greater,
            };
            if order == Ordering::Less {
                return self.give_from_tree(Ends::next_back);
            }
            if order == Ordering::Equal {
                drop(self.tree.next_back());
            }
            if let Some((key, Some(row))) = self.memory.next_back() {
                return Some(Ok((key, row)));
            }
        }
        None
    }
}

/// The rows within bounds as the layers had them.
struct Memory {
    layers: [Arc<Layer>; 2],
    left: (Bound<IVec>, Bound<IVec>),
}

impl Memory {
    fn within<'a>(&self, layer: &'a Layer) -> Option<Range<'a, IVec, Option<IVec>>> {
        let (start, end) = &self.left;
        let bounds = (start.as_ref().map(|key| &**key), end.as_ref().map(|key| &**key));
        // Ranges of a map panic on bounds that hold nothing.
        (!layer.is_empty() && !is_empty(&self.left)).then(|| layer.range::<[u8], _>(bounds))
    }
}

impl Iterator for Memory {
    type Item = (IVec, Option<IVec>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, row) = match self.layers.each_ref().map(|layer| self.within(layer)?.next()) {
            [Some(newer), Some(older)] if older.0 < newer.0 => older,
            [newer, older] => newer.or(older)?,
        };
        let pair = (key.clone(), row.clone());
        self.left.0 = Bound::Excluded(pair.0.clone());
        Some(pair)
    }
}

impl DoubleEndedIterator for Memory {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (key, row) = match self.layers.each_ref().map(|layer| self.within(layer)?.next_back()) {
            [Some(newer), Some(older)] if older.0 > newer.0 => older,
            [newer, older] => newer.or(older)?,
        };
        let pair = (key.clone(), row.clone());
        self.left.1 = Bound::Excluded(pair.0.clone());
        Some(pair)
    }
}

/// An iterator of which both ends can be looked at.
struct Ends<I: Iterator> {
    items: I,
    /// Nothing is to be asked of `items` any more.
    over: bool,
    front: Option<I::Item>,
    back: Option<I::Item>,
}

impl<I: DoubleEndedIterator> Ends<I> {
    fn new(items: I) -> Self {
        Self { items, over: false, front: None, back: None }
    }

    fn peek(&mut self) -> Option<&I::Item> {
        if self.front.is_none() {
            self.front = self.next();
        }
        self.front.as_ref()
    }

    fn peek_back(&mut self) -> Option<&I::Item> {
        if self.back.is_none() {
            self.back = self.next_back();
        }
        self.back.as_ref()
    }

    fn next(&mut self) -> Option<I::Item> {
        let next = self.front.take().or_else(|| if self.over { None } else { self.items.next() });
        self.over |= next.is_none();
        next.or_else(|| self.back.take())
    }

    fn next_back(&mut self) -> Option<I::Item> {
        let next = self.back.take().or_else(|| if self.over { None } else { self.items.next_back() });
        self.over |= next.is_none();
        next.or_else(|| self.front.take())
    }
}

fn is_empty(bounds: &(Bound<IVec>, Bound<IVec>)) -> bool {
    match bounds {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
        | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
        _ => false,
    }
}
