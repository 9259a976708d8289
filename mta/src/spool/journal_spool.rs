//! The spool of one machine: the journal is the whole truth, the index only its summary.

use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use journal::{Appended, BodyWriter, Entry, Journal, OnCorruption, Record, Recovery, SegmentId, Verdict};
use message::MessageId;
use prost::Message as _;
use proto::mail::Envelope;
use serde::{Deserialize, Serialize};
use service::config::ByteSize;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::index::{Index, IndexFollower, decode_accepted, decode_id};
use super::record::{self, Progress};
use super::{Accepted, Message, NewMessage, Spool, SpoolError, Staging, Status};

/// Where and how the spool is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// Its directory; made if missing. One node, one directory.
    pub dir: PathBuf,
    /// Mail is refused with a temporary error before less than this stays free on the disk; what lets mail leave may use
    /// half of it. Default 256 MiB.
    pub min_free: ByteSize,
    /// Size of a segment file, the unit in which space is given back. Default 128 MiB.
    pub segment_size: ByteSize,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            dir: "/var/lib/waypost/mta/spool".into(),
            min_free: ByteSize::mib(256),
            segment_size: ByteSize::mib(128),
        }
    }
}

type SpoolJournal = Journal<Option<Accepted>>;

/// A [`Spool`] on a journal.
#[derive(Clone, Debug)]
pub(crate) struct JournalSpool {
    pub(super) journal: SpoolJournal,
    pub(super) index: Arc<Index>,
    stop: Stop,
}

/// Whether the journal has stopped for good.
#[derive(Clone, Debug, Default)]
struct Stop(CancellationToken);

impl Stop {
    /// The error as the spool's users know it; notes it if it is the end.
    fn note(&self, error: journal::Error) -> SpoolError {
        let error = SpoolError::from(error);
        if matches!(error, SpoolError::Stopped(_)) {
            self.0.cancel();
        }
        error
    }
}

impl JournalSpool {
    /// Opens the spool and reads what waits in it. Blocks for as long as that takes.
    pub(crate) fn open(config: &SpoolConfig) -> Result<(Self, Recovery), journal::Error> {
        let index = Arc::new(Index::default());
        let config = journal::Config {
            min_free_bytes: *config.min_free,
            segment_bytes: *config.segment_size,
            // One unreadable record is set aside; the mail behind it goes on.
            on_corruption: OnCorruption::Quarantine,
            ..journal::Config::new(&config.dir)
        };
        let (journal, recovery) = Journal::open(config, IndexFollower::new(Arc::clone(&index)))?;
        index.recovered();
        Ok((Self { journal, index, stop: Stop::default() }, recovery))
    }

    /// Resolves when the journal has stopped: what its disk holds is unknown, and nothing more can be promised until it
    /// is opened anew.
    pub(crate) async fn stopped(&self) {
        self.stop.0.cancelled().await;
    }

    /// Whether the journal has stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.0.is_cancelled()
    }

    /// Gives back the space of messages that have left: empties the oldest segments while more than half of what the
    /// spool takes on disk is dead. Blocks.
    ///
    /// The oldest first, so that each pass copies no more than it frees.
    pub(crate) fn reclaim(&self) -> Result<(), SpoolError> {
        loop {
            let mut sealed = self.journal.reclaim_candidates(1.0);
            sealed.sort_by_key(|candidate| candidate.segment);
            let Some(oldest) = sealed.first() else { return Ok(()) };
            let bytes: u64 = sealed.iter().map(|candidate| candidate.bytes).sum();
            let live: u64 = sealed.iter().map(|candidate| candidate.live).sum();
            if oldest.live > 0 && bytes < live.saturating_mul(2) {
                return Ok(());
            }
            match self.empty(oldest.segment) {
                Ok(()) => {}
                Err(journal::Error::Busy { .. }) => return Ok(()),
                Err(error) => return Err(self.stop.note(error)),
            }
        }
    }

    /// Copies what still matters out of a segment, and removes it.
    pub(super) fn empty(&self, segment: SegmentId) -> Result<(), journal::Error> {
        let mut pass = Pass::new(self, segment);
        let done = self.journal.reclaim(segment, |entry| pass.verdict(entry))?;
        self.index.segment_gone(segment, &pass.met);
        tracing::debug!(%segment, freed = done.freed, kept = done.kept, "reclaimed a spool segment");
        Ok(())
    }

    /// Seals the spool.
    pub(crate) fn close(self) -> Result<(), journal::Error> {
        self.journal.close()
    }
}

/// The emptying of one segment.
pub(super) struct Pass<'a> {
    spool: &'a JournalSpool,
    segment: SegmentId,
    /// Messages of which a record stood in the segment.
    met: Vec<MessageId>,
    /// Messages that wait, and whose present state was written anew in this pass: older records of it are done with.
    told: HashSet<MessageId>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(spool: &'a JournalSpool, segment: SegmentId) -> Self {
        Self { spool, segment, met: Vec::new(), told: HashSet::new() }
    }

    pub(super) fn verdict(&mut self, entry: &Entry) -> Verdict {
        match entry.kind {
            record::ACCEPTED => self.verdict_on_message(entry),
            record::PROGRESS => self.verdict_on_progress(entry),
            // Set aside for people to look at.
            _ => Verdict::Keep,
        }
    }

    fn verdict_on_message(&mut self, entry: &Entry) -> Verdict {
        let Some((id, envelope, accepted)) = decode_accepted(&entry.meta) else { return Verdict::Keep };
        // Records of later segments whose body reaches into this one come by, too.
        if entry.position.segment == self.segment {
            self.met.push(id);
        }
        let settles = accepted.settles.filter(|settled| self.matters(settled));
        match self.spool.index.get(id) {
            Some(message) if message.place.lock().position == entry.position => {
                self.told.insert(id);
                let recipients = all_statuses(&message);
                let current = record::Accepted { envelope: Some(envelope), recipients, settles, ..accepted };
                Verdict::Rewrite(current.into_meta())
            }
            // This report has left, but the failure that it reports may be told by no other record.
            None if settles.is_some() => {
                self.spool.index.copying_dead(id);
                Verdict::Keep
            }
            _ => Verdict::Drop,
        }
    }

    fn verdict_on_progress(&mut self, entry: &Entry) -> Verdict {
        let Ok(progress) = Progress::decode(entry.meta.clone()) else { return Verdict::Keep };
        let Some(id) = decode_id(&progress.message_id) else { return Verdict::Keep };
        match self.spool.index.get(id) {
            Some(_) if !self.told.insert(id) => Verdict::Drop,
            Some(message) => {
                let current = Progress { recipients: all_statuses(&message), ..progress };
                Verdict::Rewrite(current.into_meta())
            }
            None if self.spool.index.stands_outside(id, self.segment) => Verdict::Keep,
            None => Verdict::Drop,
        }
    }

    fn matters(&self, progress: &Progress) -> bool {
        decode_id(&progress.message_id).is_some_and(|id| self.spool.index.stands_outside(id, self.segment))
    }
}

fn all_statuses(message: &Message) -> Vec<record::Recipient> {
    message.statuses().iter().zip(0..).map(|(status, index)| record::Recipient::new(index, status)).collect()
}

impl Spool for JournalSpool {
    fn stage(&self) -> Box<dyn Staging> {
        Box::new(StagedBody {
            writer: self.journal.body_writer(),
            index: Arc::clone(&self.index),
            stop: self.stop.clone(),
        })
    }

    fn accept(&self, message: NewMessage, body: Bytes) -> BoxFuture<'static, Result<Accepted, SpoolError>> {
        if self.index.knows(message.id) {
            return std::future::ready(Ok(Accepted::Known)).boxed();
        }
        // A report that is refused keeps its subject, which is the larger one mostly, from leaving.
        let frees = message.settles.is_some();
        let meta = encode(message, body.len() as u64);
        let record = Record { kind: record::ACCEPTED, meta, body };
        let append =
            if frees { self.journal.append_bookkeeping(record) } else { self.journal.append(record) };
        let stop = self.stop.clone();
        async move { taken(append.await, &stop) }.boxed()
    }

    fn progress(
        &self,
        id: MessageId,
        recipients: Vec<(u32, Status)>,
    ) -> BoxFuture<'static, Result<(), SpoolError>> {
        if self.index.get(id).is_none() {
            return std::future::ready(Err(SpoolError::Gone(id))).boxed();
        }
        let progress = Progress::new(id, recipients.iter().map(|(index, status)| (*index, status)));
        let record = Record { kind: record::PROGRESS, meta: progress.into_meta(), body: Bytes::new() };
        let append = self.journal.append_bookkeeping(record);
        let stop = self.stop.clone();
        async move { append.await.map(drop).map_err(|error| stop.note(error)) }.boxed()
    }

    fn get(&self, id: MessageId) -> Option<Arc<Message>> {
        self.index.get(id)
    }

    fn page(&self, after: Option<MessageId>, limit: usize) -> Vec<Arc<Message>> {
        self.index.page(after, limit)
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn envelope(&self, message: &Message) -> BoxFuture<'static, Result<Arc<Envelope>, SpoolError>> {
        let (journal, index, id) = (self.journal.clone(), Arc::clone(&self.index), message.id);
        async move {
            let read = spawn_blocking(move || {
                loop {
                    let position = index.get(id).ok_or(SpoolError::Gone(id))?.place.lock().position;
                    match journal.entry(position) {
                        // Its segment was reclaimed between the two lines above: the copy stands elsewhere.
                        Err(journal::Error::Gone { .. }) => {}
                        entry => {
                            let decoded = decode_accepted(&entry?.meta);
                            let (_, envelope, _) = decoded.ok_or(SpoolError::NotUnderstood)?;
                            return Ok(Arc::new(envelope));
                        }
                    }
                }
            });
            read.await.unwrap_or(Err(SpoolError::Failed(journal::Error::Closed)))
        }
        .boxed()
    }

    fn read(&self, message: &Message, range: Range<u64>) -> BoxFuture<'static, Result<Bytes, SpoolError>> {
        let (journal, index, id) = (self.journal.clone(), Arc::clone(&self.index), message.id);
        async move {
            let read = spawn_blocking(move || {
                loop {
                    let body = index.get(id).ok_or(SpoolError::Gone(id))?.place.lock().body.clone();
                    match journal.read(&body, range.clone()) {
                        // Its segment was reclaimed between the two lines above: the copy stands elsewhere.
                        Err(journal::Error::Gone { .. }) => {}
                        read => return read.map_err(SpoolError::from),
                    }
                }
            });
            read.await.unwrap_or(Err(SpoolError::Failed(journal::Error::Closed)))
        }
        .boxed()
    }
}

/// A body that is written while it arrives.
struct StagedBody {
    writer: BodyWriter<Option<Accepted>>,
    index: Arc<Index>,
    stop: Stop,
}

impl Staging for StagedBody {
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), SpoolError>> {
        async move { self.writer.write(chunk).await.map_err(|error| self.stop.note(error)) }.boxed()
    }

    fn commit(self: Box<Self>, message: NewMessage) -> BoxFuture<'static, Result<Accepted, SpoolError>> {
        if self.index.knows(message.id) {
            return std::future::ready(Ok(Accepted::Known)).boxed();
        }
        let meta = encode(message, self.writer.written());
        let append = self.writer.commit(record::ACCEPTED, meta);
        let stop = self.stop;
        async move { taken(append.await, &stop) }.boxed()
    }
}

/// What became of a message that was appended.
fn taken(
    appended: Result<Appended<Option<Accepted>>, journal::Error>,
    stop: &Stop,
) -> Result<Accepted, SpoolError> {
    let appended = appended.map_err(|error| stop.note(error))?;
    appended.output.ok_or(SpoolError::NotUnderstood)
}

fn encode(message: NewMessage, size: u64) -> Bytes {
    let recipients =
        message.recipients.iter().map(|(index, status)| record::Recipient::new(*index, status)).collect();
    let settles = message
        .settles
        .map(|(id, statuses)| Progress::new(id, statuses.iter().map(|(index, status)| (*index, status))));
    let accepted = record::Accepted {
        envelope: Some(message.envelope),
        size,
        expires_at: message.expires_at,
        recipients,
        settles,
    };
    accepted.into_meta()
}
