//! Bringing mailboxes into memory.

use std::sync::Arc;

use tokio::sync::watch;

use super::LocalStore;
use crate::store::index::{Builder, Found, Index};
use crate::store::leaf::Leaf;
use crate::store::placed::leaves_of;
use crate::store::{MailboxId, Result, UidSet, keys};

impl LocalStore {
    pub(super) async fn open_index(&self, mailbox: MailboxId) -> Result<watch::Receiver<Arc<Index>>> {
        loop {
            match self.inner.indexes.find(mailbox.0) {
                Found::Here(index) => return Ok(index),
                // An error says that it is over.
                Found::Soon(mut ended) => while ended.changed().await.is_ok() {},
                Found::Absent => {
                    if let Some(index) = self.read_aside(move |store| store.load_index(mailbox)).await? {
                        return Ok(index);
                    }
                }
            }
        }
    }

    /// None if someone else loads it.
    fn load_index(&self, mailbox: MailboxId) -> Result<Option<watch::Receiver<Arc<Index>>>> {
        let begun = {
            let _no_commit = self.inner.state.lock();
            self.inner.indexes.begin(mailbox.0)
        };
        let Some(loading) = begun else { return Ok(None) };
        // The status first: the rows may be newer, none is older.
        let mut builder = Builder::new(self.read_status(mailbox)?);
        for row in self.inner.table.scan::<Leaf>(keys::within(&keys::leaves(mailbox.0))) {
            builder.push(&row?.1.value);
        }
        loading.finish(builder).map(Some)
    }

    /// An index that has at least the messages of a set as they are now, and maybe no others. With the gate's `changes`
    /// held, only new messages may come beside them.
    pub(super) async fn index_now(&self, mailbox: MailboxId, uids: &UidSet) -> Result<Arc<Index>> {
        if let Some(index) = self.inner.indexes.current(mailbox.0) {
            return Ok(index);
        }
        let uids = uids.clone();
        self.read_aside(move |store| {
            let mut builder = Builder::new(store.read_status(mailbox)?);
            for leaf in leaves_of(&store.inner.table, mailbox.0, &uids) {
                builder.push(&leaf?);
            }
            Ok(builder.index())
        })
        .await
    }
}
