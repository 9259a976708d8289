//! What travels beside every call about one message: its id, and the W3C trace context.

use std::{fmt, str::FromStr};

use message::MessageId;
use tonic::metadata::{MetadataMap, MetadataValue};

/// Carries the message's id.
pub const MESSAGE_ID: &str = "waypost-message-id";
/// Carries the trace context (W3C Trace Context §3.2).
pub const TRACEPARENT: &str = "traceparent";

/// A position in a distributed trace (W3C Trace Context §3.2.2), version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The whole trace; not zero.
    pub trace_id: u128,
    /// The caller's span; not zero.
    pub parent_id: u64,
    /// Bit 0: the caller records this trace.
    pub flags: u8,
}

/// A text that is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// A new trace.
    pub fn generate() -> Self {
        Self { trace_id: fastrand::u128(1..), parent_id: fastrand::u64(1..), flags: 1 }
    }

    /// A new span in the same trace.
    pub fn child(self) -> Self {
        Self { parent_id: fastrand::u64(1..), ..self }
    }

    /// The trace that a call belongs to: a new one if the caller named none that can be read.
    pub fn of(metadata: &MetadataMap) -> Self {
        metadata
            .get(TRACEPARENT)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(Self::generate)
    }
}

/// Names the message and the trace that a call is about.
pub fn attach(metadata: &mut MetadataMap, message_id: &MessageId, trace: TraceParent) {
    insert(metadata, MESSAGE_ID, &message_id.to_string());
    insert(metadata, TRACEPARENT, &trace.to_string());
}

/// The message that a call is about, if it says so.
pub fn message_id(metadata: &MetadataMap) -> Option<MessageId> {
    metadata.get(MESSAGE_ID)?.to_str().ok()?.parse().ok()
}

fn insert(metadata: &mut MetadataMap, key: &'static str, text: &str) {
    // Both texts are hexadecimal digits and hyphens.
    if let Ok(value) = MetadataValue::try_from(text) {
        metadata.insert(key, value);
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let mut fields = text.split('-');
        let version = hexadecimal(fields.next(), 2)?;
        let trace_id = hexadecimal(fields.next(), 32)?;
        let parent_id = hexadecimal(fields.next(), 16)?;
        let flags = hexadecimal(fields.next(), 2)?;
        // Version 00 has no more fields; a later one may, and is read as far as it is known (§4.3). ff is forbidden.
        if version == 0xff || (version == 0 && fields.next().is_some()) || trace_id == 0 || parent_id == 0 {
            return Err(InvalidTraceParent);
        }
        Ok(Self { trace_id, parent_id: parent_id as u64, flags: flags as u8 })
    }
}

/// Exactly so many lower-case hexadecimal digits.
fn hexadecimal(field: Option<&str>, digits: usize) -> Result<u128, InvalidTraceParent> {
    let field = field.ok_or(InvalidTraceParent)?;
    let valid = field.len() == digits && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !valid {
        return Err(InvalidTraceParent);
    }
    u128::from_str_radix(field, 16).map_err(|_| InvalidTraceParent)
}
