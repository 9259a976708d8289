//! The report (RFC 8460 §4.4), and how it is packed (§5).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::day::Day;
use super::ledger::Tally;
use super::outcome::{Failure, PolicyUsed};

/// The media type of a packed report (RFC 8460 §6.4).
pub const MEDIA_TYPE: &str = "application/tlsrpt+gzip";

/// Who reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// `organization-name`.
    pub organization: String,
    /// `contact-info`: an address that reads answers.
    pub contact: String,
    /// The domain that submits reports.
    pub submitter: String,
    /// The node: each of them reports what it saw itself.
    pub node: String,
}

/// A report about one domain on one day, as JSON has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Who reports.
    pub organization_name: String,
    /// What it is about.
    pub date_range: DateRange,
    /// Whom to ask.
    pub contact_info: String,
    /// The same for the same node, day and domain: one that comes twice can be told.
    pub report_id: String,
    /// Results by policy.
    pub policies: Vec<PolicyResults>,
}

/// The time that a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DateRange {
    /// RFC 3339.
    pub start_datetime: String,
    /// RFC 3339.
    pub end_datetime: String,
}

/// What sessions under one policy came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyResults {
    /// The policy.
    pub policy: PolicyUsed,
    /// How many met it.
    pub summary: Summary,
    /// Why the others did not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_details: Vec<FailureDetails>,
}

/// How many sessions met a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// Those that did.
    pub total_successful_session_count: u64,
    /// Those that did not.
    pub total_failure_session_count: u64,
}

/// What was wrong with how many sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailureDetails {
    /// What was wrong.
    #[serde(flatten)]
    pub failure: Failure,
    /// With how many.
    pub failed_session_count: u64,
}

impl Report {
    /// The report on a domain's results of one day.
    pub fn new(reporter: &Reporter, day: Day, domain: &str, tallies: &[Tally]) -> Self {
        let (start, end) = day.range();
        let results = |tally: &Tally| PolicyResults {
            policy: tally.policy.clone(),
            summary: Summary {
                total_successful_session_count: tally.successful,
                total_failure_session_count: tally.failed,
            },
            failure_details: tally
                .failures
                .iter()
                .map(|(failure, count)| FailureDetails {
                    failure: failure.clone(),
                    failed_session_count: *count,
                })
                .collect(),
        };
        Self {
            organization_name: reporter.organization.clone(),
            date_range: DateRange { start_datetime: start.to_string(), end_datetime: end.to_string() },
            contact_info: reporter.contact.clone(),
            report_id: format!("{}.{domain}.{}@{}", start.as_second(), reporter.node, reporter.submitter),
            policies: tallies.iter().map(results).collect(),
        }
    }

    /// JSON, compressed with gzip.
    pub fn packed(&self) -> std::io::Result<Vec<u8>> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(&serde_json::to_vec_pretty(self)?)?;
        packer.finish()
    }
}

/// The name of the file that a report comes as (RFC 8460 §5.1).
pub fn file_name(reporter: &Reporter, day: Day, domain: &str) -> String {
    let (start, end) = day.range();
    format!(
        "{}!{domain}!{}!{}!{}.json.gz",
        reporter.submitter,
        start.as_second(),
        end.as_second(),
        reporter.node
    )
}
