//! The story of each message: what `Queue.Trace` tells, also of messages that have long left, and what `Events.Watch`
//! streams.
//!
//! A journal of its own, off the delivery path: nothing waits for it, for the spool and the mail store hold the truth.
//! A crash takes the events of its last second at most (the journal's `relaxed_sync_after`); an end by SIGTERM takes
//! none. Readers are told of an event once it is on stable storage, so no crash takes back what they have seen. The
//! oldest events go when the log has grown to its size.

mod gap;
mod log;
mod offset;
mod record;
mod rpc;
mod segments;
mod story;
mod watch;

#[cfg(test)]
mod tests;

pub(crate) use log::Events;
pub(crate) use record::Details;
pub(crate) use rpc::EventsService;
pub(crate) use story::Story;
