//! Reading messages while those before them are sent.

use std::collections::VecDeque;
use std::vec;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::imap::content::PIECE;
use crate::store::{EmailId, MailStore, Row, StoreError};

/// Octets of messages that are read at once, if it is not one that is larger. A session has twice as many: those that are
/// sent, and those that are read meanwhile.
const AT_ONCE: u64 = 256 * 1024;

type Beginning = Result<Bytes, StoreError>;

/// The first piece of each of some messages, in order.
#[derive(Default)]
pub(super) struct Ahead {
    /// Not asked for yet: what is read together.
    groups: VecDeque<Vec<EmailId>>,
    /// On its way.
    coming: Option<JoinHandle<Vec<(EmailId, Beginning)>>>,
    here: vec::IntoIter<(EmailId, Beginning)>,
}

impl Ahead {
    pub(super) fn of(rows: &[Row]) -> Self {
        let (mut groups, mut octets) = (VecDeque::new(), AT_ONCE);
        for row in rows {
            octets += row.size;
            match groups.back_mut() {
                Some(group) if octets <= AT_ONCE => Vec::push(group, row.email),
                _ => {
                    octets = row.size;
                    groups.push_back(vec![row.email]);
                }
            }
        }
        Self { groups, ..Self::default() }
    }

    /// That of the next message, which must be this one; `None` if it has to be read alone.
    pub(super) async fn next(&mut self, store: &impl MailStore, email: EmailId) -> Option<Beginning> {
        if self.here.as_slice().is_empty() {
            if self.coming.is_none() {
                self.read(store);
            }
            // A panic is told when the message is read alone.
            self.here = self.coming.take()?.await.unwrap_or_default().into_iter();
            self.read(store);
        }
        // Its group is lost, and here is what comes behind.
        if self.here.as_slice().first()?.0 != email {
            return None;
        }
        self.here.next().map(|(_, beginning)| beginning)
    }

    /// Begins to read the next group.
    fn read(&mut self, store: &impl MailStore) {
        if let Some(emails) = self.groups.pop_front() {
            let store = store.clone();
            self.coming = Some(tokio::spawn(async move {
                let beginnings = store.read_beginnings(emails.clone(), PIECE).await;
                emails.into_iter().zip(beginnings).collect()
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::store::Flags;
    use crate::testing::TestStore;

    fn row(email: u64, size: u64) -> Row {
        Row {
            uid: email as u32,
            email: EmailId(email),
            flags: Flags::none(),
            internal_date: Timestamp::UNIX_EPOCH,
            size,
            modseq: 1,
            saved_at: None,
        }
    }

    #[tokio::test]
    async fn a_group_that_is_lost_puts_no_other_out_of_step() {
        let store = TestStore::open();
        let mut ahead = Ahead::of(&[row(1, AT_ONCE / 2), row(2, AT_ONCE / 2), row(3, AT_ONCE)]);
        ahead.read(&store.store);
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
        let rows: Vec<Row> = (1..).zip(sizes).map(|(email, size)| row(email, size)).collect();
        let groups = Ahead::of(&rows).groups;
        let emails = |group: &Vec<EmailId>| group.iter().map(|email| email.0).collect::<Vec<_>>();
        assert_eq!(
            groups.iter().map(emails).collect::<Vec<_>>(),
            [vec![1, 2], vec![3], vec![4], vec![5], vec![6, 7]]
        );
    }
}
