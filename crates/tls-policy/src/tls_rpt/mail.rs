//! The mail that brings a report (RFC 8460 §5.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use message::date::DateTime;
use message::{Address, MessageId};

use super::day::Day;
use super::report::{MEDIA_TYPE, Report, Reporter, file_name};

/// Characters of a line of base64 (RFC 2045 §6.8).
const LINE: usize = 76;

/// A report on its way as mail.
#[derive(Clone, Copy, Debug)]
pub struct ReportMail<'a> {
    /// The message's id, which also parts its boundary from every other text.
    pub id: MessageId,
    /// When it is made.
    pub at: Timestamp,
    /// Whose address it comes from.
    pub from: &'a Address,
    /// Where the domain wants it.
    pub to: &'a Address,
    /// Who reports.
    pub reporter: &'a Reporter,
    /// The domain that it is about.
    pub domain: &'a str,
    /// The day that it is about.
    pub day: Day,
    /// The report.
    pub report: &'a Report,
}

impl ReportMail<'_> {
    /// The whole message, with CRLF line ends. It is to arrive also where TLS fails, for that is what it tells
    /// (RFC 8460 §3): `TLS-Required: No` asks every MTA on the way for it (RFC 8689 §3).
    pub fn build(&self) -> std::io::Result<Vec<u8>> {
        let Self { id, from, to, domain, report, reporter, .. } = self;
        let Reporter { submitter, organization, contact, .. } = reporter;
        let date = DateTime::from(self.at);
        let boundary = format!("=_{id}");
        let file = file_name(reporter, self.day, domain);
        let mut text = format!(
            "From: <{from}>\r\nTo: <{to}>\r\nDate: {date}\r\nMessage-ID: <{id}@{submitter}>\r\n\
             Subject: Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{report_id}>\r\n\
             TLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {submitter}\r\nTLS-Required: No\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
            report_id = report.report_id,
        );
        text.push_str(&self.words(organization, contact));
        let attachment = format!(
            "\r\n--{boundary}\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n filename=\"{file}\"\r\n\r\n"
        );
        text.push_str(&attachment);
        let encoded = STANDARD.encode(report.packed()?);
        for line in encoded.as_bytes().chunks(LINE) {
            text.extend(line.iter().map(|octet| char::from(*octet)));
            text.push_str("\r\n");
        }
        text.extend(["\r\n--", &boundary, "--\r\n"]);
        Ok(text.into_bytes())
    }

    /// For people.
    fn words(&self, organization: &str, contact: &str) -> String {
        let results = || self.report.policies.iter().map(|results| results.summary);
        let successful: u64 = results().map(|summary| summary.total_successful_session_count).sum();
        let failed: u64 = results().map(|summary| summary.total_failure_session_count).sum();
        let range = &self.report.date_range;
        format!(
            "This is an aggregate TLS report (RFC 8460) about mail to\r\n{}\r\nfrom {} to {}.\r\n\r\n\
             Sessions that met a policy:         {successful}\r\n\
             Sessions that did not meet a policy: {failed}\r\n\r\n\
             Sent by {organization}. Questions: {contact}\r\n",
            self.domain, range.start_datetime, range.end_datetime,
        )
    }
}
