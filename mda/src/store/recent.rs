//! Outlines that were read last.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::EmailId;
use crate::outline::Outline;

/// Outlines in memory, up to so many octets of them. A body never changes, and neither does what its outline says.
#[derive(Debug)]
pub(super) struct Recent {
    generations: Mutex<Generations>,
    /// What each of the generations has room for.
    room: usize,
}

/// What is asked for goes into the young; when those are too many they are the old, and the old ones that nobody asked
/// for meanwhile are forgotten.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<u64, Outline>,
    old: HashMap<u64, Outline>,
    /// Octets of the young.
    octets: usize,
}

impl Recent {
    pub(super) fn new(octets: u64) -> Self {
        let room = usize::try_from(octets / 2).unwrap_or(usize::MAX);
        Self { generations: Mutex::default(), room }
    }

    /// Those of some bodies, in their order.
    pub(super) fn find(&self, emails: &[EmailId]) -> Vec<Option<Outline>> {
        let mut generations = self.generations.lock();
        emails.iter().map(|email| generations.find(email.0, self.room)).collect()
    }

    pub(super) fn add(&self, email: EmailId, outline: &Outline) {
        self.generations.lock().add(email.0, outline.clone(), self.room);
    }
}

impl Generations {
    fn find(&mut self, email: u64, room: usize) -> Option<Outline> {
        if let Some(outline) = self.young.get(&email) {
            return Some(outline.clone());
        }
        let outline = self.old.remove(&email)?;
        self.add(email, outline.clone(), room);
        Some(outline)
    }

    fn add(&mut self, email: u64, outline: Outline, room: usize) {
        let weight = outline.weight();
        if weight > room || self.young.contains_key(&email) {
            return;
        }
        if self.octets + weight > room {
            self.old = std::mem::take(&mut self.young);
            self.octets = 0;
        }
        self.octets += weight;
        self.young.insert(email, outline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_no_more_than_has_room() {
        let outline = Outline::of(b"Subject: a\r\n\r\n");
        let room = 10;
        let recent = Recent::new(2 * room * outline.weight() as u64);
        recent.add(EmailId(1), &outline);
        for email in 2..1_000 {
            recent.add(EmailId(email), &outline);
            assert!(recent.find(&[EmailId(1)])[0].is_some(), "{email}");
            let generations = recent.generations.lock();
            assert!(generations.young.len() as u64 <= room && generations.old.len() as u64 <= room);
            assert_eq!(generations.octets, generations.young.len() * outline.weight());
        }
        let found = recent.find(&[EmailId(2), EmailId(999)]);
        assert!(found[0].is_none() && found[1].is_some());
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let recent = Recent::new(0);
        recent.add(EmailId(1), &Outline::of(b"\r\n"));
        assert!(recent.find(&[EmailId(1)])[0].is_none());
    }
}
