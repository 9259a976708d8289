//! The spool of one machine: the journal is the whole truth, the index only its summary.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use journal::{Appended, BodyWriter, Journal, OnCorruption, Record, Recovery};
use message::MessageId;
use prometheus_client::registry::Registry;
use prost::Message as _;
use proto::mail::Envelope;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::follower::{Applied, IndexFollower, SetAside};
use super::fresh::{Fresh, Whole};
use super::index::{Index, Known};
use super::record::{self, Progress, decode_accepted};
use super::suspension::{MAX_SUSPENSION_TEXT, Scope, Suspension, Suspensions};
use super::{Accepted, Change, Message, NewMessage, Spool, SpoolConfig, SpoolError, Staging, Status};

type SpoolJournal = Journal<Applied>;

/// A [`Spool`] on a journal.
#[derive(Clone, Debug)]
pub(crate) struct JournalSpool {
    pub(super) journal: SpoolJournal,
    pub(super) index: Arc<Index>,
    pub(super) fresh: Arc<Fresh>,
    pub(super) stop: Stop,
    set_aside: SetAside,
    reclaim_every: Duration,
    /// The last record that a full disk must not hold up was refused all the same: what an attempt comes to could not be
    /// written down now.
    is_refused: Arc<AtomicBool>,
}

/// Whether the journal has stopped for good.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(CancellationToken);

impl Stop {
    /// The error as the spool's users know it; notes it if it is the end.
    pub(super) fn note(&self, error: journal::Error) -> SpoolError {
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
        let reclaim_every = *config.reclaim_every;
        let config = journal::Config {
            min_free_bytes: *config.min_free,
            segment_bytes: *config.segment_size,
            // One unreadable record is set aside; the mail behind it goes on.
            on_corruption: OnCorruption::Quarantine,
            ..journal::Config::new(&config.dir)
        };
        Self::open_journal(config, reclaim_every)
    }

    pub(crate) fn open_journal(
        config: journal::Config,
        reclaim_every: Duration,
    ) -> Result<(Self, Recovery), journal::Error> {
        let index = Arc::new(Index::default());
        let set_aside = SetAside::default();
        let follower = IndexFollower::new(Arc::clone(&index), set_aside.clone());
        let (journal, recovery) = Journal::open(config, follower)?;
        index.recovered();
        set_aside.inc_by(recovery.quarantined.len() as u64);
        let (fresh, stop, is_refused) = (Arc::default(), Stop::default(), Arc::default());
        Ok((Self { journal, index, fresh, stop, set_aside, reclaim_every, is_refused }, recovery))
    }

    /// Registers what is counted.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "mta_spool_set_aside",
            "Parts of the spool that cannot be read or understood, and are left for people to look at",
            self.set_aside.clone(),
        );
    }

    /// How often to reclaim space.
    pub(crate) fn reclaim_every(&self) -> Duration {
        self.reclaim_every
    }

    /// Whether the journal has stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.0.is_cancelled()
    }

    /// Seals the spool.
    pub(crate) fn close(self) -> Result<(), journal::Error> {
        self.journal.close()
    }
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
        let id = message.id;
        match self.index.announce((id, message.hand_overs)).admit(id) {
            Ok(true) => {}
            Ok(false) => return std::future::ready(Ok(Accepted::Known)).boxed(),
            Err(error) => return std::future::ready(Err(error)).boxed(),
        }
        let settles = message.settles.as_ref().map(|(settled, _)| *settled);
        let (meta, envelope) = encode(message, body.len() as u64, &self.index);
        let record = Record { kind: record::ACCEPTED, meta, body: body.clone() };
        let append = match settles {
            Some(settled) => {
                self.fresh.remove(settled);
                // A report that is refused keeps its subject, which is the larger one mostly, from leaving.
                self.append_bookkeeping(record).left_future()
            }
            None => self.journal.append(record).right_future(),
        };
        let (index, stop, fresh) = (Arc::clone(&self.index), self.stop.clone(), Arc::clone(&self.fresh));
        async move {
            // Before it is in line: whoever takes it from there finds it here.
            fresh.insert(id, Whole { envelope: Arc::new(envelope), body });
            let taken = taken(append.await, id, &index, &stop);
            if !matches!(taken, Ok(Accepted::New(_))) {
                fresh.remove(id);
            }
            taken
        }
        .boxed()
    }

    fn begin(
        &self,
        id: MessageId,
        recipients: Vec<(u32, Status)>,
    ) -> BoxFuture<'static, Result<(), SpoolError>> {
        let Some(message) = self.index.get(id) else {
            return std::future::ready(Err(SpoolError::Gone(id))).boxed();
        };
        // Where its outcome could not be written either, it is for the record to say so, and nobody is dialled.
        if message.is_first_attempt(&recipients)
            && !self.is_stopped()
            && !self.is_refused.load(Ordering::Relaxed)
        {
            // The only state that applying the log does not give. A restart forgets it, and the attempt with it: its
            // outcome, if there is one, is a record that says all of this again.
            for (index, status) in recipients {
                message.merge(index, status);
            }
            return std::future::ready(Ok(())).boxed();
        }
        self.record(&message, &recipients).boxed()
    }

    fn progress(
        &self,
        id: MessageId,
        recipients: Vec<(u32, Status)>,
    ) -> BoxFuture<'static, Result<(), SpoolError>> {
        let Some(message) = self.index.get(id) else {
            return std::future::ready(Err(SpoolError::Gone(id))).boxed();
        };
        self.fresh.remove(id);
        self.record(&message, &recipients).boxed()
    }

    fn steer(
        &self,
        id: MessageId,
        changes: Vec<(u32, Change)>,
    ) -> BoxFuture<'static, Result<(), SpoolError>> {
        let Some(message) = self.index.get(id) else {
            return std::future::ready(Err(SpoolError::Gone(id))).boxed();
        };
        let revision = self.index.next_revision();
        let changed: Vec<(u32, Status)> = changes
            .iter()
            .filter_map(|(index, change)| Some((*index, message.status(*index)?.changed(change, revision))))
            .collect();
        self.record(&message, &changed).boxed()
    }

    fn suspensions(&self) -> Arc<[Suspension]> {
        self.index.suspensions().in_force
    }

    fn suspend(&self, mut suspension: Suspension) -> BoxFuture<'static, Result<(), SpoolError>> {
        suspension.reason = shortened(&suspension.reason).into();
        let spool = self.clone();
        async move {
            let suspended = spool.change_suspensions(|now| now.with(suspension.clone())).await?;
            if suspended { Ok(()) } else { Err(SpoolError::TooManySuspensions) }
        }
        .boxed()
    }

    fn resume(&self, scope: Scope) -> BoxFuture<'static, Result<bool, SpoolError>> {
        let spool = self.clone();
        async move { spool.change_suspensions(|now| now.without(&scope)).await }.boxed()
    }

    fn get(&self, id: MessageId) -> Option<Arc<Message>> {
        self.index.get(id)
    }

    fn knows(&self, id: MessageId, hand_overs: u32) -> bool {
        matches!(self.index.lock().knows((id, hand_overs)), Known::Yes)
    }

    fn page(&self, after: Option<MessageId>, limit: usize) -> Vec<Arc<Message>> {
        self.index.page(after, limit)
    }

    fn room_for(&self, octets: usize) -> Result<(), SpoolError> {
        self.journal.room_for(octets).map_err(|error| self.stop.note(error))
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn stopped(&self) -> BoxFuture<'_, ()> {
        self.stop.0.cancelled().boxed()
    }

    fn envelope(&self, message: &Message) -> BoxFuture<'static, Result<Arc<Envelope>, SpoolError>> {
        if let Some(whole) = self.fresh.get(message.id) {
            return std::future::ready(Ok(whole.envelope)).boxed();
        }
        self.read_at(message.id, |journal, message| {
            let position = message.place.lock().position;
            let entry = journal.entry(position)?;
            Ok(decode_accepted(&entry.meta).map(|(_, envelope, _)| Arc::new(envelope)))
        })
        .map(|read| read?.ok_or(SpoolError::NotUnderstood))
        .boxed()
    }

    fn read(&self, message: &Message, range: Range<u64>) -> BoxFuture<'static, Result<Bytes, SpoolError>> {
        let memory = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        if let Some((whole, (start, end))) = self.fresh.get(message.id).zip(memory)
            && start <= end
            && end <= whole.body.len()
        {
            return std::future::ready(Ok(whole.body.slice(start..end))).boxed();
        }
        self.read_at(message.id, move |journal, message| {
            let body = message.place.lock().body();
            journal.read(&body, range.clone())
        })
        .boxed()
    }
}

impl JournalSpool {
    /// Reads what the disk holds of a message, on a thread that may block.
    fn read_at<T: Send + 'static>(
        &self,
        id: MessageId,
        read: impl Fn(&SpoolJournal, &Message) -> Result<T, journal::Error> + Send + 'static,
    ) -> impl Future<Output = Result<T, SpoolError>> + Send + 'static {
        let (journal, index) = (self.journal.clone(), Arc::clone(&self.index));
        let reading = spawn_blocking(move || {
            loop {
                let message = index.get(id).ok_or(SpoolError::Gone(id))?;
                match read(&journal, &message) {
                    // Its segment was reclaimed since the message was looked up: the copy stands elsewhere.
                    Err(journal::Error::Gone { .. }) => {}
                    read => return read.map_err(SpoolError::from),
                }
            }
        });
        reading.map(|read| read.unwrap_or(Err(SpoolError::Failed(journal::Error::Closed))))
    }

    /// Records statuses of a message's recipients.
    fn record(
        &self,
        message: &Message,
        recipients: &[(u32, Status)],
    ) -> impl Future<Output = Result<(), SpoolError>> + Send + 'static {
        let statuses = recipients.iter().map(|(index, status)| (*index, status));
        let mut progress = Progress::new(message.id, message.hand_overs, statuses);
        self.append_change(record::PROGRESS, progress.meta()).map(|done| done.map(drop))
    }

    /// Appends a record of what changes; a full disk must not hold it up.
    fn append_change(
        &self,
        kind: u8,
        meta: Bytes,
    ) -> impl Future<Output = Result<Applied, SpoolError>> + Send + 'static {
        let stop = self.stop.clone();
        self.append_bookkeeping(Record { kind, meta, body: Bytes::new() }).map(move |appended| match appended
        {
            Ok(Appended { output: Applied::NotUnderstood, .. }) => Err(SpoolError::NotUnderstood),
            Ok(appended) => Ok(appended.output),
            Err(error) => Err(stop.note(error)),
        })
    }

    /// Appends a record that a full disk must not hold up, and keeps in mind whether it was refused.
    fn append_bookkeeping(
        &self,
        record: Record,
    ) -> impl Future<Output = Result<Appended<Applied>, journal::Error>> + Send + 'static {
        let (append, is_refused) = (self.journal.append_bookkeeping(record), Arc::clone(&self.is_refused));
        append.inspect(move |appended| is_refused.store(appended.is_err(), Ordering::Relaxed))
    }

    /// Writes the suspensions anew as `change` makes them of those in force; again if others changed them meanwhile.
    /// Says whether it made a change.
    async fn change_suspensions(
        &self,
        change: impl Fn(&Suspensions) -> Option<Vec<Suspension>>,
    ) -> Result<bool, SpoolError> {
        loop {
            let now = self.index.suspensions();
            let Some(changed) = change(&now) else { return Ok(false) };
            let meta = now.next(&changed).encode_to_vec().into();
            if let Applied::Holds = self.append_change(record::SUSPENSIONS, meta).await? {
                return Ok(true);
            }
        }
    }
}

fn shortened(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_SUSPENSION_TEXT)]
}

/// A body that is written while it arrives.
struct StagedBody {
    writer: BodyWriter<Applied>,
    index: Arc<Index>,
    stop: Stop,
}

impl Staging for StagedBody {
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), SpoolError>> {
        async move { self.writer.write(chunk).await.map_err(|error| self.stop.note(error)) }.boxed()
    }

    fn commit(self: Box<Self>, message: NewMessage) -> BoxFuture<'static, Result<Accepted, SpoolError>> {
        let id = message.id;
        match self.index.announce((id, message.hand_overs)).admit(id) {
            Ok(true) => {}
            Ok(false) => return std::future::ready(Ok(Accepted::Known)).boxed(),
            Err(error) => return std::future::ready(Err(error)).boxed(),
        }
        let (meta, _) = encode(message, self.writer.written(), &self.index);
        let append = self.writer.commit(record::ACCEPTED, meta);
        let (index, stop) = (self.index, self.stop);
        async move { taken(append.await, id, &index, &stop) }.boxed()
    }
}

/// What became of a message that was appended.
fn taken(
    appended: Result<Appended<Applied>, journal::Error>,
    id: MessageId,
    index: &Index,
    stop: &Stop,
) -> Result<Accepted, SpoolError> {
    let appended = appended.map_err(|error| {
        index.turned_away(id);
        stop.note(error)
    })?;
    match appended.output {
        Applied::Message(accepted) => Ok(accepted),
        _ => Err(SpoolError::NotUnderstood),
    }
}

/// The record's meta, and the envelope back.
fn encode(message: NewMessage, size: u64, index: &Index) -> (Bytes, Envelope) {
    let recipients =
        message.recipients.iter().map(|(index, status)| record::Recipient::new(*index, status)).collect();
    let settles = message.settles.map(|(id, statuses)| {
        let hand_overs = index.get(id).map_or(0, |settled| settled.hand_overs);
        Progress::new(id, hand_overs, statuses.iter().map(|(index, status)| (*index, status)))
    });
    let (expires_at, deadlines) = message.deadlines.into_parts();
    let mut accepted = record::Accepted {
        envelope: Some(message.envelope),
        size,
        expires_at,
        recipients,
        settles,
        hand_overs: message.hand_overs,
        deadlines,
    };
    let meta = accepted.meta();
    (meta, accepted.envelope.take().unwrap_or_default())
}
