//! The replies that this node gives itself.

use proto::mail::Reply;
use service::smtp::envelope;

/// A reply of our own. `enhanced` is an enhanced status code such as `5.1.1`.
pub(crate) fn reply(code: u32, enhanced: &str, text: impl Into<String>) -> Reply {
    Reply { code, enhanced: enhanced.into(), text: text.into() }
}

/// The domain is ours, the user does not exist.
pub(crate) fn unknown_user() -> Reply {
    reply(550, "5.1.1", "no such user here")
}

/// The address is an alias with nobody behind it.
pub(crate) fn leads_nowhere() -> Reply {
    reply(550, "5.4.6", "this address leads nowhere, or in a circle")
}

/// A service of our own is away.
pub(crate) fn unavailable(why: &str) -> Reply {
    reply(451, "4.3.0", format!("temporarily unavailable: {why}"))
}

/// Octets of text that are kept of a reply beside each recipient.
const KEPT_TEXT: usize = 500;

/// The reply with no more text than can be kept for every recipient in the queue. RFC 5321 §4.5.3.1.5 allows 512 octets
/// a line; a server can send many.
pub(crate) fn shortened(reply: &Reply) -> Reply {
    let end = reply.text.floor_char_boundary(KEPT_TEXT);
    Reply { text: reply.text[..end].to_owned(), enhanced: reply.enhanced.clone(), code: reply.code }
}

/// What a peer said. It is told to every recipient and of every host, so that it is [`shortened`] where it comes in.
pub(crate) fn heard(said: &smtp::Reply) -> Reply {
    shortened(&envelope::from_wire(said))
}

/// Octets that are kept of what else there is to tell of an attempt.
const KEPT_DETAIL: usize = 2_000;

/// What there is to tell, in one text: as much as can be told for every recipient.
pub(crate) fn detail(told: &[String]) -> String {
    let mut detail = told.join("; ");
    detail.truncate(detail.floor_char_boundary(KEPT_DETAIL));
    detail
}

/// On one line, for a log.
pub(crate) fn line(reply: &Reply) -> String {
    let space = if reply.enhanced.is_empty() { "" } else { " " };
    format!("{}{space}{} {}", reply.code, reply.enhanced, reply.text.replace('\n', " / "))
}
