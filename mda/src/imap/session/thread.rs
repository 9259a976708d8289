//! THREAD and UID THREAD (RFC 5256 §3).

use message::header;
use message::thread::{Algorithm, Forest, NodeId, Threadable, thread};

use super::search::OUTLINES;
use super::sort::sent;
use super::{Done, Failure, NO_UIDS, Outcome, Session};
use crate::imap::parse::Thread;
use crate::store::{MailStore, Row, Uid};

/// What is left to be written of a thread.
enum Rest {
    /// A message and what is below it; the text before it is its separator.
    Node(&'static str, NodeId),
    /// The end of a list.
    Close,
}

/// The fields that threads are made of, each once, and no longer than is of use: all messages are held at once.
fn shortened(block: &[u8]) -> Vec<u8> {
    let mut short = Vec::new();
    for (name, at_most) in
        [("Subject", 1024), ("Message-ID", 1024), ("In-Reply-To", 1024), ("References", 8 * 1024)]
    {
        let Some(value) = header::first(block, name) else { continue };
        let cut = value.len().saturating_sub(at_most);
        // The last references say the most, elsewhere the beginning does.
        let value = if name == "References" { &value[cut..] } else { &value[..value.len() - cut] };
        short.extend_from_slice(format!("{name}: ").as_bytes());
        short.extend_from_slice(value.trim_ascii());
        short.extend_from_slice(b"\r\n");
    }
    short
}

impl<S: MailStore> Session<S> {
    pub(super) async fn thread(&mut self, tag: &str, uid: bool, command: Thread) -> Done {
        let algorithm = command.algorithm;
        self.catch_up(NO_UIDS).await?;
        let (found, _) = self.find(tag, command.search).await?;
        let (uids, messages) = self.threadable(&found, algorithm).await?;
        // Linking may take long.
        let forest = tokio::task::spawn_blocking(move || thread(&messages, algorithm)).await;
        let forest = forest.map_err(|error| {
            tracing::error!(%error, "messages were not threaded");
            Failure::Refused(Outcome::no("UNAVAILABLE", "the messages cannot be threaded now"))
        })?;
        let mut numbers = uids;
        if !uid {
            let view = self.view()?;
            for number in &mut numbers {
                *number = view.number(*number).unwrap_or(0);
            }
        }
        self.wire.responses.raw("* THREAD");
        let mut separator = " ";
        for root in forest.roots() {
            self.wire.responses.raw(std::mem::take(&mut separator));
            self.tell_thread(&forest, *root, &numbers);
            self.wire.relieve_within().await?;
        }
        self.wire.responses.crlf();
        Ok(Outcome::ok("THREAD completed"))
    }

    /// What threads are made of, with the UIDs of the messages, which are still there.
    async fn threadable(
        &self,
        uids: &[Uid],
        algorithm: Algorithm,
    ) -> Result<(Vec<Uid>, Vec<Threadable>), Failure> {
        let (mut there, mut messages) = (Vec::with_capacity(uids.len()), Vec::with_capacity(uids.len()));
        for batch in uids.chunks(OUTLINES) {
            let rows = self.rows_of(batch)?;
            let visit = |row: &Row, fields: &[u8]| {
                let date = match algorithm {
                    Algorithm::Refs => row.internal_date.as_second(),
                    Algorithm::OrderedSubject | Algorithm::References => sent(fields, row),
                };
                there.push(row.uid);
                messages.push(Threadable::new(&shortened(fields), date));
            };
            self.visit_fields(&rows, visit).await?;
        }
        Ok((there, messages))
    }

    /// `thread-list`. A thread may be as deep as it is long, so this does not recurse.
    fn tell_thread(&mut self, forest: &Forest, root: NodeId, numbers: &[u32]) {
        let responses = &mut self.wire.responses;
        let mut rest = vec![Rest::Close, Rest::Node("(", root)];
        while let Some(next) = rest.pop() {
            let Rest::Node(before, node) = next else {
                responses.raw(")");
                continue;
            };
            responses.raw(before);
            let message = forest.message(node);
            if let Some(message) = message {
                responses.number(numbers[message]);
            }
            match forest.children(node) {
                [] => {}
                [only] => rest.push(Rest::Node(" ", *only)),
                several => {
                    responses.raw(if message.is_some() { " " } else { "" });
                    for child in several.iter().rev() {
                        rest.push(Rest::Close);
                        rest.push(Rest::Node("(", *child));
                    }
                }
            }
        }
    }
}
