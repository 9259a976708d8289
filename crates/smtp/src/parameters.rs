//! What MAIL and RCPT carry: paths and the parameters of the extensions, as types (RFC 5321 §4.1.2).

use std::fmt;

use message::{Address, Domain, ReversePath, unitext};

use crate::command::CommandError;
use crate::xtext;

#[cfg(test)]
mod tests;

/// Octets of ENVID once decoded, at most (RFC 3461 §4.4 and §5.4).
const MAX_ENVELOPE_ID: usize = 100;
/// Octets of ORCPT as written, at most (RFC 3461 §4.2 and §5.4).
const MAX_ORIGINAL_RECIPIENT: usize = 500;

/// A MAIL command: who sends, and what the message is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// Where reports go.
    pub reverse_path: ReversePath,
    /// SIZE: octets of the message as the client counts them (RFC 1870).
    pub size: Option<u64>,
    /// BODY: what octets the message holds (RFC 6152, RFC 3030).
    pub body: BodyType,
    /// SMTPUTF8: addresses or header fields hold UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// REQUIRETLS: never send this message on without verified TLS (RFC 8689).
    pub require_tls: bool,
    /// RET: how much of the message a report returns (RFC 3461 §4.3).
    pub dsn_return: Option<DsnReturn>,
    /// ENVID, decoded: the sender's name for this message in reports (RFC 3461 §4.4).
    pub envelope_id: Option<String>,
    /// MT-PRIORITY: how urgent the message is, -9 to 9; 0 is normal (RFC 6710 §3).
    pub priority: Option<i8>,
}

impl Mail {
    /// Whether any parameter is set: none can be behind HELO.
    pub(crate) fn has_parameters(&self) -> bool {
        let Self { reverse_path: _, size, body, smtputf8, require_tls, dsn_return, envelope_id, priority } =
            self;
        let extended = *smtputf8 || *require_tls || *body != BodyType::SevenBit || priority.is_some();
        extended || size.is_some() || dsn_return.is_some() || envelope_id.is_some()
    }
}

/// A RCPT command: one recipient, and what the sender wants to hear about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rcpt {
    /// Where the message goes.
    pub address: Address,
    /// NOTIFY: when a report is wanted (RFC 3461 §4.1). `None` is the default: on failure, perhaps on delay.
    pub notify: Option<Notify>,
    /// ORCPT: whom the sender addressed before any forwarding (RFC 3461 §4.2).
    pub original_recipient: Option<OriginalRecipient>,
}

impl Rcpt {
    /// A recipient without parameters.
    pub fn new(address: Address) -> Self {
        Self { address, notify: None, original_recipient: None }
    }

    /// Whether any parameter of RFC 3461 is set.
    pub(crate) fn has_parameters(&self) -> bool {
        self.notify.is_some() || self.original_recipient.is_some()
    }
}

/// BODY of MAIL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyType {
    /// Lines of ASCII.
    #[default]
    SevenBit,
    /// Lines of any octets (RFC 6152).
    EightBitMime,
    /// Any octets, without lines (RFC 3030 §3).
    BinaryMime,
}

/// RET of MAIL: how much of the message comes back with a report of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DsnReturn {
    /// The whole message.
    Full,
    /// Its header.
    Headers,
}

/// NOTIFY of RCPT: when a report is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// Under no circumstances.
    Never,
    /// On each event that is `true`; at least one is.
    On {
        /// The message was delivered.
        success: bool,
        /// It cannot be.
        failure: bool,
        /// It was not yet.
        delay: bool,
    },
}

impl Notify {
    fn parse(value: &str) -> Option<Self> {
        if value.eq_ignore_ascii_case("NEVER") {
            return Some(Self::Never);
        }
        let (mut success, mut failure, mut delay) = (false, false, false);
        for event in value.split(',') {
            let flag = match event {
                _ if event.eq_ignore_ascii_case("SUCCESS") => &mut success,
                _ if event.eq_ignore_ascii_case("FAILURE") => &mut failure,
                _ if event.eq_ignore_ascii_case("DELAY") => &mut delay,
                _ => return None,
            };
            *flag = true;
        }
        Some(Self::On { success, failure, delay })
    }
}

/// As in the parameter: `NEVER`, or `SUCCESS,FAILURE,DELAY`.
impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::On { success, failure, delay } = *self else { return f.write_str("NEVER") };
        let mut separator = "";
        for (wanted, event) in [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")] {
            if wanted {
                write!(f, "{separator}{event}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}

/// ORCPT of RCPT, decoded: the type of the address and the address, which need not be one of SMTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalRecipient {
    /// `rfc822` mostly, `utf-8` where RFC 6533 is in use.
    pub address_type: String,
    /// Decoded; no control characters.
    pub address: String,
}

impl OriginalRecipient {
    /// Parses the decoded form, as [`OriginalRecipient`] prints it: `rfc822;bob@example.test`.
    pub fn from_decoded(text: &str) -> Option<Self> {
        let (address_type, address) = text.split_once(';')?;
        let valid = is_atom(address_type) && !address.is_empty() && !address.contains(char::is_control);
        valid.then(|| Self { address_type: address_type.into(), address: address.into() })
    }

    /// Parses the parameter's value.
    fn parse(value: &str) -> Option<Self> {
        if value.len() > MAX_ORIGINAL_RECIPIENT {
            return None;
        }
        let (address_type, encoded) = value.split_once(';')?;
        let address = if address_type.eq_ignore_ascii_case("utf-8") {
            unitext::decode(encoded)?
        } else {
            String::from_utf8(xtext::decode(encoded)?).ok()?
        };
        Self::from_decoded(&format!("{address_type};{address}"))
    }

    /// The parameter's value, in ASCII.
    pub(crate) fn encode(&self) -> String {
        let encoded = if self.address_type.eq_ignore_ascii_case("utf-8") {
            unitext::encode(&self.address)
        } else {
            xtext::encode(self.address.as_bytes())
        };
        format!("{};{encoded}", self.address_type)
    }
}

/// The decoded form: `rfc822;bob@example.test`.
impl fmt::Display for OriginalRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.address_type, self.address)
    }
}

/// Parses what stands behind `MAIL FROM:`.
pub(crate) fn parse_mail(text: &str) -> Result<Mail, CommandError> {
    let (path, parameters) = split_path(text).ok_or(CommandError::Sender)?;
    let path = strip_source_route(path).ok_or(CommandError::Sender)?;
    let reverse_path = ReversePath::parse(path).map_err(|_| CommandError::Sender)?;
    let mut mail = Mail { reverse_path, ..Mail::default() };
    let mut seen = Seen::default();
    for (name, value) in split_parameters(parameters) {
        mail.parameter(name, value, &mut seen)?;
    }
    Ok(mail)
}

impl Mail {
    fn parameter(&mut self, name: &str, value: Option<&str>, seen: &mut Seen) -> Result<(), CommandError> {
        let name = MailParameter::parse(name)?;
        seen.first(name as u32)?;
        match name {
            MailParameter::Size => self.size = Some(parse_size(value).ok_or(CommandError::ParameterValue)?),
            MailParameter::Body => self.body = parse_body(value)?,
            MailParameter::Ret => self.dsn_return = Some(parse_return(value)?),
            MailParameter::EnvId => self.envelope_id = Some(parse_envelope_id(value)?),
            MailParameter::SmtpUtf8 => self.smtputf8 = parse_flag(value)?,
            MailParameter::RequireTls => self.require_tls = parse_flag(value)?,
            MailParameter::Priority => {
                self.priority = Some(parse_priority(value).ok_or(CommandError::ParameterValue)?);
            }
            // RFC 4954 §5: nobody's word is taken here, which is to treat it as `AUTH=<>`.
            MailParameter::Auth => {
                value.and_then(xtext::decode).ok_or(CommandError::ParameterValue)?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum MailParameter {
    Size,
    Body,
    SmtpUtf8,
    RequireTls,
    Ret,
    EnvId,
    Priority,
    Auth,
}

impl MailParameter {
    fn parse(name: &str) -> Result<Self, CommandError> {
        const NAMES: [(&str, MailParameter); 8] = [
            ("SIZE", MailParameter::Size),
            ("BODY", MailParameter::Body),
            ("SMTPUTF8", MailParameter::SmtpUtf8),
            ("RET", MailParameter::Ret),
            ("ENVID", MailParameter::EnvId),
            ("AUTH", MailParameter::Auth),
            ("REQUIRETLS", MailParameter::RequireTls),
            ("MT-PRIORITY", MailParameter::Priority),
        ];
        NAMES
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
            .map(|(_, parameter)| *parameter)
            .ok_or(CommandError::UnknownParameter)
    }
}

/// Which parameters a command has had: each may stand once (RFC 5321 §4.1.1.11).
#[derive(Default)]
struct Seen(u32);

impl Seen {
    fn first(&mut self, parameter: u32) -> Result<(), CommandError> {
        let bit = 1 << parameter;
        if self.0 & bit != 0 {
            return Err(CommandError::ParameterValue);
        }
        self.0 |= bit;
        Ok(())
    }
}

/// Where a RCPT command points: `<Postmaster>` has no domain and is always this server's (RFC 5321 §4.1.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RcptCommand {
    /// An address.
    Address(Rcpt),
    /// `<Postmaster>`, with its parameters.
    Postmaster {
        /// As in [`Rcpt`].
        notify: Option<Notify>,
        /// As in [`Rcpt`].
        original_recipient: Option<OriginalRecipient>,
    },
}

/// Parses what stands behind `RCPT TO:`.
pub(crate) fn parse_rcpt(text: &str) -> Result<RcptCommand, CommandError> {
    let (path, parameters) = split_path(text).ok_or(CommandError::Recipient)?;
    let path = strip_source_route(path).ok_or(CommandError::Recipient)?;
    let (mut notify, mut original_recipient) = (None, None);
    let mut seen = Seen::default();
    for (name, value) in split_parameters(parameters) {
        if name.eq_ignore_ascii_case("NOTIFY") {
            seen.first(0)?;
            notify = Some(value.and_then(Notify::parse).ok_or(CommandError::ParameterValue)?);
        } else if name.eq_ignore_ascii_case("ORCPT") {
            seen.first(1)?;
            let value = value.and_then(OriginalRecipient::parse);
            original_recipient = Some(value.ok_or(CommandError::ParameterValue)?);
        } else {
            return Err(CommandError::UnknownParameter);
        }
    }
    if path.eq_ignore_ascii_case("postmaster") {
        return Ok(RcptCommand::Postmaster { notify, original_recipient });
    }
    let address = Address::parse(path).map_err(|_| CommandError::Recipient)?;
    Ok(RcptCommand::Address(Rcpt { address, notify, original_recipient }))
}

/// Parts `<path> PARAMETERS` at the bracket that closes the path, and no other in a quoted local part.
fn split_path(text: &str) -> Option<(&str, &str)> {
    // A space behind the colon is against the grammar and in every second client.
    let inner = text.trim_start_matches(' ').strip_prefix('<')?;
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => {
                let behind = &inner[index + 1..];
                let valid = behind.is_empty() || behind.starts_with(' ');
                return valid.then_some((&inner[..index], behind));
            }
            _ => {}
        }
    }
    None
}

/// Drops the hosts of a source route, `@a,@b:user@c` (RFC 5321 §4.1.1.3 and appendix C).
fn strip_source_route(path: &str) -> Option<&str> {
    if !path.starts_with('@') {
        return Some(path);
    }
    let mut in_literal = false;
    let end = path.bytes().position(|byte| {
        match byte {
            b'[' => in_literal = true,
            b']' => in_literal = false,
            _ => {}
        }
        byte == b':' && !in_literal
    })?;
    let valid = path[..end]
        .split(',')
        .all(|host| host.strip_prefix('@').is_some_and(|host| Domain::parse(host).is_ok()));
    valid.then_some(&path[end + 1..])
}

fn split_parameters(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split(' ').filter(|word| !word.is_empty()).map(|word| match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    })
}

/// `1*20DIGIT` (RFC 1870 §5). More than can be counted is too much, whatever it is.
fn parse_size(value: Option<&str>) -> Option<u64> {
    let digits = value?;
    let valid = (1..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    valid.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn parse_body(value: Option<&str>) -> Result<BodyType, CommandError> {
    match value {
        Some(value) if value.eq_ignore_ascii_case("7BIT") => Ok(BodyType::SevenBit),
        Some(value) if value.eq_ignore_ascii_case("8BITMIME") => Ok(BodyType::EightBitMime),
        Some(value) if value.eq_ignore_ascii_case("BINARYMIME") => Ok(BodyType::BinaryMime),
        _ => Err(CommandError::ParameterValue),
    }
}

fn parse_return(value: Option<&str>) -> Result<DsnReturn, CommandError> {
    match value {
        Some(value) if value.eq_ignore_ascii_case("FULL") => Ok(DsnReturn::Full),
        Some(value) if value.eq_ignore_ascii_case("HDRS") => Ok(DsnReturn::Headers),
        _ => Err(CommandError::ParameterValue),
    }
}

/// Printable ASCII once decoded, for it will stand in the header of a report (RFC 3461 §4.4).
fn parse_envelope_id(value: Option<&str>) -> Result<String, CommandError> {
    value
        .and_then(xtext::decode)
        .filter(|id| id.len() <= MAX_ENVELOPE_ID && id.iter().all(|byte| matches!(byte, b' '..=b'~')))
        .and_then(|id| String::from_utf8(id).ok())
        .ok_or(CommandError::ParameterValue)
}

/// `[ "-" ] NZDIGIT`, or 0 (RFC 6710 §3).
fn parse_priority(value: Option<&str>) -> Option<i8> {
    let (negative, digit) = value.map(|value| match value.strip_prefix('-') {
        Some(digit) => (true, digit),
        None => (false, value),
    })?;
    let &[digit @ b'0'..=b'9'] = digit.as_bytes() else { return None };
    let magnitude = i8::try_from(digit - b'0').ok()?;
    if negative { (magnitude > 0).then_some(-magnitude) } else { Some(magnitude) }
}

/// A parameter that has no value.
fn parse_flag(value: Option<&str>) -> Result<bool, CommandError> {
    if value.is_none() { Ok(true) } else { Err(CommandError::ParameterValue) }
}

fn is_atom(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
