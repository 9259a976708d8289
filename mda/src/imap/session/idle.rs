//! IDLE (RFC 9051 §6.3.13).

use super::{Done, Outcome, Session, Tidings, bad};
use crate::store::MailStore;

impl<S: MailStore> Session<S> {
    /// Tells news the moment they are there, until the client says DONE.
    pub(super) async fn idle(&mut self) -> Done {
        self.wire.responses.continuation("idling");
        loop {
            self.tell_all(Tidings::All).await?;
            if let Some(line) = self.wire.buffered_line()? {
                return if line.eq_ignore_ascii_case(b"DONE") {
                    Ok(Outcome::ok("IDLE completed"))
                } else {
                    Err(bad("expected DONE"))
                };
            }
            self.wire.flush().await?;
            self.wait_for_news().await?;
        }
    }
}
