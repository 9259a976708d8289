//! Who is there: ID, STARTTLS, LOGIN, AUTHENTICATE, LOGOUT.

use bytes::Bytes;
use sasl::Mechanism;

use super::capability::Client;
use super::{Done, Failure, Outcome, Session, bad};
use crate::auth::{self, AuthError, Progress, SaslError};
use crate::config::HideConfig;
use crate::imap::LIMITS_BEFORE_LOGIN;
use crate::imap::wire::{Ended, Patience};
use crate::metrics::{LoginOutcome, Protocol};
use crate::store::{Account, MailStore};

const NOT_BASE64: &str = "the response is not valid base64";

impl<S: MailStore> Session<S> {
    /// RFC 2971: who we are, without a version that would tell attackers more than clients.
    pub(super) fn identify(&mut self, fields: &[(Bytes, Option<Bytes>)]) -> Outcome {
        tracing::debug!(peer = %self.peer, client = ?fields, "client identified itself");
        if self.shared.options.hide.iter().any(HideConfig::asks_who_it_is) {
            self.client = Client { name: value(fields, "name"), version: value(fields, "version") };
            let account = self.account.and_then(|account| self.shared.store.account(account).ok());
            self.choose_hidden(account.as_ref().map(|account| account.name.as_str()));
        }
        self.wire.responses.raw("* ID (\"name\" \"Waypost\")").crlf();
        Outcome::ok("ID completed")
    }

    /// The tagged OK comes behind the BYE (RFC 9051 §6.1.3).
    pub(super) async fn logout(&mut self, tag: &str) -> Done {
        self.wire.responses.bye("until next time");
        self.wire.responses.tagged(tag, &Outcome::ok("LOGOUT completed"));
        self.wire.flush().await?;
        Err(Failure::Ended(Ended::Closed))
    }

    /// RFC 9051 §6.2.1. Octets in clear behind the command may be an attacker's, who would have them executed as if
    /// they had come under TLS (CVE-2011-0411): such a session is not gone on with.
    pub(super) async fn start_tls(&mut self, tag: &str) -> Done {
        if !self.may_start_tls() {
            return Err(bad("TLS cannot be started now"));
        }
        let Some(tls) = self.shared.options.tls.clone() else {
            return Err(bad("TLS cannot be started now"));
        };
        if self.wire.has_more_input() {
            return Err(Failure::Ended(Ended::Bye("nothing may follow STARTTLS before TLS is up")));
        }
        self.wire.responses.tagged(tag, &Outcome::ok("begin TLS"));
        self.wire.flush().await?;
        self.tls = Some(self.wire.upgrade(&tls, LIMITS_BEFORE_LOGIN).await?);
        self.errors = 0;
        Err(Failure::Answered)
    }

    pub(super) async fn login(&mut self, username: &Bytes, password: &Bytes) -> Done {
        self.check_may_log_in()?;
        // LOGIN is PLAIN by another name.
        if !self.may_log_in_by(Mechanism::Plain) {
            return Err(Failure::Refused(Outcome::no("CANNOT", "use AUTHENTICATE to log in")));
        }
        let client = self.login_client();
        let checked = match (std::str::from_utf8(username), std::str::from_utf8(password)) {
            (Ok(username), Ok(password)) => {
                self.shared.authenticator.authenticate(username, password, &client).await
            }
            _ => Err(AuthError::Wrong),
        };
        self.shared.options.metrics.login(Protocol::Imap, (&checked).into());
        match checked {
            Ok(account) => Ok(self.logged_in(&account)),
            Err(error) => self.refused(&error),
        }
    }

    /// RFC 9051 §6.2.2.
    pub(super) async fn authenticate(&mut self, mechanism: &str, initial: Option<Bytes>) -> Done {
        self.check_may_log_in()?;
        let initial = match initial.map(|response| auth::decode_initial(&response)) {
            Some(None) => return Err(bad(NOT_BASE64)),
            Some(response) => response,
            None => None,
        };
        if !self.offers(&format!("AUTH={mechanism}")) {
            return self.exchange_failed(SaslError::Mechanism);
        }
        let authenticator = self.shared.authenticator.clone();
        let (mut exchange, mut progress) =
            match authenticator.begin(mechanism, self.login_client(), initial.as_deref()).await {
                Ok(begun) => begun,
                Err(error) => return self.exchange_failed(error),
            };
        loop {
            let challenge = match progress {
                Progress::Challenge(challenge) => challenge,
                Progress::Done(account) => {
                    self.shared.options.metrics.login(Protocol::Imap, LoginOutcome::Ok);
                    return Ok(self.logged_in(&account));
                }
            };
            self.wire.responses.continuation(&auth::encode(&challenge));
            let line = self.wire.line().await?;
            if &line[..] == b"*" {
                return Err(bad("AUTHENTICATE was cancelled"));
            }
            let Some(response) = auth::decode(&line) else { return Err(bad(NOT_BASE64)) };
            progress = match exchange.respond(&response).await {
                Ok(progress) => progress,
                Err(error) => return self.exchange_failed(error),
            };
        }
    }

    fn exchange_failed(&mut self, error: SaslError) -> Done {
        match error {
            SaslError::Refused(error) => {
                self.shared.options.metrics.login(Protocol::Imap, (&error).into());
                self.refused(&error)
            }
            SaslError::Mechanism => {
                Err(Failure::Refused(Outcome::no("CANNOT", "the mechanism is not offered")))
            }
            SaslError::Protocol(error @ sasl::Error::Proxy) => {
                self.failed("AUTHORIZATIONFAILED", error.to_string())
            }
            SaslError::Protocol(error) => Err(bad(error.to_string())),
        }
    }

    fn refused(&mut self, error: &AuthError) -> Done {
        match error {
            AuthError::Wrong => self.failed("AUTHENTICATIONFAILED", error.to_string()),
            AuthError::Throttled { .. } => self.failed("LIMIT", error.to_string()),
            AuthError::Unavailable(_) => Err(Failure::Refused(Outcome::no("UNAVAILABLE", "try again later"))),
        }
    }

    fn logged_in(&mut self, account: &Account) -> Outcome {
        tracing::info!(peer = %self.peer, account = %account.name, "imap login");
        self.account = Some(account.id);
        self.choose_hidden(Some(&account.name));
        let idle = *self.shared.options.limits.imap_idle_timeout;
        let stay = self.shared.authenticator.stay(account);
        self.wire.trust(self.shared.limits_after_login(), Patience::Each(idle), stay.over().clone());
        self.stay = Some(stay);
        self.stranger = None;
        self.errors = 0;
        Outcome::ok("logged in").with_code(format!("CAPABILITY {}", self.capabilities()))
    }

    /// A login that failed is an error of the session too.
    fn failed(&mut self, code: &str, text: String) -> Done {
        self.count_error()?;
        Err(Failure::Refused(Outcome::no(code, text)))
    }

    fn check_may_log_in(&self) -> Result<(), Failure> {
        if self.account.is_some() {
            return Err(bad("you are logged in already"));
        }
        if !self.may_log_in() {
            return Err(Failure::Refused(Outcome::no("PRIVACYREQUIRED", "start TLS before logging in")));
        }
        Ok(())
    }

    pub(super) fn may_log_in(&self) -> bool {
        self.shared.options.plaintext_auth.allows(self.tls.is_some(), self.peer)
    }

    /// The mechanism can be used now.
    pub(super) fn may_log_in_by(&self, mechanism: Mechanism) -> bool {
        self.may_log_in() && self.shared.authenticator.mechanisms(&self.login_client()).contains(&mechanism)
    }

    fn login_client(&self) -> auth::Client {
        auth::Client { address: Some(self.peer.ip()), protocol: Protocol::Imap, tls: self.tls.clone() }
    }

    pub(super) fn may_start_tls(&self) -> bool {
        self.tls.is_none()
            && !self.wire.is_compressed()
            && self.account.is_none()
            && self.shared.options.tls.is_some()
    }
}

/// The value of a field, whose name has no case (RFC 2971 §3.3).
fn value(fields: &[(Bytes, Option<Bytes>)], name: &str) -> Box<str> {
    let field = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()));
    let value = field.and_then(|(_, value)| value.as_deref()).unwrap_or_default();
    String::from_utf8_lossy(value).into()
}
