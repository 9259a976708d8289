//! Reading the events of one node.

use std::time::Duration;

use proto::mta::events_client::EventsClient;
use proto::mta::{WatchRequest, WatchResponse};
use tonic::{Code, Streaming};

use crate::console::Console;
use crate::failure::Failure;
use crate::happenings::Happening;
use crate::pipeline::{self, Credentials, Node, status};

/// The wait before a node that went away is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// What the user wants to see.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Begin with what happens from now on.
    pub(super) only_new: bool,
    /// End with what has happened so far.
    pub(super) until_now: bool,
    /// Numbers of kinds; none for all.
    pub(super) kinds: Vec<i32>,
}

/// An event with its offset.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) offset: String,
    pub(super) happening: Happening,
}

/// Reads the events of a node.
pub(super) struct Reader {
    pub(super) node: Node,
    /// The last event that was told; empty before the first.
    pub(super) after: String,
    credentials: Credentials,
    wanted: Wanted,
    stream: Option<Streaming<WatchResponse>>,
    console: Console,
}

/// Why there is no next event.
struct Broken {
    failure: Failure,
    /// The node may be back soon.
    may_pass: bool,
}

impl Reader {
    /// Begins behind `after`, or where `wanted` says if that is empty.
    pub(super) fn new(
        (node, after): (Node, String),
        credentials: Credentials,
        wanted: Wanted,
        console: Console,
    ) -> Self {
        Self { node, after, credentials, wanted, stream: None, console }
    }

    /// The next event, waited for; `None` at the end. A node that goes away while its events are followed is asked again
    /// until it is back.
    pub(super) async fn next(&mut self) -> Result<Option<Told>, Failure> {
        let mut warned = false;
        loop {
            match self.ask().await {
                Ok(Some(told)) => return Ok(Some(told)),
                Ok(None) if self.wanted.until_now => return Ok(None),
                Ok(None) => {}
                // One that was never there, or is left before its first event, is told of at once.
                Err(broken) if !broken.may_pass || self.wanted.until_now || self.after.is_empty() => {
                    return Err(broken.failure);
                }
                Err(_) if warned => {}
                Err(broken) => {
                    self.console.warn(format_args!("waiting for {}: {}", self.node.name, broken.failure));
                    warned = true;
                }
            }
            self.stream = None;
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn ask(&mut self) -> Result<Option<Told>, Broken> {
        let name = &self.node.name;
        let broken = |error: tonic::Status| Broken {
            failure: status(format!("cannot read the events of {name}"), &error),
            may_pass: !matches!(
                error.code(),
                Code::OutOfRange | Code::InvalidArgument | Code::PermissionDenied
            ),
        };
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let channel = pipeline::channel(&self.node.address, &self.credentials).await;
                let channel = channel.map_err(|failure| Broken { failure, may_pass: true })?;
                let request = WatchRequest {
                    after: self.after.clone(),
                    only_new: self.wanted.only_new && self.after.is_empty(),
                    until_now: self.wanted.until_now,
                    kinds: self.wanted.kinds.clone(),
                };
                let answer = EventsClient::new(channel).watch(request).await.map_err(broken)?;
                self.stream.insert(answer.into_inner())
            }
        };
        let next = stream.message().await.map_err(broken)?;
        Ok(next.map(|WatchResponse { event, offset }| {
            self.after.clone_from(&offset);
            Told { offset, happening: Happening::new(name.clone(), event.unwrap_or_default()) }
        }))
    }
}
