//! Between the parts of an export or import and files: for the `waypost` command and for the tools of the `mda`.

use std::fmt;

use futures_util::{Stream, StreamExt as _};
use mailfiles::{Error, Found, Meta, Reader, Writer};
use proto::mda::export_response::Part as Exported;
use proto::mda::import_request::Part;
use proto::mda::{ExportResponse, ImportInto, ImportRequest, ImportResponse, ImportedEnd, ImportedMessage};
use service::count::counted;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Failures that are told one by one; the others are counted.
const TOLD: usize = 100;

/// Parts that wait for the disk or the network.
const WAITING: usize = 16;

/// Messages that wait for their answer.
const UNANSWERED: usize = 1_024;

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
    /// What may not have been read as it was meant. It is no failure.
    pub doubted: u64,
    /// The first of these, in plain words.
    pub doubts: Vec<String>,
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
            // What others named their mailboxes and files stands in it.
            self.failures.push(mailfiles::shown(&what.into()));
        }
    }

    fn doubt(&mut self, what: &str) {
        self.doubted += 1;
        if self.doubts.len() < TOLD {
            self.doubts.push(mailfiles::shown(what));
        }
    }
}

/// Without what failed.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, octets, mailboxes, duplicates, keywords_left_out, doubted, .. } = *self;
        write!(f, "{} of {}", counted(messages, "message"), counted(octets, "octet"))?;
        if mailboxes > 0 {
            write!(f, " in {}", counted(mailboxes, "mailbox"))?;
        }
        let mut left_out = Vec::new();
        if duplicates > 0 {
            left_out.push(format!("{duplicates} that were imported before left out"));
        }
        if keywords_left_out > 0 {
            let keywords = counted(keywords_left_out, "keyword");
            left_out.push(format!("{keywords} for which there was no letter left out"));
        }
        if doubted > 0 {
            left_out.push(format!("{} doubtful", counted(doubted, "place")));
        }
        if self.failed > 0 {
            left_out.push(format!("{} failed", self.failed));
        }
        if !left_out.is_empty() {
            write!(f, ", {},", left_out.join(", "))?;
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
    /// The mail server ended without saying that this was all.
    #[error("it broke off before the mail server said that this was all")]
    CutOff,
    /// A part that this version does not know.
    #[error("the mail server is newer than this program, and sends what it does not know")]
    Unknown,
}

/// Writes the parts of an export into files; `tell` hears how many messages were written.
///
/// # Errors
/// The export ended early, or the files cannot be written.
pub async fn export(
    writer: Writer,
    parts: impl Stream<Item = Result<ExportResponse, Status>>,
    tell: impl FnMut(u64) + Send + 'static,
) -> Result<Summary, Broken> {
    let (given, taken) = mpsc::channel(WAITING);
    let writing = tokio::task::spawn_blocking(move || write(writer, taken, tell));
    let mut parts = std::pin::pin!(parts);
    while let Some(part) = parts.next().await {
        // If it takes no more, it says why.
        if given.send(part).await.is_err() {
            break;
        }
    }
    drop(given);
    writing.await.map_err(|_| Broken::CutOff)?
}

/// Imports the messages of files into an account; those of `INBOX` into the mailbox `into`, all others below it, if one is
/// given. `ask` gives the requests to the mail server, and has its answers; `tell` hears how many messages were answered.
///
/// # Errors
/// The mail server's, or that it ended before all was answered.
pub async fn import<A>(
    reader: Reader,
    account: String,
    into: Option<String>,
    ask: impl AsyncFnOnce(ReceiverStream<ImportRequest>) -> Result<A, Status>,
    tell: impl FnMut(u64),
) -> Result<Summary, Status>
where
    A: Stream<Item = Result<ImportResponse, Status>>,
{
    let (requests, received) = mpsc::channel(WAITING);
    let (sent, places) = mpsc::channel(UNANSWERED);
    // It ends once nobody takes what it reads.
    tokio::task::spawn_blocking(move || read(reader, account, into.as_deref(), &requests, &sent));
    let answers = ask(ReceiverStream::new(received)).await?;
    gather(places, answers, tell).await
}

/// Writes the parts of an export. To be called where it may block.
pub(super) fn write(
    writer: Writer,
    mut parts: mpsc::Receiver<Result<ExportResponse, Status>>,
    mut tell: impl FnMut(u64),
) -> Result<Summary, Broken> {
    let mut export = Export::new(writer);
    let all = loop {
        let next = parts.blocking_recv().transpose().map_err(Broken::from);
        let taken = next.and_then(|part| export.take(part.ok_or(Broken::CutOff)?));
        match taken {
            Ok(None) => tell(export.summary.messages),
            Ok(Some(all)) => break all,
            Err(error) => {
                if export.message.is_some() && !export.is_lost {
                    // Nobody is to take what came of it for the message; that it broke off is told in any case.
                    let _ = export.writer.abandon();
                }
                return Err(error);
            }
        }
    };
    export.end(all)
}

/// What was written of an export.
struct Export {
    writer: Writer,
    summary: Summary,
    /// Messages that were begun.
    begun: u64,
    mailbox: String,
    /// Messages of the mailbox that are still to come.
    left: u32,
    /// No file can have the mailbox' name: its messages are counted.
    is_lost: bool,
    /// The UID of the message that was begun, and its octets.
    message: Option<(u32, u64)>,
}

impl Export {
    fn new(writer: Writer) -> Self {
        Self {
            writer,
            summary: Summary::default(),
            begun: 0,
            mailbox: String::new(),
            left: 0,
            is_lost: false,
            message: None,
        }
    }

    /// Writes a part. The last one says how many messages there were.
    fn take(&mut self, part: ExportResponse) -> Result<Option<u64>, Broken> {
        match (part.part.ok_or(Broken::Unknown)?, self.message) {
            (Exported::Mailbox(of), None) => {
                self.end_mailbox();
                self.mailbox = of.name;
                self.left = of.messages;
                let made = self.writer.mailbox(&self.mailbox);
                self.is_lost = made.is_err();
                self.summary.mailboxes += u64::from(!self.is_lost);
                if let Err(error) = made {
                    self.summary.fail(format!("mailbox {}: {error}", self.mailbox));
                    self.summary.failed += u64::from(of.messages);
                }
            }
            (Exported::Message(message), None) => {
                self.begun += 1;
                self.left = self.left.saturating_sub(1);
                self.message = Some((message.uid, message.octets));
                if !self.is_lost {
                    let arrived = message.internal_date.map(|at| at.seconds);
                    let meta = Meta { flags: message.flags, arrived };
                    self.writer.begin(message.uid, message.octets, &meta)?;
                }
            }
            (Exported::Data(data), Some(_)) if !self.is_lost => self.writer.write(&data)?,
            (Exported::Data(_), Some(_)) => {}
            (Exported::End(end), Some((uid, octets))) => {
                self.message = None;
                if !self.is_lost {
                    self.end_message(uid, octets, &end.failure)?;
                }
            }
            (Exported::All(all), None) => return Ok(Some(all.messages)),
            // Octets outside a message, or a message within another: parts are missing.
            _ => return Err(Broken::CutOff),
        }
        Ok(None)
    }

    fn end_message(&mut self, uid: u32, octets: u64, failure: &str) -> Result<(), Error> {
        if failure.is_empty() {
            self.summary.messages += 1;
            self.summary.octets += octets;
            return self.writer.end();
        }
        self.summary.fail(format!("message {uid} of {}: {failure}", self.mailbox));
        self.writer.abandon()
    }

    fn end_mailbox(&mut self) {
        if self.left > 0 && !self.is_lost {
            let left = std::mem::take(&mut self.left);
            let left = counted(left.into(), "message");
            self.summary.fail(format!("mailbox {}: {left} of it did not come", self.mailbox));
        }
    }

    fn end(mut self, all: u64) -> Result<Summary, Broken> {
        if all != self.begun {
            return Err(Broken::CutOff);
        }
        self.end_mailbox();
        self.summary.keywords_left_out = self.writer.finish()?;
        Ok(self.summary)
    }
}

/// What was sent of files: it is answered, or was none.
#[derive(Debug)]
pub(super) enum Sent {
    /// A message, by its place and its octets.
    Message(String, u64),
    /// What could not be read, and why.
    Failed(String),
    /// What should be looked at.
    Doubted(String),
    /// All was read.
    End,
}

/// Reads the messages of files, and sends them. Says of each what it was. To be called where it may block.
fn read(
    mut reader: Reader,
    account: String,
    into: Option<&str>,
    requests: &mpsc::Sender<ImportRequest>,
    sent: &mpsc::Sender<Sent>,
) {
    // If nobody takes them any more, that is told elsewhere.
    let _ = send(requests, Part::Into(ImportInto { account })).and_then(|()| {
        while let Some(found) = reader.next_message() {
            let told = match found {
                Ok(found) => message(&mut reader, found, into, requests)?,
                Err(error) if error.is_doubt() => Sent::Doubted(error.to_string()),
                Err(error) => Sent::Failed(error.to_string()),
            };
            sent.blocking_send(told).map_err(|_| Unheard)?;
        }
        sent.blocking_send(Sent::End).map_err(|_| Unheard)
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
pub(super) async fn gather(
    mut sent: mpsc::Receiver<Sent>,
    answers: impl Stream<Item = Result<ImportResponse, Status>>,
    mut tell: impl FnMut(u64),
) -> Result<Summary, Status> {
    let mut answers = std::pin::pin!(answers);
    let mut summary = Summary::default();
    let mut is_read = false;
    while let Some(next) = sent.recv().await {
        let (place, octets) = match next {
            Sent::Message(place, octets) => (place, octets),
            Sent::Failed(failure) => {
                summary.fail(failure);
                continue;
            }
            Sent::Doubted(doubt) => {
                summary.doubt(&doubt);
                continue;
            }
            Sent::End => {
                is_read = true;
                break;
            }
        };
        match answers.next().await.transpose()? {
            None => return Err(cut_off()),
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
        None if is_read => Ok(summary),
        _ => Err(cut_off()),
    }
}

fn cut_off() -> Status {
    Status::unavailable("it ended before all was read and answered")
}
