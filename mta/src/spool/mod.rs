//! The spool: messages that this node has promised to hand on and has not handed on yet.
//!
//! It owns durability and knows nothing of routes, time tables or protocols: it keeps what the queue tells it. Behind
//! the [`Spool`] trait stands the journal of one machine; a replicated log can come behind the same trait.

mod config;
mod deadlines;
mod follower;
mod fresh;
mod index;
mod journal_spool;
mod message;
mod recipient;
mod reclaim;
mod record;
mod replies;
mod status;
mod steering;
mod suspension;

use std::ops::Range;
use std::sync::Arc;

use ::message::MessageId;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, Stream};
use proto::mail::Envelope;

pub(crate) use self::message::Message;
pub use config::SpoolConfig;
pub(crate) use deadlines::Deadlines;
pub(crate) use journal_spool::JournalSpool;
pub(crate) use record::{MAX_RECIPIENTS, fits};
pub(crate) use status::{Said, Status};
pub(crate) use steering::{Change, HandOver};
pub(crate) use suspension::{MAX_SUSPENSION_TEXT, Scope, Suspension};

#[cfg(test)]
mod tests;

/// Messages not yet handed on.
///
/// Every method that changes something resolves after the change is on stable storage.
pub(crate) trait Spool: Send + Sync + 'static {
    /// Begins a message whose body is written while it arrives.
    fn stage(&self) -> Box<dyn Staging>;

    /// Takes a message. If the id is known already, nothing is added: a retry after a lost reply.
    fn accept(&self, message: NewMessage, body: Bytes) -> BoxFuture<'static, Result<Accepted, SpoolError>>;

    /// Records that attempts begin for recipients of a message, each with its index in the envelope.
    ///
    /// Of a message that has come since this node started, the record of its acceptance is also that of each recipient's
    /// first attempt, which begins without one of its own: whoever reads it at a start knows that the attempt may have
    /// been made. It is that one that is made again then, with a record, so that no crash, however often it comes, makes
    /// this node try more than once beyond what the time table says. While the spool takes no records, no first attempt
    /// begins without one either: its outcome could not be written down.
    fn begin(
        &self,
        id: MessageId,
        recipients: Vec<(u32, Status)>,
    ) -> BoxFuture<'static, Result<(), SpoolError>>;

    /// Records how far recipients of a message have come, each with its index in the envelope. When none is left that
    /// something could still happen to, the message leaves the spool.
    fn progress(
        &self,
        id: MessageId,
        recipients: Vec<(u32, Status)>,
    ) -> BoxFuture<'static, Result<(), SpoolError>>;

    /// Changes how recipients wait, each named by its index in the envelope. Whoever keeps their order has to be told.
    fn steer(&self, id: MessageId, changes: Vec<(u32, Change)>)
    -> BoxFuture<'static, Result<(), SpoolError>>;

    /// The suspensions in force.
    fn suspensions(&self) -> Arc<[Suspension]>;

    /// Begins a suspension, in place of one with the same scope. A long reason is cut.
    fn suspend(&self, suspension: Suspension) -> BoxFuture<'static, Result<(), SpoolError>>;

    /// Ends a suspension; says whether there was one.
    fn resume(&self, scope: Scope) -> BoxFuture<'static, Result<bool, SpoolError>>;

    /// The message, unless it has left the spool.
    fn get(&self, id: MessageId) -> Option<Arc<Message>>;

    /// Whether a message was taken with this number of hand-overs, or a later one, as far as is remembered.
    fn knows(&self, id: MessageId, hand_overs: u32) -> bool;

    /// Messages in the order of their ids, which is that of their age: those behind `after`, at most `limit`.
    fn page(&self, after: Option<MessageId>, limit: usize) -> Vec<Arc<Message>>;

    /// Whether a message of so many octets would be taken now. Nothing is kept free for it.
    fn room_for(&self, octets: usize) -> Result<(), SpoolError>;

    /// Messages in the spool.
    fn len(&self) -> usize;

    /// Resolves when the spool has stopped: what its disk holds is unknown, and nothing more can be promised or kept until
    /// it is opened anew.
    fn stopped(&self) -> BoxFuture<'_, ()>;

    /// Reads a message's envelope.
    fn envelope(&self, message: &Message) -> BoxFuture<'static, Result<Arc<Envelope>, SpoolError>>;

    /// Reads a part of a message's body.
    fn read(&self, message: &Message, range: Range<u64>) -> BoxFuture<'static, Result<Bytes, SpoolError>>;
}

/// A body on its way into the spool. Dropping it leaves nothing behind.
pub(crate) trait Staging: Send {
    /// Adds to the body; waits while too much is on its way to the disk.
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), SpoolError>>;

    /// Makes it a message, as [`Spool::accept`] does.
    fn commit(self: Box<Self>, message: NewMessage) -> BoxFuture<'static, Result<Accepted, SpoolError>>;
}

/// A message for the spool.
#[derive(Clone, Debug)]
pub(crate) struct NewMessage {
    pub(crate) id: MessageId,
    pub(crate) envelope: Envelope,
    pub(crate) deadlines: Deadlines,
    /// How far recipients have come that are not at the beginning, by index.
    pub(crate) recipients: Vec<(u32, Status)>,
    /// Recipients of another message that come to their end in the same instant: those whose failure this message
    /// reports.
    pub(crate) settles: Option<(MessageId, Vec<(u32, Status)>)>,
    /// How often one node has handed it over to another, this time included; 0 for a message that begins here. With the
    /// id it is what a message is known by: a message that was handed away can come back, and is taken again.
    pub(crate) hand_overs: u32,
}

/// What [`Spool::accept`] gives.
#[derive(Clone, Debug)]
pub(crate) enum Accepted {
    /// It is in the spool now.
    New(Arc<Message>),
    /// It was taken before; it may have left the spool since.
    Known,
}

/// Octets that are read from the spool at a time.
const PIECE: u64 = 256 << 10;

/// A message's body in pieces. After an error there are no more.
pub(crate) fn pieces(
    spool: Arc<dyn Spool>,
    message: Arc<Message>,
) -> impl Stream<Item = Result<Bytes, SpoolError>> + Send + 'static {
    stream::try_unfold(0, move |offset| {
        let (spool, message) = (Arc::clone(&spool), Arc::clone(&message));
        async move {
            if offset >= message.size {
                return Ok(None);
            }
            let end = message.size.min(offset + PIECE);
            let piece = spool.read(&message, offset..end).await?;
            Ok(Some((piece, end)))
        }
    })
}

/// Why the spool did not do something. Unless it says otherwise, the message is as it was before.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    /// No room: the disk is full, or too much is under way. Passes.
    #[error("the spool is full: {0}")]
    Full(#[source] journal::Error),
    /// It has left the spool.
    #[error("message {0} is not in the spool")]
    Gone(MessageId),
    /// It is here already, from before another node had it, and has not come to its end yet. Passes.
    #[error("message {0} is here from before it was handed over")]
    NotGoneYet(MessageId),
    /// There are as many suspensions as there may be.
    #[error("no more than {} suspensions can be in force", suspension::MAX_SUSPENSIONS)]
    TooManySuspensions,
    /// Its record cannot be read.
    #[error("the spool is damaged: {0}")]
    Damaged(#[source] journal::Error),
    /// The spool has stopped until it is opened anew. What was asked may or may not have been done.
    #[error("the spool has stopped: {0}")]
    Stopped(#[source] journal::Error),
    /// A record of our own could not be read back when it was applied.
    #[error("the spool does not understand its own record")]
    NotUnderstood,
    /// Anything else.
    #[error("the spool does not work: {0}")]
    Failed(#[source] journal::Error),
}

impl From<journal::Error> for SpoolError {
    fn from(error: journal::Error) -> Self {
        match error {
            journal::Error::DiskFull { .. } | journal::Error::Overloaded { .. } => Self::Full(error),
            journal::Error::Corrupt { .. } => Self::Damaged(error),
            journal::Error::SyncFailed(_) | journal::Error::Follower(_) | journal::Error::Closed => {
                Self::Stopped(error)
            }
            _ => Self::Failed(error),
        }
    }
}
