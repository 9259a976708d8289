//! Which recipients a filter means.

use message::{Domain, MessageId};
use proto::mail::Envelope;
use proto::mta::{Filter, RecipientState};
use tonic::Status as RpcStatus;

use crate::clock;
use crate::spool::{Message, Status};

/// A filter that has been checked. Everything that is set must hold.
#[derive(Debug, Default)]
pub(super) struct Selector {
    /// In A-labels and lower case.
    domain: Option<Domain>,
    site: String,
    account: String,
    reverse_path: Option<String>,
    recipient: String,
    state: Option<RecipientState>,
    last_reply: String,
    /// In milliseconds since the epoch.
    received_before: u64,
    received_after: u64,
}

impl Selector {
    /// Reads a filter; `now` is in milliseconds since the epoch.
    pub(super) fn new(filter: Filter, now: u64) -> Result<Self, RpcStatus> {
        let state = match RecipientState::try_from(filter.state) {
            Ok(RecipientState::Unspecified) => None,
            Ok(state) => Some(state),
            Err(_) => {
                let text = format!("filter.state: {} is no state that is known here", filter.state);
                return Err(RpcStatus::invalid_argument(text));
            }
        };
        let domain = Some(filter.domain.as_str()).filter(|domain| !domain.is_empty()).map(Domain::parse);
        let domain = domain.transpose().map_err(|error| {
            RpcStatus::invalid_argument(format!("filter.domain: {:?} is no domain: {error}", filter.domain))
        })?;
        let ago = |seconds: u64| now.saturating_sub(seconds.saturating_mul(1_000));
        Ok(Self {
            domain,
            site: filter.site,
            account: filter.account.to_lowercase(),
            reverse_path: match filter.reverse_path.as_str() {
                "" => None,
                "<>" => Some(String::new()),
                path => Some(path.to_lowercase()),
            },
            recipient: filter.recipient.to_lowercase(),
            state,
            last_reply: filter.last_reply.to_lowercase(),
            received_before: if filter.older_than_seconds == 0 {
                u64::MAX
            } else {
                ago(filter.older_than_seconds)
            },
            received_after: if filter.younger_than_seconds == 0 {
                0
            } else {
                ago(filter.younger_than_seconds)
            },
        })
    }

    /// Whether it matters where a recipient stands: finding it out costs more than the rest.
    pub(super) fn asks_for_place(&self) -> bool {
        !self.site.is_empty() || self.state.is_some()
    }

    /// Whether the envelope must be read to decide.
    pub(super) fn asks_for_envelope(&self) -> bool {
        self.reverse_path.as_ref().is_some_and(|path| !path.is_empty())
    }

    /// Whether a message can have recipients that are meant, by what the queue knows of it.
    pub(super) fn may_mean(&self, message: &Message) -> bool {
        let null =
            self.reverse_path.as_ref().is_none_or(|path| path.is_empty() == message.reverse_path_is_null);
        let account = self.account.is_empty() || message.account.to_lowercase() == self.account;
        null && account && (self.received_after..=self.received_before).contains(&message.received_at)
    }

    /// Whether the sender is meant.
    pub(super) fn means_sender(&self, envelope: &Envelope) -> bool {
        self.reverse_path.as_ref().is_none_or(|path| envelope.reverse_path.to_lowercase() == *path)
    }

    /// Whether a recipient is meant, its site aside.
    pub(super) fn means(&self, address: &str, status: &Status) -> bool {
        self.domain.as_ref().is_none_or(|domain| is_in(address, domain))
            && (self.recipient.is_empty() || address.to_lowercase() == self.recipient)
            && self.state.is_none_or(|state| status.state == state)
            && (self.last_reply.is_empty() || self.means_reply(status))
    }

    /// Whether a site is meant; `None` is one that is not known yet.
    pub(super) fn means_site(&self, site: Option<&str>) -> bool {
        self.site.is_empty() || site.is_some_and(|site| site.eq_ignore_ascii_case(&self.site))
    }

    fn means_reply(&self, status: &Status) -> bool {
        status.last_reply().is_some_and(|reply| {
            let line = format!("{} {} {}", reply.code, reply.enhanced, reply.text);
            line.to_lowercase().contains(&self.last_reply)
        })
    }
}

/// Whether an address is in a domain, subdomains not included.
fn is_in(address: &str, domain: &Domain) -> bool {
    let Some((_, of)) = address.rsplit_once('@') else { return false };
    of.eq_ignore_ascii_case(domain.ascii())
        || !of.is_ascii() && Domain::parse(of).is_ok_and(|of| of.ascii() == domain.ascii())
}

/// A message id from a request.
pub(super) fn parse_id(field: &str, text: &str) -> Result<MessageId, RpcStatus> {
    MessageId::parse(text).map_err(|error| RpcStatus::invalid_argument(format!("{field}: {error}")))
}

/// The filter of a request, against the clock.
pub(super) fn selector(filter: Option<Filter>) -> Result<Selector, RpcStatus> {
    Selector::new(filter.unwrap_or_default(), clock::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::reply;
    use crate::spool::Said;

    fn means(filter: Filter, address: &str, status: &Status) -> bool {
        Selector::new(filter, 0).unwrap().means(address, status)
    }

    fn deferred(text: &str) -> Status {
        let said = Said { reply: reply(451, "4.7.1", text), ..Said::default() };
        Status { last: Some(said.into()), ..Status::default() }
    }

    #[test]
    fn an_empty_filter_means_everyone() {
        assert!(means(Filter::default(), "x@remote.test", &Status::default()));
    }

    #[test]
    fn a_domain_means_itself_in_any_case_and_not_its_subdomains() {
        let filter = || Filter { domain: "Remote.test".into(), ..Filter::default() };
        assert!(means(filter(), "x@REMOTE.test", &Status::default()));
        assert!(!means(filter(), "x@sub.remote.test", &Status::default()));
    }

    #[test]
    fn a_domain_means_itself_in_either_form() {
        for given in ["bücher.test", "xn--bcher-kva.test"] {
            let filter = || Filter { domain: given.into(), ..Filter::default() };
            assert!(means(filter(), "x@bücher.test", &Status::default()), "{given}");
            assert!(means(filter(), "x@xn--bcher-kva.test", &Status::default()), "{given}");
        }
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        let filter = Filter { domain: "bob@remote.test".into(), ..Filter::default() };
        let refused = Selector::new(filter, 0).unwrap_err();
        assert!(
            refused.message().starts_with("filter.domain: \"bob@remote.test\" is no domain"),
            "{refused}"
        );
    }

    #[test]
    fn a_reply_is_found_by_its_code_and_by_its_words() {
        for part in ["451", "4.7.1", "GREYlist"] {
            let filter = Filter { last_reply: part.into(), ..Filter::default() };
            assert!(means(filter.clone(), "x@remote.test", &deferred("greylisted, come back")), "{part}");
            assert!(!means(filter, "x@remote.test", &Status::default()), "{part}");
        }
    }

    #[test]
    fn all_conditions_must_hold() {
        let filter = Filter {
            recipient: "x@remote.test".into(),
            state: RecipientState::InFlight.into(),
            ..Filter::default()
        };
        assert!(!means(filter.clone(), "x@remote.test", &Status::default()));
        let status = Status { state: RecipientState::InFlight, ..Status::default() };
        assert!(means(filter.clone(), "x@remote.test", &status));
        assert!(!means(filter, "y@remote.test", &status));
    }

    #[test]
    fn a_state_that_nobody_knows_is_refused() {
        assert!(Selector::new(Filter { state: 99, ..Filter::default() }, 0).is_err());
    }

    #[test]
    fn the_null_reverse_path_is_asked_for_in_angle_brackets() {
        let selector = Selector::new(Filter { reverse_path: "<>".into(), ..Filter::default() }, 0).unwrap();
        assert!(selector.means_sender(&Envelope::default()));
        let from = Envelope { reverse_path: "a@example.test".into(), ..Envelope::default() };
        assert!(!selector.means_sender(&from));
    }
}
