//! UNAUTHENTICATE (RFC 8437): the connection is somebody else's now.

use super::enable::Enabled;
use super::{Done, Failure, Outcome, Session};
use crate::imap::LIMITS_BEFORE_LOGIN;
use crate::imap::wire::{Ended, Patience};
use crate::store::MailStore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

impl<S: MailStore> Session<S> {
    /// All is as before login, save TLS and what the client said of itself. The compression ends with the tagged OK
    /// (RFC 8437 §4.1); what was inflated behind the command may have been meant otherwise.
    pub(super) async fn unauthenticate(&mut self, tag: &str) -> Done {
        if self.wire.is_compressed() && self.wire.has_more_input() {
            return Err(Failure::Ended(Ended::Bye(
                "wait for the answer where the connection was compressed",
            )));
        }
        // Whoever logs out in that way takes no more room than others before login.
        let Ok(stranger) = self.shared.strangers.admit(self.peer.ip()) else {
            return Err(Failure::Ended(Ended::Bye(
                "too many connections of your network have not logged in",
            )));
        };
        self.stranger = stranger;
        self.account = None;
        self.stay = None;
        self.selected = None;
        self.enabled = Enabled::default();
        self.notify = None;
        self.errors = 0;
        self.choose_hidden(None);
        let login = Instant::now() + *self.shared.options.limits.login_timeout;
        let never = CancellationToken::new();
        self.wire.trust(LIMITS_BEFORE_LOGIN, Patience::Until(login), never);
        self.wire.responses.tagged(tag, &Outcome::ok("log in anew"));
        self.wire.flush().await?;
        self.wire.stop_compressing();
        Err(Failure::Answered)
    }
}
