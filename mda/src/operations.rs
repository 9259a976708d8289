//! `Store`: what operators do with the store as a whole.

use std::sync::Arc;

use proto::mda::{CheckProgress, CheckRequest, CheckResponse, check_response, store_server::Store};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use crate::status::status;
use crate::store::{CheckOptions, CheckReport, LocalStore, StoreError};

#[cfg(test)]
mod tests;

/// Answers that may wait for a slow operator.
const WAITING: usize = 16;

/// Works on the store of this machine.
pub(crate) struct StoreService {
    store: LocalStore,
    /// One at a time: each reads all that there is.
    checking: Arc<Semaphore>,
}

impl StoreService {
    pub(crate) fn new(store: LocalStore) -> Self {
        Self { store, checking: Arc::new(Semaphore::new(1)) }
    }
}

#[tonic::async_trait]
impl Store for StoreService {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<BoxStream<CheckResponse>>, Status> {
        let CheckRequest { bodies, rebuild } = request.into_inner();
        let turn = Arc::clone(&self.checking)
            .try_acquire_owned()
            .map_err(|_| Status::resource_exhausted("another check is under way"))?;
        let (answers, stream) = mpsc::channel(WAITING);
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let told = store.check(CheckOptions { bodies, rebuild }, &mut |now| {
                let progress = CheckProgress { stage: now.stage.to_owned(), done: now.done };
                send(&answers, check_response::Response::Progress(progress))
            });
            let _ = match told {
                Ok(report) => {
                    log(&report);
                    send(&answers, check_response::Response::Report(report.into()))
                }
                Err(error) => answers.blocking_send(Err(status(&error))).map_err(gone),
            };
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

fn send(
    answers: &mpsc::Sender<Result<CheckResponse, Status>>,
    response: check_response::Response,
) -> Result<(), StoreError> {
    answers.blocking_send(Ok(CheckResponse { response: Some(response) })).map_err(gone)
}

/// Whoever asked has gone: the work ends.
fn gone<T>(_: T) -> StoreError {
    StoreError::Busy
}

fn log(report: &CheckReport) {
    let CheckReport { found, accounts, mailboxes, messages, records, bodies, .. } = report;
    if report.is_sound() {
        tracing::info!(
            accounts,
            mailboxes,
            messages,
            records,
            bodies,
            "the store was checked: nothing is wrong"
        );
    } else {
        let first = report.problems.first().map_or("", String::as_str);
        tracing::error!(found, first, "the store was checked: something is wrong");
    }
}

impl From<CheckReport> for proto::mda::CheckReport {
    fn from(report: CheckReport) -> Self {
        let CheckReport {
            problems,
            found,
            unchecked,
            accounts,
            mailboxes,
            messages,
            records,
            bodies,
            octets,
        } = report;
        Self { problems, found, unchecked, accounts, mailboxes, messages, records, bodies, octets }
    }
}
