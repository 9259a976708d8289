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
    coming: Option<JoinHandle<Vec<Beginning>>>,
    here: vec::IntoIter<Beginning>,
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

    /// That of the next message; `None` if it has to be read alone.
    pub(super) async fn next(&mut self, store: &impl MailStore) -> Option<Beginning> {
        if let Some(beginning) = self.here.next() {
            return Some(beginning);
        }
        if self.coming.is_none() {
            self.read(store);
        }
        // A panic is told when the message is read alone.
        self.here = self.coming.take()?.await.unwrap_or_default().into_iter();
        self.read(store);
        self.here.next()
    }

    /// Begins to read the next group.
    fn read(&mut self, store: &impl MailStore) {
        if let Some(emails) = self.groups.pop_front() {
            let store = store.clone();
            self.coming = Some(tokio::spawn(async move { store.read_beginnings(emails, PIECE).await }));
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::store::Flags;

    #[test]
    fn no_more_is_read_at_once_than_has_room() {
        let row = |email: u64, size| Row {
            uid: email as u32,
            email: EmailId(email),
            flags: Flags::none(),
            internal_date: Timestamp::UNIX_EPOCH,
            size,
            modseq: 1,
            saved_at: None,
        };
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
