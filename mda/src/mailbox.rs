//! `Mailbox`: an operator's look into mailboxes.

use std::sync::Arc;

use message::MessageId;
use proto::mda::{
    ExportRequest, ExportResponse, ImportRequest, ImportResponse, ListExpungedRequest, ListExpungedResponse,
    ListGrantsRequest, ListGrantsResponse, ListMailboxesRequest, ListMailboxesResponse, LocateRequest,
    LocateResponse, Located, MailboxStatus, MailboxStatusRequest, Placement, SetGrantRequest,
    SetGrantResponse, SetRetentionRequest, SetRetentionResponse, UndeleteRequest, UndeleteResponse,
    mailbox_server::Mailbox,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    exchange,
    status::status,
    store::{self, MailStore, StoreError},
};

mod grants;
mod kept;
#[cfg(test)]
mod tests;

/// Answers from the store.
pub(crate) struct MailboxService<S> {
    store: S,
    /// Octets of a message that is imported.
    max_message: u64,
    /// One export or import more may be under way for each.
    exchanging: Arc<Semaphore>,
}

/// Exports and imports at the same time.
const EXCHANGES: usize = 8;

/// Parts of an export, or answers of an import, that may wait for a slow operator.
const WAITING: usize = 16;

impl<S: MailStore> MailboxService<S> {
    pub(crate) fn new(store: S, max_message: u64) -> Self {
        Self { store, max_message, exchanging: Arc::new(Semaphore::new(EXCHANGES)) }
    }

    fn account(&self, address: &str) -> Result<store::Account, Status> {
        exchange::account(&self.store, address)
    }

    fn turn(&self) -> Result<OwnedSemaphorePermit, Status> {
        let turn = Arc::clone(&self.exchanging).try_acquire_owned();
        turn.map_err(|_| Status::resource_exhausted("too many exports and imports are under way"))
    }

    /// `None` if the mailbox was deleted meanwhile.
    fn describe(&self, mailbox: &store::Mailbox) -> Result<Option<MailboxStatus>, Status> {
        let state = match self.store.status(mailbox.id) {
            Ok(state) => state,
            Err(StoreError::NoSuchMailbox) => return Ok(None),
            Err(error) => return Err(status(&error)),
        };
        Ok(Some(MailboxStatus {
            name: mailbox.name.to_string(),
            special_use: mailbox.special_use.map(|special| special.as_str().to_owned()).unwrap_or_default(),
            uid_validity: state.uid_validity,
            uid_next: state.uid_next,
            highest_modseq: state.highest_modseq,
            messages: state.messages,
            unseen: state.unseen,
            octets: state.octets,
            retention: mailbox.retention.map(kept::told),
        }))
    }

    fn located(&self, located: store::Located) -> Result<Located, Status> {
        let store::Located { recipient, placement, gone } = located;
        let account = match self.store.account(placement.account) {
            Ok(account) => account.name,
            // It was removed, and its mail with it.
            Err(StoreError::NoSuchAccount) => String::new(),
            Err(error) => return Err(status(&error)),
        };
        let placement = Placement {
            account,
            mailbox: placement.mailbox_name.to_string(),
            uid_validity: placement.uid_validity,
            uid: if gone { 0 } else { placement.uid },
        };
        Ok(Located { recipient, placement: Some(placement), expunged: gone })
    }
}

#[tonic::async_trait]
impl<S: MailStore> Mailbox for MailboxService<S> {
    async fn list(
        &self,
        request: Request<ListMailboxesRequest>,
    ) -> Result<Response<ListMailboxesResponse>, Status> {
        let account = self.account(&request.into_inner().account)?;
        let found = self.store.mailboxes(account.id).map_err(|error| status(&error))?;
        let mailboxes: Result<_, Status> =
            found.iter().filter_map(|mailbox| self.describe(mailbox).transpose()).collect();
        Ok(Response::new(ListMailboxesResponse { mailboxes: mailboxes? }))
    }

    async fn status(
        &self,
        request: Request<MailboxStatusRequest>,
    ) -> Result<Response<MailboxStatus>, Status> {
        let MailboxStatusRequest { account, mailbox } = request.into_inner();
        let account = self.account(&account)?;
        let name = kept::name(&mailbox)?;
        let found = self.store.mailbox(account.id, &name).map_err(|error| status(&error))?;
        let state = found.map(|mailbox| self.describe(&mailbox)).transpose()?.flatten();
        state
            .map(Response::new)
            .ok_or_else(|| Status::not_found(format!("{} has no mailbox {name}", account.name)))
    }

    async fn list_grants(
        &self,
        request: Request<ListGrantsRequest>,
    ) -> Result<Response<ListGrantsResponse>, Status> {
        let ListGrantsRequest { account, mailbox } = request.into_inner();
        let account = self.account(&account)?;
        let grants = grants::list(&self.store, &account, &mailbox)?;
        Ok(Response::new(ListGrantsResponse { grants }))
    }

    async fn set_grant(
        &self,
        request: Request<SetGrantRequest>,
    ) -> Result<Response<SetGrantResponse>, Status> {
        let SetGrantRequest { account, mailbox, grant } = request.into_inner();
        let account = self.account(&account)?;
        grants::set(&self.store, &account, &mailbox, grant.unwrap_or_default()).await?;
        Ok(Response::new(SetGrantResponse {}))
    }

    async fn list_expunged(
        &self,
        request: Request<ListExpungedRequest>,
    ) -> Result<Response<ListExpungedResponse>, Status> {
        let ListExpungedRequest { account, filter } = request.into_inner();
        let account = self.account(&account)?;
        let found =
            self.store.kept(account.id, kept::filter(filter)?).await.map_err(|error| status(&error))?;
        Ok(Response::new(ListExpungedResponse { messages: found.iter().map(kept::message).collect() }))
    }

    async fn undelete(
        &self,
        request: Request<UndeleteRequest>,
    ) -> Result<Response<UndeleteResponse>, Status> {
        let UndeleteRequest { account, filter, into } = request.into_inner();
        let account = self.account(&account)?;
        let into = if into.is_empty() { None } else { Some(kept::name(&into)?) };
        let restored = self.store.undelete(account.id, kept::filter(filter)?, into).await;
        let messages = restored.map_err(|error| status(&error))?;
        tracing::info!(account = account.name, messages, "expunged messages brought back");
        Ok(Response::new(UndeleteResponse { messages }))
    }

    async fn set_retention(
        &self,
        request: Request<SetRetentionRequest>,
    ) -> Result<Response<SetRetentionResponse>, Status> {
        let SetRetentionRequest { account, mailbox, keep } = request.into_inner();
        let account = self.account(&account)?;
        let name = kept::name(&mailbox)?;
        let found = self.store.mailbox(account.id, &name).map_err(|error| status(&error))?;
        let found =
            found.ok_or_else(|| Status::not_found(format!("{} has no mailbox {name}", account.name)))?;
        let keep = keep.map(kept::asked).transpose()?;
        self.store.set_retention(found.id, keep).await.map_err(|error| status(&error))?;
        tracing::info!(account = account.name, mailbox = %name, ?keep, "retention set");
        Ok(Response::new(SetRetentionResponse {}))
    }

    async fn export(
        &self,
        request: Request<ExportRequest>,
    ) -> Result<Response<BoxStream<ExportResponse>>, Status> {
        let ExportRequest { account, mailbox } = request.into_inner();
        let account = self.account(&account)?;
        let only = if mailbox.is_empty() { None } else { Some(kept::name(&mailbox)?) };
        let turn = self.turn()?;
        let (parts, stream) = mpsc::channel(WAITING);
        let store = self.store.clone();
        tokio::spawn(async move {
            let _turn = turn;
            tracing::info!(account = account.name, "an export begins");
            if let Err(error) = exchange::export(&store, &account, only.as_ref(), &parts).await {
                // Whoever asked may be gone, or asleep.
                let _ = parts.send_timeout(Err(error), exchange::PATIENCE).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn import(
        &self,
        request: Request<Streaming<ImportRequest>>,
    ) -> Result<Response<BoxStream<ImportResponse>>, Status> {
        let turn = self.turn()?;
        let (answers, stream) = mpsc::channel(WAITING);
        let (store, max_message) = (self.store.clone(), self.max_message);
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = exchange::import(&store, max_message, request.into_inner(), &answers).await {
                let _ = answers.send_timeout(Err(error), exchange::PATIENCE).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn locate(&self, request: Request<LocateRequest>) -> Result<Response<LocateResponse>, Status> {
        let message_id = MessageId::parse(&request.into_inner().message_id)
            .map_err(|error| Status::invalid_argument(format!("message_id: {error}")))?;
        let found = self.store.locate(message_id).map_err(|error| status(&error))?;
        let located: Result<_, Status> = found.into_iter().map(|located| self.located(located)).collect();
        Ok(Response::new(LocateResponse { located: located? }))
    }
}
