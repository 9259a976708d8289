//! XCLIENT: a proxy says for whom it speaks (Postfix's XCLIENT_README, which is the specification).

use std::net::{IpAddr, Ipv6Addr};

use crate::command::CommandError;
use crate::xtext;

#[cfg(test)]
mod tests;

/// What stands behind the keyword in the reply to EHLO: the attributes that are understood.
pub const ATTRIBUTES: &str = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

/// Octets of an attribute's value at most, decoded: no host, name or login is longer.
const MAX_VALUE: usize = 255;

/// The client behind a proxy, as far as the proxy knows it. `None`: not said, or said to be unavailable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XClient {
    /// ADDR: the client's address.
    pub address: Option<IpAddr>,
    /// PORT: the client's port.
    pub port: Option<u16>,
    /// HELO: what the client called itself.
    pub helo: Option<String>,
    /// PROTO: the client said EHLO; `Some(false)` is HELO.
    pub esmtp: Option<bool>,
    /// LOGIN: the client has authenticated to the proxy under this name.
    pub login: Option<String>,
    /// DESTADDR: the address that the client connected to.
    pub destination: Option<IpAddr>,
    /// DESTPORT: the port that the client connected to.
    pub destination_port: Option<u16>,
}

impl XClient {
    /// Parses what stands behind the verb.
    ///
    /// # Errors
    /// [`CommandError::Arguments`] if there is no attribute, [`CommandError::ParameterValue`] if one is malformed, and
    /// [`CommandError::UnknownParameter`] if one is not known.
    pub(crate) fn parse(arguments: &str) -> Result<Self, CommandError> {
        let mut client = Self::default();
        let mut attributes = arguments.split(' ').filter(|word| !word.is_empty()).peekable();
        if attributes.peek().is_none() {
            return Err(CommandError::Arguments);
        }
        attributes.try_for_each(|attribute| client.attribute(attribute))?;
        Ok(client)
    }

    fn attribute(&mut self, attribute: &str) -> Result<(), CommandError> {
        let (name, value) = attribute.split_once('=').ok_or(CommandError::Arguments)?;
        let value = decode(value)?;
        match name.to_ascii_uppercase().as_str() {
            // Whatever name the client's address has, it is not relied on here.
            "NAME" => {}
            "ADDR" => self.address = value.as_deref().map(parse_address).transpose()?,
            "PORT" => self.port = value.as_deref().map(parse_port).transpose()?,
            "HELO" => self.helo = value,
            "PROTO" => self.esmtp = value.as_deref().map(parse_protocol).transpose()?,
            "LOGIN" => self.login = value,
            "DESTADDR" => self.destination = value.as_deref().map(parse_address).transpose()?,
            "DESTPORT" => self.destination_port = value.as_deref().map(parse_port).transpose()?,
            _ => return Err(CommandError::UnknownParameter),
        }
        Ok(())
    }
}

/// A value in xtext; `None` if the proxy knows none.
fn decode(value: &str) -> Result<Option<String>, CommandError> {
    if value.eq_ignore_ascii_case("[UNAVAILABLE]") || value.eq_ignore_ascii_case("[TEMPUNAVAIL]") {
        return Ok(None);
    }
    xtext::decode(value)
        .and_then(|octets| String::from_utf8(octets).ok())
        .filter(|text| (1..=MAX_VALUE).contains(&text.len()) && !text.contains(char::is_control))
        .map(Some)
        .ok_or(CommandError::ParameterValue)
}

/// An IPv6 address has a prefix, as in an address literal (RFC 5321 §4.1.3).
fn parse_address(text: &str) -> Result<IpAddr, CommandError> {
    const IPV6: &str = "IPV6:";
    let address = match text.split_at_checked(IPV6.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(IPV6) => {
            rest.parse::<Ipv6Addr>().ok().map(IpAddr::from)
        }
        _ => text.parse().ok(),
    };
    address.map(|address| address.to_canonical()).ok_or(CommandError::ParameterValue)
}

fn parse_port(text: &str) -> Result<u16, CommandError> {
    text.parse().map_err(|_| CommandError::ParameterValue)
}

fn parse_protocol(text: &str) -> Result<bool, CommandError> {
    match text {
        _ if text.eq_ignore_ascii_case("ESMTP") => Ok(true),
        _ if text.eq_ignore_ascii_case("SMTP") => Ok(false),
        _ => Err(CommandError::ParameterValue),
    }
}
