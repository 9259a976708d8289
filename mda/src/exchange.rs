//! Mail of an account on its way to files and from them, as a stream of parts: over gRPC, or to the tools that work on the
//! folder of a store.

pub mod files;
mod import;
#[cfg(test)]
mod tests;

use std::time::Duration;

use message::Address;
use proto::mda::{
    ExportResponse, ExportedAll, ExportedEnd, ExportedMailbox, ExportedMessage, export_response::Part,
};
use tokio::sync::mpsc;
use tonic::Status;

pub(crate) use import::import;

use crate::status::status;
use crate::store::{self, Entry, Flags, Index, MailStore, MailboxName, StoreError, SystemFlag};

/// How mail lies in files, on a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A file for each message, a folder for each mailbox: Maildir++
    Maildir,
    /// A file for each mailbox
    Mbox,
}

impl From<Format> for mailfiles::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Maildir => Self::Maildir,
            Format::Mbox => Self::Mbox,
        }
    }
}

/// Octets that are given at once.
const PIECE: u64 = 256 << 10;

/// How long the other side may take for its next step: those that sleep hold up no others.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

/// The account of an address.
pub(crate) fn account(store: &impl MailStore, address: &str) -> Result<store::Account, Status> {
    let key = Address::parse(address)
        .map_err(|error| Status::invalid_argument(format!("account `{address}`: {error}")))?
        .key();
    store
        .account_by_address(&key)
        .map_err(|error| status(&error))?
        .ok_or_else(|| Status::not_found(format!("there is no account {key}")))
}

/// Gives an account's mailboxes, or one of them, with their messages, and says that this is all. Ends early if nobody takes
/// them any more.
pub(crate) async fn export(
    store: &impl MailStore,
    account: &store::Account,
    only: Option<&MailboxName>,
    parts: &mpsc::Sender<Result<ExportResponse, Status>>,
) -> Result<(), Status> {
    let owner = account.id;
    let mailboxes = aside(store, move |store| store.mailboxes(owner)).await;
    let mut mailboxes = mailboxes.and_then(|read| read).map_err(|error| status(&error))?;
    if let Some(only) = only {
        mailboxes.retain(|mailbox| mailbox.name == *only);
        if mailboxes.is_empty() {
            return Err(Status::not_found(format!("{} has no mailbox {only}", account.name)));
        }
    }
    let mut export = Export { store, parts, messages: 0 };
    for mailbox in mailboxes {
        match export.mailbox(&mailbox).await {
            // It was deleted meanwhile: if there were messages in it, that fewer came than were said tells so.
            Err(Ended::Failed(StoreError::NoSuchMailbox)) | Ok(()) => {}
            Err(Ended::Failed(error)) => return Err(status(&error)),
            Err(Ended::Unheard) => return Ok(()),
        }
    }
    // If nobody takes it, there is nobody to be told.
    let _ = export.tell(Part::All(ExportedAll { messages: export.messages })).await;
    Ok(())
}

/// Reads the store on a thread that may block.
async fn aside<S: MailStore, T: Send + 'static>(
    store: &S,
    read: impl FnOnce(&S) -> T + Send + 'static,
) -> store::Result<T> {
    let store = store.clone();
    let read = tokio::task::spawn_blocking(move || read(&store)).await;
    read.map_err(|error| StoreError::Io {
        what: "what was read of the mail store broke off".to_owned(),
        reason: error.to_string(),
    })
}

struct Export<'a, S> {
    store: &'a S,
    parts: &'a mpsc::Sender<Result<ExportResponse, Status>>,
    /// Messages that were begun.
    messages: u64,
}

/// Why an export ends early.
enum Ended {
    /// Nobody takes the parts, or not within [`PATIENCE`].
    Unheard,
    Failed(StoreError),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl<S: MailStore> Export<'_, S> {
    async fn mailbox(&mut self, mailbox: &store::Mailbox) -> Result<(), Ended> {
        let index = self.store.index(mailbox.id).await?.borrow().clone();
        let name = mailbox.name.to_string();
        self.tell(Part::Mailbox(ExportedMailbox { name, messages: index.len() })).await?;
        for entry in index.iter() {
            self.message(&index, entry).await?;
        }
        Ok(())
    }

    async fn message(&mut self, index: &Index, entry: &Entry) -> Result<(), Ended> {
        self.messages += 1;
        let seconds = entry.internal_date().as_second();
        self.tell(Part::Message(ExportedMessage {
            uid: entry.uid(),
            internal_date: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            flags: names(&index.flags(entry)),
            octets: entry.size(),
        }))
        .await?;
        let mut given = 0;
        let failure = loop {
            match self.store.read(entry.email(), given..given + PIECE).await {
                Ok(octets) if octets.is_empty() => break String::new(),
                Ok(octets) => {
                    given += octets.len() as u64;
                    self.tell(Part::Data(octets)).await?;
                }
                // It was expunged meanwhile, or is damaged: the others can be had all the same.
                Err(error @ (StoreError::Expunged | StoreError::CorruptBody { .. })) => {
                    break error.to_string();
                }
                Err(error) => return Err(error.into()),
            }
        };
        self.tell(Part::End(ExportedEnd { failure })).await
    }

    async fn tell(&self, part: Part) -> Result<(), Ended> {
        let part = ExportResponse { part: Some(part) };
        self.parts.send_timeout(Ok(part), PATIENCE).await.map_err(|_| Ended::Unheard)
    }
}

/// Flags as IMAP names them.
fn names(flags: &Flags) -> Vec<String> {
    let system = SystemFlag::ALL.into_iter().filter(|flag| flags.has(*flag));
    system.map(|flag| flag.as_str().to_owned()).chain(flags.keywords().map(str::to_owned)).collect()
}

/// The flags of these names; what is none, or one too many, is left out.
fn flags_of(names: &[String]) -> Flags {
    let mut flags = Flags::none();
    for name in names {
        if let Some(system) = SystemFlag::parse(name) {
            flags = flags.with(system);
        } else if is_keyword(name) && flags.keywords().count() < Flags::MAX_KEYWORDS {
            flags.set_keyword(name);
        }
    }
    flags
}

/// `flag-keyword`: an atom (RFC 9051 §9), and not too long.
fn is_keyword(name: &str) -> bool {
    (1..=Flags::MAX_KEYWORD_OCTETS).contains(&name.len()) && name.bytes().all(crate::imap::parse::is_atom)
}
