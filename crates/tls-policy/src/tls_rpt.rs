//! SMTP TLS Reporting (RFC 8460): a domain hears once a day, from each node that sends mail to it, how its TLS policies
//! fared.

mod day;
mod ledger;
mod mail;
mod outcome;
mod record;
mod report;

pub use day::Day;
pub use ledger::{Ledger, Tally};
pub use mail::ReportMail;
pub use outcome::{Failure, PolicyKind, PolicyUsed, ResultType};
pub use record::{Destination, MAX_DESTINATIONS, Record, RecordError, select};
pub use report::{
    DateRange, FailureDetails, MEDIA_TYPE, PolicyResults, Report, Reporter, Summary, file_name,
};

/// Where a domain says whom to send reports to (RFC 8460 §3).
pub fn record_name(domain: &str) -> String {
    format!("_smtp._tls.{domain}")
}
