//! Tells that the store has stopped for good.

use tokio::sync::watch;

use super::StoreError;

/// The first failure after which the store takes nothing more: the journal cannot sync, or the rows cannot follow it.
/// Clones are handles to the same.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    first: watch::Sender<Option<StoreError>>,
}

impl Failure {
    pub(super) fn none_yet() -> Self {
        Self { first: watch::Sender::new(None) }
    }

    /// Notes a failure that stops the store.
    pub(super) fn note(&self, error: &StoreError) {
        self.first.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert_with(|| error.clone());
            is_first
        });
    }

    /// Waits for it; for ever, if all goes well.
    pub(super) async fn wait(&self) -> StoreError {
        let mut failed = self.first.subscribe();
        loop {
            if let Some(error) = failed.borrow_and_update().clone() {
                return error;
            }
            if failed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
