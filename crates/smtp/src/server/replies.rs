//! What the server says of its own accord.

use crate::reply::Reply;

pub(super) const OK: Reply = Reply::fixed(250, 0, 0, "OK");
pub(super) const QUIT: Reply = Reply::fixed(221, 0, 0, "Bye");
pub(super) const VRFY: Reply = Reply::fixed(252, 1, 0, "Send a message, and see");
pub(super) const HELP: Reply = Reply::fixed(214, 0, 0, "See RFC 5321");
pub(super) const START_TLS: Reply = Reply::fixed(220, 0, 0, "Go ahead");
pub(super) const START_MESSAGE: Reply = Reply::plain(354, "End with <CRLF>.<CRLF>");

pub(super) const NO_HELLO: Reply = Reply::fixed(503, 5, 1, "Send EHLO first");
pub(super) const NO_MAIL: Reply = Reply::fixed(503, 5, 1, "Send MAIL first");
pub(super) const NO_RCPT: Reply = Reply::fixed(503, 5, 1, "Send RCPT first");
pub(super) const NO_VALID_RCPT: Reply = Reply::fixed(554, 5, 1, "No valid recipients");
pub(super) const NESTED_MAIL: Reply = Reply::fixed(503, 5, 1, "A message is under way: send RSET to drop it");
pub(super) const CHUNKS_BEGUN: Reply = Reply::fixed(503, 5, 1, "The message has begun with BDAT");
pub(super) const BINARY_NEEDS_BDAT: Reply = Reply::fixed(503, 5, 1, "BINARYMIME needs BDAT");
pub(super) const UNTRUSTED_PROXY: Reply = Reply::fixed(550, 7, 0, "You are no proxy of ours");
pub(super) const XCLIENT_IN_TRANSACTION: Reply = Reply::fixed(503, 5, 1, "XCLIENT must come before MAIL");
pub(super) const NEEDS_TLS: Reply = Reply::fixed(530, 7, 0, "Send STARTTLS first");
pub(super) const NEEDS_AUTH: Reply = Reply::fixed(530, 7, 0, "Authentication required");
pub(super) const TOO_MANY_RECIPIENTS: Reply =
    Reply::fixed(452, 5, 3, "Too many recipients: send again to the rest");
pub(super) const TOO_LARGE: Reply = Reply::fixed(552, 3, 4, "Message too large");
pub(super) const BARE_LINE_END: Reply = Reply::fixed(550, 6, 0, "Message holds a CR or LF that stands alone");
pub(super) const NEEDS_SMTPUTF8: Reply = Reply::fixed(553, 6, 7, "This address needs SMTPUTF8 in MAIL");

pub(super) const NO_START_TLS: Reply = Reply::fixed(502, 5, 1, "STARTTLS not offered");
pub(super) const TLS_ALREADY: Reply = Reply::fixed(503, 5, 1, "TLS is in use already");
pub(super) const TLS_TOO_LATE: Reply = Reply::fixed(503, 5, 1, "STARTTLS must come before AUTH");
pub(super) const NO_AUTH: Reply = Reply::fixed(502, 5, 1, "AUTH not offered");
/// RFC 4954 §6.
pub(super) const AUTH_NEEDS_TLS: Reply = Reply::fixed(538, 7, 11, "AUTH needs TLS");
pub(super) const AUTH_ALREADY: Reply = Reply::fixed(503, 5, 1, "Authenticated already");
pub(super) const AUTH_IN_TRANSACTION: Reply = Reply::fixed(503, 5, 1, "AUTH must come before MAIL");
pub(super) const UNKNOWN_MECHANISM: Reply = Reply::fixed(504, 5, 4, "Mechanism not offered");

pub(super) const EARLY_TALKER: Reply = Reply::fixed(554, 5, 0, "Wait for the greeting");
pub(super) const OUT_OF_STEP: Reply = Reply::fixed(554, 5, 0, "Wait for the reply before sending more");
pub(super) const HTTP: Reply = Reply::fixed(554, 5, 0, "This is no web server");
pub(super) const BARE_LF: Reply = Reply::fixed(500, 5, 2, "Lines end in CRLF");
pub(super) const ENDLESS_LINE: Reply = Reply::fixed(421, 5, 2, "Line without end");
pub(super) const TOO_MANY_ERRORS: Reply = Reply::fixed(421, 7, 0, "Too many errors");
pub(super) const TOO_MANY_REFUSALS: Reply = Reply::fixed(421, 7, 0, "Too many addresses refused");
pub(super) const TOO_MANY_AUTH_FAILURES: Reply = Reply::fixed(421, 7, 0, "Too many failed authentications");
pub(super) const TOO_MANY_IDLE_COMMANDS: Reply =
    Reply::fixed(421, 7, 0, "Too many commands without a message");
pub(super) const TOO_MANY_MESSAGES: Reply =
    Reply::fixed(421, 5, 0, "Enough messages: connect again for more");
