//! Which messages: the flags that list and steer share.

use proto::mta::{Filter, RecipientState};
use service::config::HumanDuration;

/// What must hold for a recipient; what is not given does not matter.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Which messages")]
pub(super) struct Conditions {
    /// Only recipients in this domain
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Only recipients that wait for this site, as `waypost queue sites` names it
    #[arg(long, value_name = "SITE")]
    site: Option<String>,
    /// Only mail that this account submitted
    #[arg(long, value_name = "ADDRESS")]
    account: Option<String>,
    /// Only mail with this reverse-path; `<>` is the null reverse-path
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Only this recipient
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Only recipients in this state
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<State>,
    /// Only recipients whose last reply holds this text or code
    #[arg(long, value_name = "TEXT")]
    reply: Option<String>,
    /// Only mail that came so long ago or longer, such as 90m or 2d
    #[arg(long, value_name = "AGE")]
    older_than: Option<HumanDuration>,
    /// Only mail that came so long ago or less
    #[arg(long, value_name = "AGE")]
    younger_than: Option<HumanDuration>,
}

/// States that a recipient can wait in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum State {
    Queued,
    InFlight,
}

impl Conditions {
    /// As the contract has it; `None` if no condition was given.
    pub(super) fn filter(&self) -> Option<Filter> {
        let text = |given: &Option<String>| given.clone().unwrap_or_default();
        let seconds = |given: Option<HumanDuration>| given.map_or(0, |age| age.as_secs().max(1));
        let state = match self.state {
            None => RecipientState::Unspecified,
            Some(State::Queued) => RecipientState::Queued,
            Some(State::InFlight) => RecipientState::InFlight,
        };
        let filter = Filter {
            domain: text(&self.domain),
            site: text(&self.site),
            account: text(&self.account),
            reverse_path: text(&self.sender),
            recipient: text(&self.recipient),
            state: state.into(),
            last_reply: text(&self.reply),
            older_than_seconds: seconds(self.older_than),
            younger_than_seconds: seconds(self.younger_than),
        };
        (filter != Filter::default()).then_some(filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        conditions: Conditions,
    }

    fn filter(arguments: &[&str]) -> Option<Filter> {
        Line::try_parse_from(std::iter::once(&"x").chain(arguments)).unwrap().conditions.filter()
    }

    #[test]
    fn nothing_given_is_no_filter() {
        assert_eq!(filter(&[]), None);
    }

    #[test]
    fn every_flag_becomes_a_condition() {
        let given = filter(&[
            "--domain=example.org",
            "--site=mx.example.org",
            "--account=a@example.test",
            "--sender=<>",
            "--recipient=b@example.org",
            "--state=in-flight",
            "--reply=4.7.1",
            "--older-than=90m",
            "--younger-than=2d",
        ]);
        let expected = Filter {
            domain: "example.org".into(),
            site: "mx.example.org".into(),
            account: "a@example.test".into(),
            reverse_path: "<>".into(),
            recipient: "b@example.org".into(),
            state: RecipientState::InFlight.into(),
            last_reply: "4.7.1".into(),
            older_than_seconds: 5_400,
            younger_than_seconds: 172_800,
        };
        assert_eq!(given, Some(expected));
    }

    #[test]
    fn an_age_without_a_unit_is_refused() {
        assert!(Line::try_parse_from(["x", "--older-than", "90"]).is_err());
    }
}
