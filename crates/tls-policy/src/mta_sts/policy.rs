//! The policy file (RFC 8461 §3.2).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::is_extension_name;

/// Octets of a policy file that are read at most (RFC 8461 §3.2 suggests this limit).
pub const MAX_POLICY_SIZE: usize = 64 * 1024;

/// Hosts and patterns that a policy may name. RFC 8461 sets no limit, and who has more hosts than this names them by a
/// pattern; without a limit a policy is tens of megabytes in memory and in reports for its 64 KiB. What is behind the
/// limit must not be left out, because an enforced policy would refuse these hosts.
pub const MAX_PATTERNS: usize = 100;

/// The longest that a policy holds: about a year (RFC 8461 §3.2). A longer `max_age` counts as this one.
pub const MAX_AGE: Duration = Duration::from_hours(8_766);

/// What a domain asks of those who send mail to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What to do with a host that does not fit.
    pub mode: Mode,
    /// The hosts that may take the domain's mail; not empty, unless the mode is [`Mode::None`].
    pub mx: Vec<MxPattern>,
    /// How long it holds from the time it was fetched, in seconds; at most [`MAX_AGE`].
    pub max_age: u64,
}

/// What to do with a host that does not fit the policy (RFC 8461 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It gets no mail.
    Enforce,
    /// It gets the mail; what does not fit is reported.
    Testing,
    /// There is no policy any more.
    None,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        })
    }
}

/// Why a file is no policy; names the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Larger than [`MAX_POLICY_SIZE`].
    #[error("the policy is larger than 64 KiB")]
    TooLarge,
    /// Not UTF-8, or a line that is no field.
    #[error("a line of the policy is no field")]
    Syntax,
    /// `version` is missing, or is not `STSv1`.
    #[error("the policy's version is not STSv1")]
    Version,
    /// `mode` is missing or unknown.
    #[error("the policy's mode is missing or unknown")]
    Mode,
    /// `max_age` is missing or no number.
    #[error("the policy's max_age is missing or no number")]
    MaxAge,
    /// More than [`MAX_PATTERNS`].
    #[error("the policy names more than {MAX_PATTERNS} hosts")]
    TooManyHosts,
    /// No `mx` where there must be one, or one that is no host name.
    #[error("the policy's mx is missing or no host name")]
    Mx,
}

impl Policy {
    /// Parses a policy file. Of fields that may stand once the first counts; unknown fields are skipped.
    pub fn parse(file: &[u8]) -> Result<Self, PolicyError> {
        if file.len() > MAX_POLICY_SIZE {
            return Err(PolicyError::TooLarge);
        }
        let text = std::str::from_utf8(file).map_err(|_| PolicyError::Syntax)?;
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in lines(text) {
            let (name, value) = field(line)?;
            match name {
                "version" => _ = version.get_or_insert(value),
                "mode" => _ = mode.get_or_insert(value),
                "max_age" => _ = max_age.get_or_insert(value),
                "mx" if mx.len() >= MAX_PATTERNS => return Err(PolicyError::TooManyHosts),
                "mx" => mx.push(MxPattern::parse(value).ok_or(PolicyError::Mx)?),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(PolicyError::Version);
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            _ => return Err(PolicyError::Mode),
        };
        if mx.is_empty() && mode != Mode::None {
            return Err(PolicyError::Mx);
        }
        let max_age = max_age.and_then(seconds).ok_or(PolicyError::MaxAge)?;
        Ok(Self { mode, mx, max_age: max_age.min(MAX_AGE.as_secs()) })
    }

    /// Whether `host` may take the domain's mail (RFC 8461 §4.1).
    pub fn allows(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| pattern.matches(host))
    }

    /// Octets that it takes, roughly.
    pub(super) fn octets(&self) -> usize {
        self.mx.iter().map(|pattern| size_of::<MxPattern>() + pattern.name.len()).sum()
    }

    /// Its fields, a line each, as reports show it (RFC 8460 §4.4).
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec!["version: STSv1".to_owned(), format!("mode: {}", self.mode)];
        lines.extend(self.mx.iter().map(|pattern| format!("mx: {pattern}")));
        lines.push(format!("max_age: {}", self.max_age));
        lines
    }
}

/// Lines end in LF or CRLF; the last one may go without. Empty ones, which the standard does not know and editors
/// leave, say nothing: taking them for a fault would leave the domain without its policy.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    lines.filter(|line| !line.trim_matches([' ', '\t']).is_empty())
}

/// `name: value`, without the spaces around the value.
fn field(line: &str) -> Result<(&str, &str), PolicyError> {
    let (name, value) = line.split_once(':').ok_or(PolicyError::Syntax)?;
    let value = value.trim_matches([' ', '\t']);
    let is_clean = !value.is_empty() && !value.contains(|c: char| c.is_control());
    (is_extension_name(name) && is_clean).then_some((name, value)).ok_or(PolicyError::Syntax)
}

/// `1*10(DIGIT)`.
fn seconds(text: &str) -> Option<u64> {
    let is_number = text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// A host name, or `*.` and a domain: every host one label below that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MxPattern {
    /// In lower case, without `*.`.
    name: String,
    wildcard: bool,
}

impl MxPattern {
    fn parse(text: &str) -> Option<Self> {
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        is_host_name(name).then(|| Self { name: name.to_ascii_lowercase(), wildcard })
    }

    /// Whether it stands for `host`, which is in ASCII, in whichever case.
    pub fn matches(&self, host: &str) -> bool {
        let host = if self.wildcard {
            match host.split_once('.') {
                Some((label, parent)) if !label.is_empty() => parent,
                _ => return false,
            }
        } else {
            host
        };
        self.name.eq_ignore_ascii_case(host)
    }
}

impl fmt::Display for MxPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.wildcard { "*." } else { "" }, self.name)
    }
}

impl From<MxPattern> for String {
    fn from(pattern: MxPattern) -> Self {
        pattern.to_string()
    }
}

impl TryFrom<String> for MxPattern {
    type Error = PolicyError;

    fn try_from(text: String) -> Result<Self, PolicyError> {
        Self::parse(&text).ok_or(PolicyError::Mx)
    }
}

/// `Domain` of RFC 5321 §4.1.2: labels of letters, digits and hyphens.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests;
