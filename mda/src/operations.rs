//! `Store`: what operators do with the store as a whole.

use std::path::PathBuf;
use std::sync::Arc;

use proto::mda::{
    BackupRequest, BackupResponse, CheckProgress, CheckRequest, CheckResponse, backup_response,
    check_response, store_server::Store,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use crate::status::status;
use crate::store::{BackupReport, CheckOptions, CheckReport, LocalStore, StoreError};

#[cfg(test)]
mod tests;

/// Answers that may wait for a slow operator.
const WAITING: usize = 16;

/// Works on the store of this machine.
pub(crate) struct StoreService {
    store: LocalStore,
    /// One at a time: each reads all that there is.
    working: Arc<Semaphore>,
}

impl StoreService {
    pub(crate) fn new(store: LocalStore) -> Self {
        Self { store, working: Arc::new(Semaphore::new(1)) }
    }
}

impl StoreService {
    fn turn(&self) -> Result<OwnedSemaphorePermit, Status> {
        let turn = Arc::clone(&self.working).try_acquire_owned();
        turn.map_err(|_| Status::resource_exhausted("another check or backup is under way"))
    }
}

#[tonic::async_trait]
impl Store for StoreService {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<BoxStream<CheckResponse>>, Status> {
        use check_response::Response as Told;
        let CheckRequest { bodies, rebuild } = request.into_inner();
        let turn = self.turn()?;
        let (answers, stream) = mpsc::channel(WAITING);
        let answer = |response| CheckResponse { response: Some(response) };
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let checked = store.check(CheckOptions { bodies, rebuild }, &mut |now| {
                let progress = CheckProgress { stage: now.stage.to_owned(), done: now.done };
                send(&answers, Ok(answer(Told::Progress(progress))))
            });
            let told = checked.map(|report| {
                log(&report);
                answer(Told::Report(report.into()))
            });
            // Whoever asked may be gone.
            let _ = send(&answers, told.map_err(|error| status(&error)));
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn backup(
        &self,
        request: Request<BackupRequest>,
    ) -> Result<Response<BoxStream<BackupResponse>>, Status> {
        use backup_response::Response as Told;
        let BackupRequest { folder, link } = request.into_inner();
        let folder = PathBuf::from(folder);
        if !folder.is_absolute() {
            return Err(Status::invalid_argument("the folder is no absolute path"));
        }
        let turn = self.turn()?;
        let (answers, stream) = mpsc::channel(WAITING);
        let answer = |response| BackupResponse { response: Some(response) };
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let taken =
                store.backup(&folder, link, &mut |octets| send(&answers, Ok(answer(Told::Octets(octets)))));
            let told = taken.map(|report| {
                let BackupReport { segments, octets, added, damaged } = report;
                tracing::info!(folder = %folder.display(), segments, octets, added, "backup taken");
                answer(Told::Report(proto::mda::BackupReport { segments, octets, added, damaged }))
            });
            let _ = send(&answers, told.map_err(|error| status(&error)));
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

/// Fails if whoever asked has gone: the work ends.
fn send<T>(answers: &mpsc::Sender<Result<T, Status>>, answer: Result<T, Status>) -> Result<(), StoreError> {
    answers.blocking_send(answer).map_err(|_| StoreError::Busy)
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
