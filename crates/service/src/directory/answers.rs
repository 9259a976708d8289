//! What the directory has said, for as long as it is believed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Resolution;

/// Answers by address, and no more of them than there may be. That a domain is not ours is an answer for all addresses in
/// it, which stands under its name with the `@` before it.
#[derive(Debug)]
pub(super) struct Answers {
    known: HashMap<Box<str>, (Instant, Resolution)>,
    believed: Duration,
    most: usize,
}

impl Answers {
    pub(super) fn new(believed: Duration, most: usize) -> Self {
        Self { known: HashMap::new(), believed, most }
    }

    /// What each address is, if that is known of all of them.
    pub(super) fn get(&self, addresses: &[&str], now: Instant) -> Option<Vec<Resolution>> {
        let known = |address: &&str| {
            let domain = || domain(address).and_then(|domain| self.known.get(domain));
            let (since, resolution) = self.known.get(*address).or_else(domain)?;
            self.is_believed(*since, now).then_some(*resolution)
        };
        addresses.iter().map(known).collect()
    }

    /// Keeps answers, and forgets what is believed no more before there would be too many: all of them, if need be.
    pub(super) fn put(&mut self, addresses: &[&str], resolutions: &[Resolution], now: Instant) {
        if self.known.len() + addresses.len() > self.most {
            let believed = self.believed;
            self.known.retain(|_, (since, _)| now.duration_since(*since) < believed);
            if self.known.len() + addresses.len() > self.most {
                self.known.clear();
            }
        }
        let room = self.most.min(addresses.len());
        for (address, resolution) in addresses.iter().zip(resolutions).take(room) {
            let key = match resolution {
                // That nobody is there is not remembered: whoever was just made can have mail at once.
                Resolution::UnknownUser => continue,
                Resolution::Remote => domain(address).unwrap_or(address),
                Resolution::Mailbox | Resolution::FullMailbox | Resolution::Alias | Resolution::List => {
                    address
                }
            };
            self.known.insert(key.into(), (now, *resolution));
        }
    }

    fn is_believed(&self, since: Instant, now: Instant) -> bool {
        now.duration_since(since) < self.believed
    }
}

/// The domain of an address, with its `@`.
fn domain(address: &str) -> Option<&str> {
    address.rfind('@').map(|at| &address[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn an_answer_is_believed_for_a_while_and_that_nobody_is_there_never() {
        let (mut answers, now) = (Answers::new(MINUTE, 10), Instant::now());
        answers.put(&["bob", "nobody"], &[Resolution::Mailbox, Resolution::UnknownUser], now);
        assert_eq!(answers.get(&["bob"], now), Some(vec![Resolution::Mailbox]));
        assert_eq!(answers.get(&["nobody"], now), None);
        assert_eq!(answers.get(&["bob", "carol"], now), None);
        assert_eq!(answers.get(&["bob"], now + MINUTE), None);
    }

    #[test]
    fn that_a_domain_is_not_ours_holds_for_all_addresses_in_it() {
        let (mut answers, now) = (Answers::new(MINUTE, 10), Instant::now());
        let asked = ["bob@remote.test", "bob@ours.test"];
        answers.put(&asked, &[Resolution::Remote, Resolution::Mailbox], now);
        assert_eq!(answers.get(&["carol@remote.test"], now), Some(vec![Resolution::Remote]));
        assert_eq!(answers.get(&["carol@ours.test"], now), None);
        assert_eq!(answers.get(&["bob@below.remote.test"], now), None);
        assert_eq!(answers.get(&["carol@remote.test"], now + MINUTE), None);
        // A domain that has just become ours: what is said of an address goes before what was said of the domain.
        answers.put(&["dan@remote.test"], &[Resolution::Mailbox], now);
        assert_eq!(answers.get(&["dan@remote.test"], now), Some(vec![Resolution::Mailbox]));
    }

    #[test]
    fn there_are_never_more_answers_than_may_be() {
        let (mut answers, now) = (Answers::new(MINUTE, 10), Instant::now());
        for number in 0..100 {
            answers.put(&[&number.to_string()], &[Resolution::Remote], now);
            assert!(answers.known.len() <= 10);
            assert!(answers.get(&[&number.to_string()], now).is_some());
        }
        let many: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        answers.put(&many, &[Resolution::Remote; 20], now);
        assert!(answers.known.len() <= 10);
        // What is old goes first.
        answers.put(&["new"], &[Resolution::Mailbox], now + MINUTE);
        assert_eq!(answers.known.len(), 1);
    }
}
