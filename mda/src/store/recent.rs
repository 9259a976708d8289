//! Outlines that were read last.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::EmailId;
use crate::outline::Outline;

/// Parts of the outlines: who asks for one waits for nobody who asks for one of another part.
const PARTS: usize = 16;

/// Outlines in memory, up to so many octets of them. A body never changes, and neither does what its outline says.
#[derive(Debug)]
pub(super) struct Recent {
    /// By the email's number.
    parts: [Mutex<Part>; PARTS],
    /// What each generation of a part has room for.
    room: usize,
}

/// Outlines that were read are forgotten together when they are too many, all but those that were asked for once more: so
/// a search, which reads each message once, takes away nothing that others come back to. These go into the young; when
/// those are too many they are the old, and the old ones that nobody asked for meanwhile are forgotten.
#[derive(Debug, Default)]
struct Part {
    read: Generation,
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    outlines: HashMap<u64, Outline>,
    octets: usize,
}

impl Recent {
    pub(super) fn new(octets: u64) -> Self {
        let room = usize::try_from(octets / (3 * PARTS as u64)).unwrap_or(usize::MAX);
        Self { parts: Default::default(), room }
    }

    /// Those of some bodies, in their order.
    pub(super) fn find(&self, emails: &[EmailId]) -> Vec<Option<Outline>> {
        let find = |email: &EmailId| {
            // What is forgotten is dropped when the lock is free again.
            let (found, _forgotten) = self.part(*email)?.lock().find(email.0, self.room)?;
            Some(found)
        };
        emails.iter().map(find).collect()
    }

    pub(super) fn add(&self, email: EmailId, outline: &Outline) {
        if let Some(part) = self.part(email).filter(|_| outline.weight() <= self.room) {
            let _forgotten = part.lock().add(email.0, outline.clone(), self.room);
        }
    }

    /// None if there is no room for any.
    fn part(&self, email: EmailId) -> Option<&Mutex<Part>> {
        (self.room > 0).then(|| &self.parts[email.0 as usize % PARTS])
    }
}

impl Part {
    /// Gives what is forgotten, too.
    fn find(&mut self, email: u64, room: usize) -> Option<(Outline, Generation)> {
        if let Some(outline) = self.young.outlines.get(&email) {
            return Some((outline.clone(), Generation::default()));
        }
        let outline = self.old.remove(email).or_else(|| self.read.remove(email))?;
        let mut forgotten = Generation::default();
        if !self.young.has_room_for(&outline, room) {
            forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        }
        self.young.insert(email, outline.clone());
        Some((outline, forgotten))
    }

    /// Gives what is forgotten.
    fn add(&mut self, email: u64, outline: Outline, room: usize) -> Generation {
        let mut forgotten = Generation::default();
        if [&self.read, &self.young, &self.old].iter().any(|known| known.outlines.contains_key(&email)) {
            return forgotten;
        }
        if !self.read.has_room_for(&outline, room) {
            forgotten = std::mem::take(&mut self.read);
        }
        self.read.insert(email, outline);
        forgotten
    }
}

impl Generation {
    fn has_room_for(&self, outline: &Outline, room: usize) -> bool {
        self.octets + outline.weight() <= room
    }

    fn insert(&mut self, email: u64, outline: Outline) {
        self.octets += outline.weight();
        self.outlines.insert(email, outline);
    }

    fn remove(&mut self, email: u64) -> Option<Outline> {
        let outline = self.outlines.remove(&email)?;
        self.octets -= outline.weight();
        Some(outline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outlines that each generation of a part has room for.
    const ROOM: usize = 10;

    fn recent() -> (Recent, Outline) {
        let outline = Outline::of(b"Subject: a\r\n\r\n");
        (Recent::new((3 * PARTS * ROOM * outline.weight()) as u64), outline)
    }

    /// Emails of one part.
    fn emails(numbers: std::ops::Range<u64>) -> impl Iterator<Item = EmailId> {
        numbers.map(|number| EmailId(number * PARTS as u64))
    }

    fn has(recent: &Recent, email: EmailId) -> bool {
        recent.find(&[email]).pop().flatten().is_some()
    }

    #[test]
    fn what_is_asked_for_stays_and_no_more_than_has_room() {
        let (recent, outline) = recent();
        let kept = EmailId(0);
        recent.add(kept, &outline);
        for email in emails(1..1_000) {
            recent.add(email, &outline);
            assert!(has(&recent, email) && has(&recent, kept), "{email}");
            let part = recent.parts[0].lock();
            for generation in [&part.read, &part.young, &part.old] {
                assert!(generation.outlines.len() <= ROOM);
                assert_eq!(generation.octets, generation.outlines.len() * outline.weight());
            }
        }
        assert!(!has(&recent, EmailId(PARTS as u64)));
    }

    #[test]
    fn what_is_read_once_takes_away_nothing_that_was_asked_for_again() {
        let (recent, outline) = recent();
        for email in emails(0..5) {
            recent.add(email, &outline);
            assert!(has(&recent, email));
        }
        emails(5..1_000).for_each(|email| recent.add(email, &outline));
        assert!(emails(0..5).all(|email| has(&recent, email)));
        assert!(!has(&recent, EmailId(5 * PARTS as u64)));
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let recent = Recent::new(0);
        recent.add(EmailId(1), &Outline::of(b"\r\n"));
        assert!(recent.find(&[EmailId(1)])[0].is_none());
    }
}
