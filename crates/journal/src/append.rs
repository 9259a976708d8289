//! What an append resolves to.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use crate::{body::BodyRef, error::Error, position::Position};

/// A record that is durable and applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended<T> {
    /// Where it stands.
    pub position: Position,
    /// Where its body lies.
    pub body: BodyRef,
    /// What the follower returned for it.
    pub output: T,
}

/// The end of the committer that completes an [`Append`].
pub(crate) type Completion<T> = oneshot::Sender<Result<Appended<T>, Error>>;

/// An append on its way; resolves when the record is durable and the follower has applied it.
///
/// The record's place in the log was taken when the append was called. Dropping this does not take the record
/// back.
#[derive(Debug)]
#[must_use = "the record is durable only once this resolves"]
pub struct Append<T> {
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Refused(Option<Error>),
    Waiting(oneshot::Receiver<Result<Appended<T>, Error>>),
}

impl<T> Append<T> {
    pub(crate) fn waiting() -> (Completion<T>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self { state: State::Waiting(receiver) })
    }

    pub(crate) fn refused(error: Error) -> Self {
        Self { state: State::Refused(Some(error)) }
    }

    /// Blocks the calling thread until the append is done. Panics on a thread that drives async tasks.
    pub fn wait(self) -> Result<Appended<T>, Error> {
        match self.state {
            State::Refused(error) => Err(error.unwrap_or(Error::Closed)),
            State::Waiting(receiver) => receiver.blocking_recv().unwrap_or(Err(Error::Closed)),
        }
    }
}

// Nothing in it is ever pinned.
impl<T> Unpin for Append<T> {}

impl<T> Future for Append<T> {
    type Output = Result<Appended<T>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Refused(error) => Poll::Ready(Err(error.take().unwrap_or(Error::Closed))),
            State::Waiting(receiver) => {
                Pin::new(receiver).poll(context).map(|result| result.unwrap_or(Err(Error::Closed)))
            }
        }
    }
}
