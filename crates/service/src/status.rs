//! The one table between gRPC status, SMTP reply (RFC 5321 §4.2) and enhanced status code (RFC 3463).
//!
//! A reply that one service gives another travels whole, in the status' metadata, so that the text an MTA or a remote
//! host wrote reaches the person who sent the message. A status without it is translated by the table.

use prost::Message as _;
use proto::mail::Reply;
use tonic::{
    Code, Status,
    metadata::{BinaryMetadataValue, MetadataMap},
};

#[cfg(test)]
mod tests;

/// Carries the encoded [`Reply`].
const REPLY: &str = "waypost-reply-bin";

/// What each status means in SMTP. Where it does not say whether trying again would help, it is temporary: mail is
/// kept rather than returned.
const TABLE: [(Code, u32, &str); 17] = [
    (Code::Ok, 250, "2.0.0"),
    (Code::Cancelled, 451, "4.3.0"),
    (Code::Unknown, 451, "4.3.0"),
    (Code::InvalidArgument, 550, "5.6.0"),
    (Code::DeadlineExceeded, 451, "4.4.2"),
    (Code::NotFound, 550, "5.1.1"),
    (Code::AlreadyExists, 550, "5.5.0"),
    (Code::PermissionDenied, 550, "5.7.1"),
    (Code::ResourceExhausted, 452, "4.3.1"),
    (Code::FailedPrecondition, 554, "5.5.0"),
    (Code::Aborted, 451, "4.3.0"),
    (Code::OutOfRange, 552, "5.3.4"),
    (Code::Unimplemented, 451, "4.3.5"),
    (Code::Internal, 451, "4.3.0"),
    (Code::Unavailable, 451, "4.4.1"),
    (Code::DataLoss, 451, "4.3.0"),
    (Code::Unauthenticated, 535, "5.7.8"),
];

/// What an SMTP client is told about a status: the reply that it carries, else what the table says, with the status'
/// message as text.
pub fn reply_for(status: &Status) -> Reply {
    carried(status.metadata()).unwrap_or_else(|| {
        let (code, enhanced) = in_smtp(status.code());
        Reply { code, enhanced: enhanced.to_owned(), text: text_of(status) }
    })
}

/// The status for a reply; it carries the reply.
pub fn status_for(reply: &Reply) -> Status {
    with_reply(in_grpc(reply), reply)
}

/// A status of the given code that carries a reply: for when the table's code says less than the service knows.
pub fn with_reply(code: Code, reply: &Reply) -> Status {
    let enhanced = if reply.enhanced.is_empty() { String::new() } else { format!(" {}", reply.enhanced) };
    attach(Status::new(code, format!("{}{enhanced} {}", reply.code, reply.text)), reply)
}

/// The status with a reply to carry, its own message kept.
pub fn attach(mut status: Status, reply: &Reply) -> Status {
    let value = BinaryMetadataValue::from_bytes(&reply.encode_to_vec());
    status.metadata_mut().insert_bin(REPLY, value);
    status
}

/// The reply for a code alone: basic code and enhanced code.
pub fn in_smtp(code: Code) -> (u32, &'static str) {
    let row = TABLE.iter().find(|(row, ..)| *row == code);
    row.map_or((451, "4.3.0"), |(_, basic, enhanced)| (*basic, *enhanced))
}

/// The gRPC code for a reply: by its enhanced code where that is telling, else by its first digit.
fn in_grpc(reply: &Reply) -> Code {
    match (reply.code, reply.enhanced.as_str()) {
        (200..=399, _) => Code::Ok,
        (_, "5.1.1" | "5.1.2" | "5.1.10") => Code::NotFound,
        (530 | 535, _) | (_, "5.7.8") => Code::Unauthenticated,
        (_, "5.7.1") => Code::PermissionDenied,
        (_, "5.3.4") | (552, _) => Code::OutOfRange,
        (_, "5.3.3") | (502 | 504, _) | (554, "5.5.0") => Code::FailedPrecondition,
        (_, "4.4.2") => Code::DeadlineExceeded,
        (452, _) | (_, "4.3.1" | "4.3.2" | "4.5.3") => Code::ResourceExhausted,
        (400..=499, _) => Code::Unavailable,
        _ => Code::InvalidArgument,
    }
}

fn carried(metadata: &MetadataMap) -> Option<Reply> {
    let bytes = metadata.get_bin(REPLY)?.to_bytes().ok()?;
    let reply = Reply::decode(bytes).ok()?;
    // RFC 5321 §4.2: what is no reply must not reach a client as one.
    (200..=599).contains(&reply.code).then_some(reply)
}

/// One line: a status' message may hold anything.
fn text_of(status: &Status) -> String {
    if status.message().is_empty() {
        return status.code().description().to_owned();
    }
    status.message().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
