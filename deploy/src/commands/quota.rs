//! How much accounts may hold, as a command line says it and as it is shown.

use std::str::FromStr;

use proto::mda::Quota;
use serde::Serialize;
use service::config::ByteSize;

/// What is to be set; what is not given stays as it is.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Limits {
    /// The most messages: a number, `none` for no limit, or `inherit` for what is said elsewhere
    #[arg(long, value_name = "NUMBER")]
    messages: Option<Limit>,
    /// The most octets, such as `5GiB`; or `none`, or `inherit`
    #[arg(long, value_name = "SIZE")]
    octets: Option<Limit>,
}

/// One limit on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Inherit,
    AtMost(u64),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "inherit" => Ok(Self::Inherit),
            "none" => Ok(Self::AtMost(0)),
            text => match text.parse::<ByteSize>() {
                Ok(ByteSize(0)) => Err("0 would be no limit: say `none`".to_owned()),
                Ok(size) => Ok(Self::AtMost(*size)),
                Err(error) => Err(error.to_string()),
            },
        }
    }
}

impl Limits {
    /// Something is to be set.
    pub(crate) fn is_given(self) -> bool {
        self.messages.is_some() || self.octets.is_some()
    }

    /// What is set then.
    pub(crate) fn applied_to(self, quota: Quota) -> Quota {
        let set = |limit: Option<Limit>, before| match limit {
            None => before,
            Some(Limit::Inherit) => None,
            Some(Limit::AtMost(most)) => Some(most),
        };
        Quota { messages: set(self.messages, quota.messages), octets: set(self.octets, quota.octets) }
    }
}

/// A limit as people read it.
pub(crate) fn shown(limit: Option<u64>, unset: &str) -> String {
    match limit {
        None => unset.to_owned(),
        Some(0) => "none".to_owned(),
        Some(most) => most.to_string(),
    }
}

/// A quota as programs read it.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    messages: Option<u64>,
    octets: Option<u64>,
}

impl From<Quota> for Shown {
    fn from(quota: Quota) -> Self {
        Self { messages: quota.messages, octets: quota.octets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_stays() {
        let before = Quota { messages: Some(10), octets: Some(20) };
        let limits = |messages: Option<&str>, octets: Option<&str>| Limits {
            messages: messages.map(|text| text.parse().unwrap()),
            octets: octets.map(|text| text.parse().unwrap()),
        };
        let quota = |messages, octets| Quota { messages, octets };
        assert_eq!(limits(None, None).applied_to(before), before);
        assert_eq!(limits(Some("none"), None).applied_to(before), quota(Some(0), Some(20)));
        assert_eq!(limits(Some("7"), Some("1KiB")).applied_to(before), quota(Some(7), Some(1024)));
        assert_eq!(limits(None, Some("inherit")).applied_to(before), quota(Some(10), None));
        assert!("0".parse::<Limit>().is_err() && "much".parse::<Limit>().is_err());
    }
}
