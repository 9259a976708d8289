//! Reading messages while those before them are sent.

use std::collections::VecDeque;
use std::vec;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::store::{EmailId, MailStore, StoreError};

/// Octets that are read at once of a message; one up to this size takes one read.
pub(crate) const PIECE: u64 = 128 * 1024;

type Beginning = Result<Bytes, StoreError>;

/// The first piece of each of some messages, in order.
#[derive(Default)]
pub(crate) struct Ahead {
    /// Octets of messages that are read at once, if it is not one that is larger. Twice as many are in memory: those that
    /// are sent, and those that are read meanwhile.
    at_once: u64,
    /// Not asked for yet, with their sizes.
    left: VecDeque<(EmailId, u64)>,
    /// On its way.
    coming: Option<JoinHandle<Vec<(EmailId, Beginning)>>>,
    here: vec::IntoIter<(EmailId, Beginning)>,
}

impl Ahead {
    /// Of messages with their sizes, reading so many octets at once.
    pub(crate) fn of(messages: impl IntoIterator<Item = (EmailId, u64)>, at_once: u64) -> Self {
        Self { at_once, left: messages.into_iter().collect(), ..Self::default() }
    }

    /// That of the next message, which must be this one; `None` if it has to be read alone.
    pub(crate) async fn next(&mut self, store: &impl MailStore, email: EmailId) -> Option<Beginning> {
        if self.here.as_slice().is_empty() {
            if self.coming.is_none() {
                self.begin(store);
            }
            // A panic is told when the message is read alone.
            self.here = self.coming.take()?.await.unwrap_or_default().into_iter();
            self.begin(store);
        }
        // Its group is lost, and here is what comes behind.
        if self.here.as_slice().first()?.0 != email {
            return None;
        }
        self.here.next().map(|(_, beginning)| beginning)
    }

    /// Begins to read what comes next.
    pub(crate) fn begin(&mut self, store: &impl MailStore) {
        let emails = self.next_group();
        if !emails.is_empty() {
            let store = store.clone();
            self.coming = Some(tokio::spawn(async move {
                let beginnings = store.read_beginnings(emails.clone(), PIECE).await;
                emails.into_iter().zip(beginnings).collect()
            }));
        }
    }

    /// What is read together.
    fn next_group(&mut self) -> Vec<EmailId> {
        let (mut group, mut octets) = (Vec::new(), 0);
        while let Some(&(email, size)) = self.left.front() {
            octets += size;
            if octets > self.at_once && !group.is_empty() {
                break;
            }
            group.push(email);
            self.left.pop_front();
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestStore;

    const AT_ONCE: u64 = 256 * 1024;

    #[tokio::test]
    async fn a_group_that_is_lost_puts_no_other_out_of_step() {
        let store = TestStore::open();
        let mut ahead =
            Ahead::of([(EmailId(1), AT_ONCE / 2), (EmailId(2), AT_ONCE / 2), (EmailId(3), AT_ONCE)], AT_ONCE);
        ahead.begin(&store.store);
        ahead.coming.replace(tokio::spawn(std::future::pending())).unwrap().abort();
        ahead.coming.as_ref().unwrap().abort();
        assert!(ahead.next(&store.store, EmailId(1)).await.is_none());
        assert!(ahead.next(&store.store, EmailId(2)).await.is_none(), "what is here is the third");
        assert!(ahead.next(&store.store, EmailId(3)).await.is_some());
        assert!(ahead.next(&store.store, EmailId(3)).await.is_none(), "there are no more");
    }

    #[test]
    fn no_more_is_read_at_once_than_has_room() {
        let sizes = [AT_ONCE / 2, AT_ONCE / 2, 1, AT_ONCE, 50 << 20, 1, 1];
        let mut ahead = Ahead::of((1..).map(EmailId).zip(sizes), AT_ONCE);
        let groups = std::iter::from_fn(|| Some(ahead.next_group()).filter(|group| !group.is_empty()));
        assert_eq!(
            groups.map(|group| group.iter().map(|email| email.0).collect()).collect::<Vec<Vec<_>>>(),
            [vec![1, 2], vec![3], vec![4], vec![5], vec![6, 7]]
        );
    }
}
