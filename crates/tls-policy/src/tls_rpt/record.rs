//! The TXT record that says where reports go (RFC 8460 §3).

use message::Address;

use crate::mta_sts::{is_extension_name, is_extension_value};

/// Destinations of one record that are looked at.
pub const MAX_DESTINATIONS: usize = 10;

/// A domain's `_smtp._tls` record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Those that can be used, at least one and at most [`MAX_DESTINATIONS`], in their order.
    pub destinations: Vec<Destination>,
}

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `mailto:`, in ASCII.
    Mail(Address),
    /// `https:`, the URI as it stands.
    Https(String),
}

/// Why a domain gets no reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// No TXT record begins with `v=TLSRPTv1;`, or more than one does (RFC 8460 §3).
    #[error("there is not exactly one TLSRPT record")]
    NotOne,
    /// It is malformed.
    #[error("the TLSRPT record is malformed")]
    Malformed,
    /// It names nothing that reports can be sent to.
    #[error("the TLSRPT record names no mailto or https address")]
    Nowhere,
}

/// The one record among all TXT records at [`record_name`](super::record_name).
pub fn select<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Record, RecordError> {
    let mut ours = texts.into_iter().filter(|text| is_version(text));
    match (ours.next(), ours.next()) {
        (Some(record), None) => Record::parse(record),
        _ => Err(RecordError::NotOne),
    }
}

impl Record {
    /// Parses the whole text of one record.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let mut fields = text.split(';').map(|field| field.trim_matches([' ', '\t']));
        if !is_version(text) || fields.next() != Some("v=TLSRPTv1") {
            return Err(RecordError::Malformed);
        }
        let fields: Vec<&str> = fields.collect();
        // One delimiter may stand at the end.
        let fields = fields.strip_suffix(&[""]).unwrap_or(&fields);
        let mut uris = Vec::new();
        for field in fields {
            let (name, value) = field.split_once('=').ok_or(RecordError::Malformed)?;
            match name {
                "rua" => uris.extend(value.split(',').map(|uri| uri.trim_matches([' ', '\t']))),
                name if is_extension_name(name) && is_extension_value(value) => {}
                _ => return Err(RecordError::Malformed),
            }
        }
        if uris.is_empty() || uris.contains(&"") {
            return Err(RecordError::Malformed);
        }
        // Of other schemes nothing is known.
        let destinations: Vec<_> =
            uris.into_iter().filter_map(Destination::parse).take(MAX_DESTINATIONS).collect();
        if destinations.is_empty() { Err(RecordError::Nowhere) } else { Ok(Self { destinations }) }
    }
}

impl Destination {
    fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.split_once(':')?;
        if scheme.eq_ignore_ascii_case("mailto") {
            // Header fields (RFC 6068) would be the domain's words in our mail.
            let address = rest.split('?').next()?;
            let address = Address::parse(&percent_decoded(address)?).ok()?;
            return address.to_ascii().map(Self::Mail);
        }
        let is_https = scheme.eq_ignore_ascii_case("https") && rest.starts_with("//");
        (is_https && uri.bytes().all(|octet| octet.is_ascii_graphic())).then(|| Self::Https(uri.to_owned()))
    }
}

fn is_version(text: &str) -> bool {
    text.strip_prefix("v=TLSRPTv1").is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(';'))
}

/// `%2C` and its like (RFC 3986 §2.1), which stand for what would part the fields of a record.
fn percent_decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    octets.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        octets.push(is_hexadecimal.then(|| u8::from_str_radix(digits, 16).ok()).flatten()?);
        octets.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destinations(text: &str) -> Result<Vec<String>, RecordError> {
        let shown = |destination: &Destination| match destination {
            Destination::Mail(address) => address.to_string(),
            Destination::Https(uri) => uri.clone(),
        };
        Record::parse(text).map(|record| record.destinations.iter().map(shown).collect())
    }

    #[test]
    fn destinations_come_in_their_order() {
        assert_eq!(
            destinations("v=TLSRPTv1; rua=mailto:reports@example.com").unwrap(),
            ["reports@example.com"]
        );
        // The comma inside the address is percent-encoded, or it would part two destinations; quoted, it is allowed.
        let text = "v=TLSRPTv1;rua=https://reports.example.com/v1/tlsrpt , MAILTO:%22a%2Cb%22@example.com?cc=x@y.test;x=1;";
        let expected = ["https://reports.example.com/v1/tlsrpt", "\"a,b\"@example.com"];
        assert_eq!(destinations(text).unwrap(), expected);
    }

    #[test]
    fn other_schemes_are_passed_over() {
        assert_eq!(
            destinations(
                "v=TLSRPTv1; rua=ftp://a.test/, http://a.test/, mailto:nobody, mailto:a%2@b.test, mailto:c@d.test"
            ),
            Ok(vec!["c@d.test".to_owned()])
        );
        assert_eq!(destinations("v=TLSRPTv1; rua=ftp://a.test/"), Err(RecordError::Nowhere));
    }

    #[test]
    fn malformed_records_are_refused() {
        for text in [
            "",
            "v=TLSRPTv1",
            "v=TLSRPTv1;",
            "v=tlsrptv1; rua=mailto:a@b.test",
            "v=TLSRPTv2; rua=mailto:a@b.test",
            "rua=mailto:a@b.test; v=TLSRPTv1",
            "v=TLSRPTv1; rua=",
            "v=TLSRPTv1; rua=mailto:a@b.test,",
            "v=TLSRPTv1;; rua=mailto:a@b.test",
            "v=TLSRPTv1; mailto:a@b.test",
        ] {
            assert_eq!(destinations(text), Err(RecordError::Malformed), "{text}");
        }
    }

    #[test]
    fn one_record_must_remain_of_all_texts_at_the_name() {
        let ours = "v=TLSRPTv1; rua=mailto:a@b.test";
        assert!(select(["v=spf1 -all", ours]).is_ok());
        assert_eq!(select([ours, ours]), Err(RecordError::NotOne));
        assert_eq!(select(["v=spf1 -all"]), Err(RecordError::NotOne));
    }
}
