//! What is announced (RFC 9051 §6.1.1), and what is hidden from clients that cannot bear it.
//!
//! What is hidden is not there at all: it is neither announced nor enabled, its command, item, option or search key is
//! not known, and no response code tells of it.

mod origin;

#[cfg(test)]
mod tests;

use sasl::Mechanism;

use super::{Outcome, Session};
use crate::config::{HideConfig, Limits};
use crate::imap::parse::Command;
use crate::store::MailStore;

use origin::came_with;

/// Something that a client may rely on when it is announced.
struct Capability {
    name: &'static str,
    when: When,
}

/// When a capability is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Always, and before all others: some clients look at the first word only.
    Protocol,
    Always,
    BeforeLogin,
    LoggedIn,
    /// While TLS can be started.
    TlsToCome,
    /// While the client may log in by this mechanism.
    LoginBy(Mechanism),
    /// While it may not by its password.
    LoginDisabled,
    /// While the other is hidden (RFC 7888 §5: never both).
    InsteadOf(&'static str),
}

/// All that works, and nothing else; a line each, sorted by name.
const CAPABILITIES: &[Capability] = &[
    announced("ACL", When::LoggedIn),
    announced("APPENDLIMIT", When::LoggedIn),
    announced("AUTH=EXTERNAL", When::LoginBy(Mechanism::External)),
    announced("AUTH=LOGIN", When::LoginBy(Mechanism::Login)),
    announced("AUTH=OAUTHBEARER", When::LoginBy(Mechanism::OAuthBearer)),
    announced("AUTH=PLAIN", When::LoginBy(Mechanism::Plain)),
    announced("AUTH=SCRAM-SHA-1", When::LoginBy(Mechanism::ScramSha1)),
    announced("AUTH=SCRAM-SHA-1-PLUS", When::LoginBy(Mechanism::ScramSha1Plus)),
    announced("AUTH=SCRAM-SHA-256", When::LoginBy(Mechanism::ScramSha256)),
    announced("AUTH=SCRAM-SHA-256-PLUS", When::LoginBy(Mechanism::ScramSha256Plus)),
    announced("AUTH=XOAUTH2", When::LoginBy(Mechanism::XOAuth2)),
    announced("BINARY", When::LoggedIn),
    announced("CATENATE", When::LoggedIn),
    announced("CHILDREN", When::LoggedIn),
    announced("COMPRESS=DEFLATE", When::LoggedIn),
    announced("CONDSTORE", When::LoggedIn),
    announced("CONTEXT=SEARCH", When::LoggedIn),
    announced("CONTEXT=SORT", When::LoggedIn),
    announced("CREATE-SPECIAL-USE", When::LoggedIn),
    announced("ENABLE", When::Always),
    announced("ESEARCH", When::LoggedIn),
    announced("ESORT", When::LoggedIn),
    announced("ID", When::Always),
    announced("IDLE", When::LoggedIn),
    announced("IMAP4rev1", When::Protocol),
    announced("IMAP4rev2", When::Protocol),
    announced("INPROGRESS", When::LoggedIn),
    announced("LIST-EXTENDED", When::LoggedIn),
    announced("LIST-METADATA", When::LoggedIn),
    announced("LIST-MYRIGHTS", When::LoggedIn),
    announced("LIST-STATUS", When::LoggedIn),
    announced("LITERAL+", When::Always),
    announced("LITERAL-", When::InsteadOf("LITERAL+")),
    announced("LOGINDISABLED", When::LoginDisabled),
    announced("METADATA", When::LoggedIn),
    announced("MOVE", When::LoggedIn),
    announced("MULTIAPPEND", When::LoggedIn),
    announced("MULTISEARCH", When::LoggedIn),
    announced("NAMESPACE", When::LoggedIn),
    announced("NOTIFY", When::LoggedIn),
    announced("OBJECTID", When::LoggedIn),
    announced("PARTIAL", When::LoggedIn),
    announced("PREVIEW", When::LoggedIn),
    announced("QRESYNC", When::LoggedIn),
    announced("QUOTA", When::LoggedIn),
    announced("QUOTA=RES-MESSAGE", When::LoggedIn),
    announced("QUOTA=RES-STORAGE", When::LoggedIn),
    announced("REPLACE", When::LoggedIn),
    announced("RIGHTS=texk", When::LoggedIn),
    announced("SASL-IR", When::BeforeLogin),
    announced("SAVEDATE", When::LoggedIn),
    announced("SEARCHRES", When::LoggedIn),
    announced("SORT", When::LoggedIn),
    announced("SORT=DISPLAY", When::LoggedIn),
    announced("SPECIAL-USE", When::LoggedIn),
    announced("STARTTLS", When::TlsToCome),
    announced("STATUS=SIZE", When::LoggedIn),
    announced("THREAD=ORDEREDSUBJECT", When::LoggedIn),
    announced("THREAD=REFERENCES", When::LoggedIn),
    announced("THREAD=REFS", When::LoggedIn),
    announced("UIDONLY", When::LoggedIn),
    announced("UIDPLUS", When::LoggedIn),
    announced("UNAUTHENTICATE", When::LoggedIn),
    announced("UNSELECT", When::LoggedIn),
    announced("UTF8=ACCEPT", When::LoggedIn),
    announced("WITHIN", When::LoggedIn),
];

const fn announced(name: &'static str, when: When) -> Capability {
    Capability { name, when }
}

/// Without these there would be no session at all.
const PERMANENT: [&str; 2] = ["IMAP4rev1", "LOGINDISABLED"];

/// Whether an operator may hide a capability of this name.
pub(crate) fn can_be_hidden(name: &str) -> bool {
    place(name).is_some() && !PERMANENT.iter().any(|permanent| permanent.eq_ignore_ascii_case(name))
}

/// Where a capability stands in the table; names have no case (RFC 9051 §7.2.2).
fn place(name: &str) -> Option<usize> {
    CAPABILITIES.iter().position(|capability| capability.name.eq_ignore_ascii_case(name))
}

/// Capabilities that a session's client is not to see: a bit for each line of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hidden(u128);

// A bit for each line.
const _: () = assert!(CAPABILITIES.len() <= u128::BITS as usize);

impl Hidden {
    fn hide(&mut self, name: &str) {
        if let Some(place) = place(name) {
            self.0 |= 1 << place;
        }
    }

    /// What is not in the table is nobody's to hide.
    fn hides(self, name: &str) -> bool {
        self.0 != 0 && place(name).is_some_and(|place| self.has(place))
    }

    fn has(self, place: usize) -> bool {
        self.0 & (1 << place) != 0
    }
}

/// What a client says it is (RFC 2971), as far as something depends on it.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) name: Box<str>,
    pub(super) version: Box<str>,
}

impl<S: MailStore> Session<S> {
    pub(super) fn capability(&mut self) -> Outcome {
        let capabilities = self.capabilities();
        self.wire.responses.raw("* CAPABILITY ").raw(&capabilities).crlf();
        Outcome::ok("CAPABILITY completed")
    }

    pub(super) fn capabilities(&self) -> String {
        let (first, others): (Vec<_>, Vec<_>) = CAPABILITIES
            .iter()
            .enumerate()
            .filter(|(place, capability)| !self.hidden.has(*place) && self.is_time_for(capability.when))
            .map(|(_, capability)| capability)
            .partition(|capability| capability.when == When::Protocol);
        let limits = &self.shared.options.limits;
        let names: Vec<String> = first.into_iter().chain(others).map(|one| text(one.name, limits)).collect();
        names.join(" ")
    }

    /// The client may rely on this capability, or it is none of the table's.
    pub(super) fn offers(&self, name: &str) -> bool {
        !self.hidden.hides(name)
    }

    /// A command, or part of one, that came with a capability is unknown where that is hidden.
    pub(super) fn knows(&self, command: &Command) -> bool {
        match command {
            // One that is hidden is refused as one that is unknown (RFC 9051 §6.2.2).
            Command::Authenticate { .. } => true,
            _ if self.hidden == Hidden::default() => true,
            command => {
                came_with(command).into_iter().all(|names| names.split('|').any(|name| self.offers(name)))
            }
        }
    }

    fn is_time_for(&self, when: When) -> bool {
        match when {
            When::Protocol | When::Always => true,
            When::BeforeLogin => self.account.is_none(),
            When::LoggedIn => self.account.is_some(),
            When::TlsToCome => self.may_start_tls(),
            When::LoginBy(mechanism) => self.account.is_none() && self.may_log_in_by(mechanism),
            When::LoginDisabled => self.account.is_none() && !self.may_log_in_by(Mechanism::Plain),
            When::InsteadOf(other) => !self.offers(other),
        }
    }

    /// To be called whenever the client's network, its name for itself or its account has become known.
    pub(super) fn choose_hidden(&mut self, account: Option<&str>) {
        let mut hidden = Hidden::default();
        for rule in self.shared.options.hide.iter().filter(|rule| self.concerns(rule, account)) {
            rule.capabilities.iter().for_each(|name| hidden.hide(name));
        }
        self.hidden = hidden;
    }

    fn concerns(&self, rule: &HideConfig, account: Option<&str>) -> bool {
        let named = |pattern: &str, name: &str| pattern.is_empty() || matches(pattern, name);
        (rule.networks.is_empty() || rule.networks.iter().any(|network| network.contains(self.peer.ip())))
            && (rule.accounts.is_empty()
                || account
                    .is_some_and(|name| rule.accounts.iter().any(|rule| rule.eq_ignore_ascii_case(name))))
            && named(&rule.client, &self.client.name)
            && named(&rule.version, &self.client.version)
    }
}

fn text(name: &str, limits: &Limits) -> String {
    match name {
        // RFC 7889 §3: the same limit for all mailboxes.
        "APPENDLIMIT" => format!("{name}={}", *limits.message_size),
        name => name.to_owned(),
    }
}

/// Whether a name fits a pattern with `*` for anything, in any case.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}
