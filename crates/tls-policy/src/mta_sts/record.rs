//! The TXT record that says that there is a policy, and when it changed (RFC 8461 §3.1).

use std::fmt;

/// The longest id.
const MAX_ID: usize = 32;

/// A domain's `_mta-sts` record: its policy is the one with this id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// 1 to 32 letters and digits; another one means another policy.
    pub id: String,
}

/// Why a domain has no usable record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// No TXT record begins with `v=STSv1;`.
    None,
    /// More than one does.
    Several,
    /// The one that does is malformed.
    Malformed,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "there is no MTA-STS record",
            Self::Several => "there is more than one MTA-STS record",
            Self::Malformed => "the MTA-STS record is malformed",
        })
    }
}

impl std::error::Error for RecordError {}

/// The one record among all TXT records at [`record_name`](super::record_name). Others are no concern of MTA-STS.
pub fn select<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Record, RecordError> {
    let mut ours = texts.into_iter().filter(|text| is_version(text));
    let record = ours.next().ok_or(RecordError::None)?;
    if ours.next().is_some() {
        return Err(RecordError::Several);
    }
    Record::parse(record)
}

impl Record {
    /// Parses the whole text of one record, its strings joined without anything between (RFC 8461 §3.1).
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let mut fields = text.split(';').map(|field| field.trim_matches([' ', '\t']));
        if !is_version(text) || fields.next() != Some("v=STSv1") {
            return Err(RecordError::Malformed);
        }
        let fields: Vec<&str> = fields.collect();
        // One delimiter may stand at the end.
        let fields = fields.strip_suffix(&[""]).unwrap_or(&fields);
        let mut ids = Vec::new();
        for field in fields {
            let (name, value) = field.split_once('=').ok_or(RecordError::Malformed)?;
            match name {
                "id" => ids.push(value),
                name if is_extension_name(name) && is_extension_value(value) => {}
                _ => return Err(RecordError::Malformed),
            }
        }
        match ids[..] {
            [id] if is_id(id) => Ok(Self { id: id.to_owned() }),
            _ => Err(RecordError::Malformed),
        }
    }
}

/// Whether a text claims to be a record of this version: `v=STSv1`, then a delimiter.
fn is_version(text: &str) -> bool {
    text.strip_prefix("v=STSv1").is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(';'))
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// `sts-ext-name`; also the names of fields in policies and of those in records of other standards (RFC 8460 §3).
pub(crate) fn is_extension_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// `sts-ext-value`: visible, without `;` and `=`.
pub(crate) fn is_extension_value(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && !b";=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Option<String> {
        Record::parse(text).ok().map(|record| record.id)
    }

    #[test]
    fn records_give_their_id() {
        for text in [
            "v=STSv1; id=20160831085700Z;",
            "v=STSv1; id=20160831085700Z",
            "v=STSv1;id=20160831085700Z",
            "v=STSv1 \t; \t id=20160831085700Z ; ",
            "v=STSv1; color=blue; id=20160831085700Z; x_y-z.1=!<>;",
        ] {
            assert_eq!(id(text).as_deref(), Some("20160831085700Z"), "{text}");
        }
        let longest = "a".repeat(32);
        assert_eq!(id(&format!("v=STSv1; id={longest}")), Some(longest));
    }

    #[test]
    fn malformed_records_are_refused() {
        for text in [
            "",
            "v=STSv1",
            "v=STSv1;",
            "V=STSv1; id=1",
            "v=stsv1; id=1",
            "v=STSv2; id=1",
            "v=STSv10; id=1",
            " v=STSv1; id=1",
            "id=1; v=STSv1",
            "v=STSv1; id=",
            "v=STSv1; id=a-b",
            "v=STSv1; id=ä",
            "v=STSv1; ID=1",
            "v=STSv1; id=1; id=2",
            "v=STSv1; id=1; id=1",
            "v=STSv1;; id=1",
            "v=STSv1; id=1;;",
            "v=STSv1; id=1; word",
            "v=STSv1; id=1; =value",
            "v=STSv1; id=1; name=",
            "v=STSv1; id=1; name=a b",
            "v=STSv1; id=1; name=a=b",
            "v=STSv1; id=1; -name=a",
            "v=STSv1, id=1",
        ] {
            assert_eq!(Record::parse(text), Err(RecordError::Malformed), "{text}");
        }
        assert_eq!(id(&format!("v=STSv1; id={}", "a".repeat(33))), None);
        assert_eq!(id(&format!("v=STSv1; id=1; {}=1", "a".repeat(33))), None);
    }

    #[test]
    fn one_record_must_remain_of_all_texts_at_the_name() {
        let ours = "v=STSv1; id=1";
        assert_eq!(select(["v=spf1 -all", ours, "v=STSv10; id=2"]), Ok(Record { id: "1".into() }));
        assert_eq!(select(["v=spf1 -all"]), Err(RecordError::None));
        assert_eq!(select([]), Err(RecordError::None));
        assert_eq!(select([ours, ours]), Err(RecordError::Several));
        assert_eq!(select([ours, "v=STSv1; broken"]), Err(RecordError::Several));
        assert_eq!(select(["v=STSv1; broken"]), Err(RecordError::Malformed));
    }
}
