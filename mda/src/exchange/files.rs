//! Between the parts of an export or import and files: for the `waypost` command and for the tools of the `mda`.

use std::fmt;

use futures_util::{Stream, StreamExt as _};
use mailfiles::{Error, Found, Meta, Reader, Writer};
use proto::mda::export_response::Part as Exported;
use proto::mda::import_request::Part;
use proto::mda::{ExportResponse, ImportInto, ImportRequest, ImportResponse, ImportedEnd, ImportedMessage};
use tokio::sync::mpsc;
use tonic::Status;

/// Failures that are told one by one; the others are counted.
const TOLD: usize = 100;

/// What an export or import came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Mailboxes that were written.
    pub mailboxes: u64,
    /// Messages that were written, or imported.
    pub messages: u64,
    /// Octets of them.
    pub octets: u64,
    /// Messages that had been imported before.
    pub duplicates: u64,
    /// Messages and mailboxes that could not be.
    pub failed: u64,
    /// The first of these, with the reason, in plain words.
    pub failures: Vec<String>,
    /// Keywords of messages that the format had no room for.
    pub keywords_left_out: u64,
}

impl Summary {
    /// Nothing failed.
    pub fn is_whole(&self) -> bool {
        self.failed == 0
    }

    fn fail(&mut self, what: impl Into<String>) {
        self.failed += 1;
        if self.failures.len() < TOLD {
            self.failures.push(what.into());
        }
    }
}

/// Without what failed.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages of {} octets", self.messages, self.octets)?;
        if self.mailboxes > 0 {
            write!(f, " in {} mailboxes", self.mailboxes)?;
        }
        if self.duplicates > 0 {
            write!(f, ", {} that were imported before left out,", self.duplicates)?;
        }
        if self.keywords_left_out > 0 {
            write!(f, ", {} keywords for which there was no letter left out,", self.keywords_left_out)?;
        }
        if self.failed > 0 {
            write!(f, ", {} failed,", self.failed)?;
        }
        Ok(())
    }
}

/// Why an export broke off.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] Error),
    /// The store says no.
    #[error("{}", .0.message())]
    Store(#[from] Status),
}

/// Writes the parts of an export; `tell` hears how many messages were written. To be called where it may block.
pub fn write(
    mut writer: Writer,
    mut parts: mpsc::Receiver<Result<ExportResponse, Status>>,
    mut tell: impl FnMut(u64),
) -> Result<Summary, Broken> {
    let mut summary = Summary::default();
    let (mut mailbox, mut uid, mut octets) = (String::new(), 0, 0);
    // A mailbox whose name no file can have: its messages are counted.
    let mut is_lost = false;
    while let Some(ExportResponse { part: Some(part) }) = parts.blocking_recv().transpose()? {
        match part {
            Exported::Mailbox(of) => {
                mailbox = of.name;
                let made = writer.mailbox(&mailbox);
                is_lost = made.is_err();
                summary.mailboxes += u64::from(!is_lost);
                if let Err(error) = made {
                    summary.fail(format!("mailbox {mailbox}: {error}"));
                    summary.failed += u64::from(of.messages);
                }
            }
            _ if is_lost => {}
            Exported::Message(message) => {
                (uid, octets) = (message.uid, message.octets);
                let arrived = message.internal_date.map(|at| at.seconds);
                writer.begin(uid, octets, &Meta { flags: message.flags, arrived })?;
            }
            Exported::Data(data) => writer.write(&data)?,
            Exported::End(end) if end.failure.is_empty() => {
                writer.end()?;
                summary.messages += 1;
                summary.octets += octets;
                tell(summary.messages);
            }
            Exported::End(end) => {
                writer.abandon()?;
                summary.fail(format!("message {uid} of {mailbox}: {}", end.failure));
            }
        }
    }
    summary.keywords_left_out = writer.finish()?;
    Ok(summary)
}

/// What was sent of files: it is answered, or was none.
#[derive(Debug)]
pub enum Sent {
    /// A message, by its place and its octets.
    Message(String, u64),
    /// What could not be read, and why.
    Failed(String),
}

/// Reads the messages of files, and sends them into an account; those of `INBOX` into the mailbox `into`, all others below
/// it, if one is given. Says of each what it was. To be called where it may block.
pub fn read(
    mut reader: Reader,
    account: &str,
    into: Option<&str>,
    requests: &mpsc::Sender<ImportRequest>,
    sent: &mpsc::Sender<Sent>,
) {
    let account = account.to_owned();
    // If nobody takes them any more, that is told elsewhere.
    let _ = send(requests, Part::Into(ImportInto { account })).and_then(|()| {
        while let Some(found) = reader.next_message() {
            let told = match found {
                Ok(found) => message(&mut reader, found, into, requests)?,
                Err(error) => Sent::Failed(error.to_string()),
            };
            sent.blocking_send(told).map_err(|_| Unheard)?;
        }
        Ok(())
    });
}

/// Nobody takes what is read.
struct Unheard;

fn send(requests: &mpsc::Sender<ImportRequest>, part: Part) -> Result<(), Unheard> {
    requests.blocking_send(ImportRequest { part: Some(part) }).map_err(|_| Unheard)
}

fn message(
    reader: &mut Reader,
    found: Found,
    into: Option<&str>,
    requests: &mpsc::Sender<ImportRequest>,
) -> Result<Sent, Unheard> {
    let Found { mailbox, place, meta } = found;
    let mailbox = match into {
        None => mailbox,
        Some(into) if mailbox == "INBOX" => into.to_owned(),
        Some(into) => format!("{into}/{mailbox}"),
    };
    let internal_date = meta.arrived.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 });
    send(requests, Part::Message(ImportedMessage { mailbox, internal_date, flags: meta.flags }))?;
    let mut octets = 0;
    loop {
        let mut piece = Vec::new();
        match reader.read(&mut piece) {
            Ok(true) => {
                octets += piece.len() as u64;
                send(requests, Part::Data(piece.into()))?;
            }
            Ok(false) => {
                send(requests, Part::End(ImportedEnd { abandoned: false }))?;
                return Ok(Sent::Message(place, octets));
            }
            Err(error) => {
                send(requests, Part::End(ImportedEnd { abandoned: true }))?;
                return Ok(Sent::Failed(format!("{place}: {error}")));
            }
        }
    }
}

/// Adds up what became of the messages that were sent; `tell` hears how many were answered.
pub async fn gather(
    mut sent: mpsc::Receiver<Sent>,
    answers: impl Stream<Item = Result<ImportResponse, Status>>,
    mut tell: impl FnMut(u64),
) -> Result<Summary, Status> {
    let mut answers = std::pin::pin!(answers);
    let mut summary = Summary::default();
    while let Some(next) = sent.recv().await {
        let (place, octets) = match next {
            Sent::Failed(failure) => {
                summary.fail(failure);
                continue;
            }
            Sent::Message(place, octets) => (place, octets),
        };
        match answers.next().await.transpose()? {
            None => return Err(Status::unavailable("it ended before all was answered")),
            Some(answer) if !answer.failure.is_empty() => {
                summary.fail(format!("{place}: {}", answer.failure));
            }
            Some(answer) if answer.duplicate => summary.duplicates += 1,
            Some(_) => {
                summary.messages += 1;
                summary.octets += octets;
            }
        }
        tell(summary.messages + summary.duplicates);
    }
    // An account that is not there is said before anything was sent.
    match answers.next().await {
        Some(Err(error)) => Err(error),
        _ => Ok(summary),
    }
}
