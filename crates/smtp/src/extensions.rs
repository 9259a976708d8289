//! What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1): written by one side, read by the other.

use std::fmt::Write as _;

use crate::auth::Mechanisms;

#[cfg(test)]
mod tests;

/// The extensions that a server offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// SIZE (RFC 1870): octets that a message may have; 0 if there is no fixed limit.
    pub size: Option<u64>,
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// BINARYMIME (RFC 3030).
    pub binary_mime: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    pub enhanced_status_codes: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// AUTH (RFC 4954): the mechanisms known here.
    pub auth: Mechanisms,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// MT-PRIORITY (RFC 6710).
    pub mt_priority: bool,
    /// LIMITS (RFC 9422).
    pub limits: Limits,
}

/// LIMITS (RFC 9422): what a server takes; absent means not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// MAILMAX: transactions in a session.
    pub mail: Option<u32>,
    /// RCPTMAX: recipients in a transaction.
    pub rcpt: Option<u32>,
    /// RCPTDOMAINMAX: domains among the recipients of a transaction.
    pub rcpt_domains: Option<u32>,
}

impl Extensions {
    /// Reads the lines of a reply to EHLO: the greeting, then an extension each. What is not known is passed over, and
    /// of what stands twice the last counts.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut extensions = Self::default();
        for line in lines.into_iter().skip(1) {
            extensions.line(line);
        }
        extensions
    }

    fn line(&mut self, line: &str) {
        let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        match keyword.as_str() {
            "PIPELINING" => self.pipelining = true,
            "SIZE" => self.size = Some(words.next().and_then(|size| size.parse().ok()).unwrap_or(0)),
            "8BITMIME" => self.eight_bit_mime = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "CHUNKING" => self.chunking = true,
            "BINARYMIME" => self.binary_mime = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            "DSN" => self.dsn = true,
            // Also `AUTH=PLAIN`, for clients of the last century.
            "AUTH" => self.auth = self.auth.union(Mechanisms::parse(words)),
            "STARTTLS" => self.starttls = true,
            "REQUIRETLS" => self.require_tls = true,
            "MT-PRIORITY" => self.mt_priority = true,
            "LIMITS" => self.limits = Limits::parse(line),
            _ => {}
        }
    }

    /// The text of a reply to EHLO, lines parted by `\n`.
    pub fn advertise(&self, greeting: &str) -> String {
        let mut text = String::with_capacity(200);
        text.push_str(greeting);
        let flags = [
            (self.pipelining, "PIPELINING"),
            (self.eight_bit_mime, "8BITMIME"),
            (self.smtputf8, "SMTPUTF8"),
            (self.chunking, "CHUNKING"),
            (self.binary_mime, "BINARYMIME"),
            (self.enhanced_status_codes, "ENHANCEDSTATUSCODES"),
            (self.dsn, "DSN"),
            (self.starttls, "STARTTLS"),
            (self.require_tls, "REQUIRETLS"),
            (self.mt_priority, "MT-PRIORITY"),
        ];
        for (_, keyword) in flags.into_iter().filter(|(offered, _)| *offered) {
            text.push('\n');
            text.push_str(keyword);
        }
        // Writing to a `String` cannot fail.
        if let Some(size) = self.size {
            let _ = write!(text, "\nSIZE {size}");
        }
        if !self.auth.is_empty() {
            let _ = write!(text, "\nAUTH {}", self.auth);
        }
        self.limits.advertise(&mut text);
        text
    }
}

impl Limits {
    fn parse(line: &str) -> Self {
        let mut limits = Self::default();
        for limit in line.split(' ').skip(1) {
            let Some((name, value)) = limit.split_once('=') else { continue };
            // RFC 9422 §4: a limit is never 0.
            let value = value.parse().ok().filter(|value| *value > 0);
            match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => limits.mail = value,
                "RCPTMAX" => limits.rcpt = value,
                "RCPTDOMAINMAX" => limits.rcpt_domains = value,
                _ => {}
            }
        }
        limits
    }

    fn advertise(self, text: &mut String) {
        let limits = [("MAILMAX", self.mail), ("RCPTMAX", self.rcpt), ("RCPTDOMAINMAX", self.rcpt_domains)];
        let mut start = "\nLIMITS";
        for (name, value) in limits {
            if let Some(value) = value {
                let _ = write!(text, "{start} {name}={value}");
                start = "";
            }
        }
    }
}
