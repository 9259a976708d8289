//! The part of a report that programs read (RFC 3464 §2).

use std::fmt::{self, Write};

use super::{Action, Recipient, Report, harmless, transfer_encoding, wrap};
use crate::date::DateTime;
use crate::unitext;

/// Octets of a line.
const WIDTH: usize = 76;

/// Writes the part, with its header.
pub(super) fn write(report: &Report<'_>, smtputf8: bool, out: &mut String) -> fmt::Result {
    let media_type = if smtputf8 { "message/global-delivery-status" } else { "message/delivery-status" };
    let encoding = transfer_encoding(smtputf8);
    write!(out, "Content-Type: {media_type}\r\nContent-Description: Delivery report\r\n{encoding}\r\n")?;
    let mut fields = Fields { out, ascii: !smtputf8 };
    if !report.envelope_id.is_empty() {
        fields.write("Original-Envelope-Id", "", report.envelope_id)?;
    }
    fields.write("Reporting-MTA", "dns; ", report.reporting_mta)?;
    fields.write("Arrival-Date", "", &DateTime::from(report.arrived_at).to_string())?;
    for recipient in report.recipients {
        fields.out.write_str("\r\n")?;
        write_recipient(report, recipient, &mut fields)?;
    }
    Ok(())
}

/// In the order of RFC 3464 §2.3.
fn write_recipient(report: &Report<'_>, recipient: &Recipient<'_>, fields: &mut Fields<'_>) -> fmt::Result {
    if let Some((address_type, address)) = recipient.original.split_once(';') {
        let address_type = format!("{};", harmless(address_type, fields.ascii));
        fields.write_address("Original-Recipient", &address_type, address)?;
    }
    let address_type = if recipient.address.is_ascii() { "rfc822; " } else { "utf-8; " };
    fields.write_address("Final-Recipient", address_type, recipient.address)?;
    fields.write("Action", "", recipient.action.name())?;
    // What no SMTP server said has no place in `Diagnostic-Code`, whose text is a reply (RFC 3461 §9.2).
    match recipient.diagnostic.filter(|diagnostic| !is_reply(diagnostic)) {
        Some(reason) => {
            let reason = reason.replace(['(', ')', '\\'], "?");
            fields.write("Status", "", &format!("{} ({reason})", status(recipient)))?;
        }
        None => fields.write("Status", "", status(recipient))?,
    }
    if let Some(remote) = recipient.remote_mta {
        fields.write("Remote-MTA", "dns; ", remote)?;
    }
    if let Some(diagnostic) = recipient.diagnostic.filter(|diagnostic| is_reply(diagnostic)) {
        fields.write("Diagnostic-Code", "smtp; ", diagnostic)?;
    }
    if let Some(at) = recipient.last_attempt {
        fields.write("Last-Attempt-Date", "", &DateTime::from(at).to_string())?;
    }
    fields.write("Final-Log-ID", "", &report.original_id.to_string())?;
    if let Some(until) = recipient.will_retry_until {
        fields.write("Will-Retry-Until", "", &DateTime::from(until).to_string())?;
    }
    Ok(())
}

/// The status code, if it is one and of a class that fits the action. What is given up may have failed for a passing
/// reason (RFC 3464, Appendix E has such an example).
fn status<'a>(recipient: &Recipient<'a>) -> &'a str {
    let classes: &[&str] = match recipient.action {
        Action::Failed => &["5", "4"],
        Action::Delayed => &["4"],
        Action::Delivered | Action::Relayed | Action::Expanded => &["2"],
    };
    let mut numbers = recipient.status.split('.');
    let number = |text: Option<&str>| {
        text.is_some_and(|text| {
            (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let class = numbers.next().is_some_and(|class| classes.contains(&class));
    let valid = class && number(numbers.next()) && number(numbers.next()) && numbers.next().is_none();
    if valid { recipient.status } else { recipient.action.plain_status() }
}

/// Whether the text begins with a reply code of SMTP.
fn is_reply(text: &str) -> bool {
    let code = text.as_bytes().first_chunk::<3>();
    code.is_some_and(|code| matches!(code[0], b'2'..=b'5') && code.iter().all(u8::is_ascii_digit))
}

struct Fields<'a> {
    out: &'a mut String,
    /// The part may hold nothing but ASCII.
    ascii: bool,
}

impl Fields<'_> {
    /// Writes an address; in ASCII if nothing else may stand here (RFC 6533 §3).
    fn write_address(&mut self, name: &str, address_type: &str, address: &str) -> fmt::Result {
        if self.ascii && !address.is_ascii() {
            return self.write(name, address_type, &unitext::encode(address));
        }
        self.write(name, address_type, address)
    }

    /// Writes a field, folded, whatever its value holds.
    fn write(&mut self, name: &str, value_type: &str, value: &str) -> fmt::Result {
        let value = harmless(value, self.ascii);
        let lines = wrap(&format!("{name}: {value_type}{value}"), WIDTH);
        write!(self.out, "{}\r\n", lines.join("\r\n "))
    }
}
