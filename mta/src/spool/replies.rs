//! What is the same for many messages, kept once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use proto::mail::Reply;

use super::Said;

/// Values by what they are. What nobody else holds any more is forgotten now and then.
#[derive(Debug)]
pub(super) struct Interned<T: ?Sized> {
    known: HashSet<Arc<T>>,
    sweep_at: usize,
}

/// No sweeping below so many.
const FEW: usize = 1_024;

impl<T: ?Sized + Hash + Eq> Default for Interned<T> {
    fn default() -> Self {
        Self { known: HashSet::new(), sweep_at: FEW }
    }
}

impl<T: ?Sized + Hash + Eq> Interned<T> {
    pub(super) fn get(&self, value: &T) -> Option<Arc<T>> {
        self.known.get(value).cloned()
    }

    /// Adds a value that is not in it yet.
    fn add(&mut self, value: Arc<T>) {
        if self.known.len() >= self.sweep_at {
            self.known.retain(|value| Arc::strong_count(value) > 1);
            // Doubling keeps sweeping as cheap, by the value, as adding.
            self.sweep_at = FEW.max(self.known.len() * 2);
        }
        self.known.insert(value);
    }
}

impl Interned<str> {
    pub(super) fn intern(&mut self, text: &str) -> Arc<str> {
        self.get(text).unwrap_or_else(|| {
            let text: Arc<str> = text.into();
            self.add(Arc::clone(&text));
            text
        })
    }
}

/// Different replies that are kept in memory with their texts, however few messages wait.
const REPLIES: usize = 16_384;
/// And one more for so many messages.
const MESSAGES_PER_REPLY: usize = 8;

/// The last replies. Servers mostly say the same to many; to some they give each an answer of its own, and when too many
/// of those wait, texts are left out, and code, enhanced code and peer stay. The events hold all of it.
#[derive(Debug, Default)]
pub(super) struct Replies(Interned<Said>);

impl Replies {
    /// What was said, as all share it who were told the same, in a queue of so many messages.
    pub(super) fn intern(&mut self, said: Arc<Said>, messages: usize) -> Arc<Said> {
        if let Some(known) = self.0.get(&said) {
            return known;
        }
        if self.0.known.len() >= REPLIES.max(messages / MESSAGES_PER_REPLY) {
            let reply = Reply { text: String::new(), ..said.reply.clone() };
            let short = Arc::new(Said { reply, ..Said::clone(&said) });
            if let Some(known) = self.0.get(&short) {
                return known;
            }
            self.0.add(Arc::clone(&short));
            return short;
        }
        self.0.add(Arc::clone(&said));
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Arc<Said> {
        let reply = Reply { code: 451, enhanced: "4.7.1".into(), text: text.into() };
        Arc::new(Said { reply, peer: "mx.test".into(), by_peer: true })
    }

    #[test]
    fn what_was_said_to_many_is_kept_once() {
        let mut replies = Replies::default();
        let (first, second) = (replies.intern(said("later"), 1), replies.intern(said("later"), 1));
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn a_flood_of_different_replies_takes_no_more_than_its_share() {
        let mut replies = Replies::default();
        let held: Vec<_> = (0..100_000).map(|n| replies.intern(said(&n.to_string()), 0)).collect();
        assert_eq!(held[0].reply.text, "0");
        assert_eq!((held[99_999].reply.code, held[99_999].reply.text.as_str()), (451, ""));
        assert!(replies.0.known.len() <= REPLIES + 1);
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let mut accounts = Interned::<str>::default();
        for n in 0..100_000 {
            accounts.intern(&n.to_string());
        }
        assert!(accounts.known.len() <= FEW);
    }
}
