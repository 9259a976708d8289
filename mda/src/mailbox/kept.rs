//! Expunged messages, and for how long messages stay, on the wire.

use std::time::Duration;

use jiff::Timestamp;
use proto::mda::{ExpungedFilter, ExpungedMessage};
use tonic::Status;

use crate::store::{Kept, KeptFilter, MailboxName};

pub(super) fn name(text: &str) -> Result<MailboxName, Status> {
    MailboxName::parse(text).map_err(|error| Status::invalid_argument(format!("mailbox `{text}`: {error}")))
}

pub(super) fn filter(filter: Option<ExpungedFilter>) -> Result<KeptFilter, Status> {
    let ExpungedFilter { mailbox, since, numbers } = filter.unwrap_or_default();
    let since = since.map(|since| Timestamp::new(since.seconds, since.nanos));
    Ok(KeptFilter {
        numbers: (!numbers.is_empty()).then(|| numbers.into_iter().collect()),
        mailbox: if mailbox.is_empty() { None } else { Some(name(&mailbox)?) },
        since: since.transpose().map_err(|error| Status::invalid_argument(format!("since: {error}")))?,
    })
}

pub(super) fn message(kept: &Kept) -> ExpungedMessage {
    let time = |time: Timestamp| Some(prost_types::Timestamp { seconds: time.as_second(), nanos: 0 });
    ExpungedMessage {
        number: kept.number,
        mailbox: kept.mailbox.to_string(),
        expunged_at: time(kept.expunged_at),
        internal_date: time(kept.internal_date),
        octets: kept.size,
    }
}

pub(super) fn told(keep: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: i64::try_from(keep.as_secs()).unwrap_or(i64::MAX), nanos: 0 }
}

pub(super) fn asked(keep: prost_types::Duration) -> Result<Duration, Status> {
    let seconds = u64::try_from(keep.seconds);
    seconds.map(Duration::from_secs).map_err(|_| Status::invalid_argument("keep: less than no time"))
}
