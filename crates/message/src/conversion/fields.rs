//! Header fields that hold octets beyond ASCII although nothing allows them to, in the form that there is for them.

use std::fmt::Write as _;

use super::ConversionError;
use crate::address_list::{self, Entry, Mailbox};
use crate::header::Field;
use crate::parameters::{self, Parameter};
use crate::words;

/// Fields that hold addresses (RFC 5322 §3.6, RFC 8098 §2.1).
const ADDRESSES: [&str; 13] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
    "Disposition-Notification-To",
    "Mail-Followup-To",
];
/// Fields with parameters (RFC 2045 §5, RFC 2183).
const PARAMETERS: [&str; 2] = ["Content-Type", "Content-Disposition"];
/// Fields for programs, in which nothing can stand for such an octet.
const STRUCTURED: [&str; 16] = [
    "Return-Path",
    "Received",
    "Date",
    "Resent-Date",
    "Message-ID",
    "Resent-Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Transfer-Encoding",
    "Content-ID",
    "DKIM-Signature",
    "Authentication-Results",
    "ARC-Seal",
    "ARC-Message-Signature",
    "ARC-Authentication-Results",
];
/// Octets of a percent-encoded value in one line.
const PERCENT_LINE: usize = 60;

/// The whole field in ASCII: text as encoded-words (RFC 2047), parameters as RFC 2231 has it, and question marks where
/// there is no other form.
pub(super) fn in_ascii(field: &Field<'_>) -> Result<String, ConversionError> {
    let is_among = |names: &[&str]| names.iter().any(|name| field.is(name));
    let name = String::from_utf8_lossy(field.name);
    let value = if field.name.is_empty() || is_among(&STRUCTURED) {
        return Ok(masked(field.raw));
    } else if is_among(&ADDRESSES) {
        addresses(field.value).ok_or_else(|| ConversionError::Address(name.clone().into_owned()))?
    } else if is_among(&PARAMETERS) {
        with_parameters(field.value)
    } else {
        words::encode(&words::decode(field.value)).into_owned()
    };
    Ok(format!("{name}: {value}\r\n"))
}

/// With a question mark for each octet that is not ASCII.
pub(super) fn masked(octets: &[u8]) -> String {
    octets.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect()
}

/// `None`: there is an address without a form in ASCII.
fn addresses(value: &[u8]) -> Option<String> {
    let mut list = String::new();
    let mut separator = "";
    for entry in address_list::parse(value) {
        match entry {
            Entry::GroupStart(name) => {
                let _ = write!(list, "{separator}{}:", phrase(&name));
                separator = "\r\n ";
            }
            Entry::GroupEnd => {
                list.push(';');
                separator = ",\r\n ";
            }
            Entry::Mailbox(mailbox) => {
                let _ = write!(list, "{separator}{}", in_brackets(&mailbox)?);
                separator = ",\r\n ";
            }
        }
    }
    Some(list)
}

fn in_brackets(mailbox: &Mailbox) -> Option<String> {
    let address = match mailbox.address() {
        Some(address) => address.to_ascii()?.to_string(),
        None if mailbox.domain.is_empty() => masked(mailbox.local_part.as_bytes()),
        None => masked(format!("{}@{}", mailbox.local_part, mailbox.domain).as_bytes()),
    };
    Some(match &mailbox.name {
        Some(name) => format!("{} <{address}>", phrase(name)),
        None => format!("<{address}>"),
    })
}

/// A display name, whose encoded-words are still encoded.
fn phrase(name: &str) -> String {
    if name.is_ascii() {
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" !#$%&'*+-/=?^_`{|}~".contains(&byte)) {
            return name.to_owned();
        }
        return quoted(name);
    }
    words::encode(&words::decode(name.as_bytes())).into_owned()
}

/// Without controls: a lone CR is no part of any line.
fn quoted(text: &str) -> String {
    let text: String = text.chars().filter(|&char| char == '\t' || !char.is_control()).collect();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn with_parameters(value: &[u8]) -> String {
    let (value, parameters) = parameters::parse(value);
    let mut text = masked(value.as_bytes());
    for parameter in &parameters {
        text.push_str(";\r\n ");
        write_parameter(parameter, &mut text);
    }
    text
}

/// Writes a parameter, percent-encoded and in lines if it has to be (RFC 2231 §3 and §4).
fn write_parameter(Parameter { name, value, .. }: &Parameter, text: &mut String) {
    let name = masked(name.as_bytes());
    if value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let _ = write!(text, "{name}={}", quoted(value));
        return;
    }
    let mut lines = vec![String::from("utf-8''")];
    for byte in value.bytes() {
        let encoded = if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        };
        match lines.last_mut() {
            Some(line) if line.len() + encoded.len() <= PERCENT_LINE => line.push_str(&encoded),
            _ => lines.push(encoded),
        }
    }
    if let [only] = &lines[..] {
        let _ = write!(text, "{name}*={only}");
        return;
    }
    let lines: Vec<String> =
        lines.iter().enumerate().map(|(index, line)| format!("{name}*{index}*={line}")).collect();
    text.push_str(&lines.join(";\r\n "));
}
