//! COMPRESS (RFC 4978).

use super::{Done, Failure, Outcome, Session, bad};
use crate::imap::wire::Ended;
use crate::store::MailStore;

impl<S: MailStore> Session<S> {
    /// Everything behind the tagged OK is compressed. What a client sent before it could know that is neither
    /// compressed for sure, nor for sure not.
    pub(super) async fn compress(&mut self, tag: &str, mechanism: &str) -> Done {
        if mechanism != "DEFLATE" {
            return Err(bad("the only mechanism is DEFLATE"));
        }
        if self.wire.is_compressed() {
            let outcome = Outcome::bad("the connection is compressed already");
            return Err(Failure::Refused(outcome.with_code("COMPRESSIONACTIVE")));
        }
        if self.wire.has_more_input() {
            return Err(Failure::Ended(Ended::Bye("nothing may follow COMPRESS before it is answered")));
        }
        self.wire.responses.tagged(tag, &Outcome::ok("DEFLATE active"));
        self.wire.flush().await?;
        self.wire.compress(&self.shared.deflaters);
        Err(Failure::Answered)
    }
}
