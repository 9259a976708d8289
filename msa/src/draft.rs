//! A message while it is submitted: its header is checked and completed (RFC 6409 §8), its lines are checked, and it
//! flows on. Holds no more than the header.

use bytes::{Bytes, BytesMut};
use message::completion::{Completion, HeaderError};
use message::header::{EndFinder, MAX_HEADER};
use message::lines::{LineChecker, LineError};
use proto::mail::Reply;

/// A message on its way through.
pub(crate) struct Draft {
    /// This host's trace field: stands before everything else.
    trace: String,
    state: State,
}

enum State {
    Header { block: BytesMut, end: EndFinder },
    Body(LineChecker),
}

impl Draft {
    pub(crate) fn new(trace: String) -> Self {
        Self { trace, state: State::Header { block: BytesMut::new(), end: EndFinder::default() } }
    }

    /// Takes the next octets; gives what can go on.
    pub(crate) fn push(
        &mut self,
        completion: &Completion<'_>,
        mut chunk: Bytes,
    ) -> Result<Vec<Bytes>, Reply> {
        match &mut self.state {
            State::Body(lines) => {
                lines.push(&chunk).map_err(|error| refused_line(&error))?;
                Ok(vec![chunk])
            }
            State::Header { block, end } => {
                let Some(length) = end.push(&chunk) else {
                    block.extend_from_slice(&chunk);
                    if block.len() > MAX_HEADER {
                        return Err(refused_header(&HeaderError::TooLarge));
                    }
                    return Ok(Vec::new());
                };
                block.extend_from_slice(&chunk.split_to(length));
                let header = self.complete(completion)?;
                let mut pieces = vec![header];
                if !chunk.is_empty() {
                    pieces.extend(self.push(completion, chunk)?);
                }
                Ok(pieces)
            }
        }
    }

    /// The message has ended; gives what is left of it.
    pub(crate) fn finish(mut self, completion: &Completion<'_>) -> Result<Option<Bytes>, Reply> {
        match &self.state {
            State::Body(_) => Ok(None),
            // A message may be all header (RFC 5322 §2.1).
            State::Header { .. } => self.complete(completion).map(Some),
        }
    }

    fn complete(&mut self, completion: &Completion<'_>) -> Result<Bytes, Reply> {
        let State::Header { block, .. } = &self.state else { return Ok(Bytes::new()) };
        let completed = completion.complete(block).map_err(|error| refused_header(&error))?;
        self.state = State::Body(completed.lines);
        Ok([self.trace.as_bytes(), &completed.header].concat().into())
    }
}

fn refused_header(error: &HeaderError) -> Reply {
    Reply { code: 554, enhanced: "5.6.0".into(), text: format!("message refused: {error}") }
}

fn refused_line(error: &LineError) -> Reply {
    Reply { code: 554, enhanced: "5.6.0".into(), text: format!("message refused: {error}") }
}

#[cfg(test)]
mod tests {
    use message::MessageId;
    use message::date::DateTime;

    use super::*;

    const TRACE: &str = "Received: from a by b\r\n";

    fn submit(message: &[u8], chunk: usize) -> Result<String, Reply> {
        let id = MessageId::new();
        let at = DateTime::from(id.timestamp());
        let completion = Completion { id, domain: "example.test", at, sender: None };
        let mut draft = Draft::new(TRACE.into());
        let mut out = Vec::new();
        for chunk in message.chunks(chunk) {
            for piece in draft.push(&completion, Bytes::copy_from_slice(chunk))? {
                out.extend_from_slice(&piece);
            }
        }
        out.extend_from_slice(&draft.finish(&completion)?.unwrap_or_default());
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_complete_message_only_gets_its_trace_however_it_arrives() {
        let message = "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nFrom: a@example.test\r\n\
                       Message-ID: <1@example.test>\r\n\r\nhello\r\n\r\n.dot\r\n";
        for chunk in [1, 2, 3, 7, 50, 1_000] {
            assert_eq!(submit(message.as_bytes(), chunk).unwrap(), format!("{TRACE}{message}"));
        }
    }

    #[test]
    fn what_is_missing_is_added_and_blind_copies_are_taken_out() {
        let sent = submit(b"From: a@example.test\r\nBcc: secret@example.test\r\n\r\nhello\r\n", 5).unwrap();
        assert!(sent.contains("\r\nDate: ") && sent.contains("\r\nMessage-ID: <"), "{sent}");
        assert!(!sent.contains("secret"), "{sent}");
        assert!(sent.ends_with("\r\n\r\nhello\r\n"), "{sent}");
    }

    #[test]
    fn a_message_of_header_only_is_whole() {
        let sent = submit(b"From: a@example.test\r\nSubject: all there is\r\n", 8).unwrap();
        assert!(sent.contains("Subject: all there is\r\n") && sent.contains("\r\nDate: "), "{sent}");
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_with_its_number() {
        let long = "x".repeat(999);
        let message = format!("From: a@example.test\r\n\r\n{long}\r\n");
        let refused = submit(message.as_bytes(), 100).unwrap_err();
        assert_eq!((refused.code, refused.enhanced.as_str()), (554, "5.6.0"));
        assert!(refused.text.contains("line 3"), "{}", refused.text);
    }

    #[test]
    fn a_header_without_end_is_refused_before_it_fills_the_memory() {
        let message = b"Subject: x\r\n".repeat(MAX_HEADER / 12 + 10);
        assert_eq!(submit(&message, 10_000).unwrap_err().code, 554);
    }
}
