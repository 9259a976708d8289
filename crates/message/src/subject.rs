//! Subjects without what replies and forwards add to them (RFC 5256 §2.1).

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::words;

/// What is left of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseSubject {
    /// The text that a conversation has in common; case matters to who reads it, not to who compares it.
    pub text: String,
    /// Something was taken off that marks a reply or a forward.
    pub is_reply: bool,
}

impl BaseSubject {
    /// Reads the value of a `Subject` field.
    pub fn of(value: &[u8]) -> Self {
        let decoded = words::decode(value);
        let spaced = single_spaced(&decoded);
        let mut text: &str = &spaced;
        let mut is_reply = false;
        loop {
            (text, is_reply) = without_trailers(text, is_reply);
            (text, is_reply) = without_leaders(text, is_reply);
            match without_forward(text) {
                Some(inner) => {
                    text = inner;
                    is_reply = true;
                }
                None => return Self { text: text.to_owned(), is_reply },
            }
        }
    }
}

/// Step 1: tabs are blanks, and several blanks one.
fn single_spaced(text: &str) -> Cow<'_, str> {
    if !text.contains("  ") && !text.contains(['\t', '\r', '\n']) {
        return Cow::Borrowed(text);
    }
    let mut spaced = String::with_capacity(text.len());
    for character in text.chars() {
        let blank = matches!(character, ' ' | '\t' | '\r' | '\n');
        if !blank {
            spaced.push(character);
        } else if !spaced.ends_with(' ') {
            spaced.push(' ');
        }
    }
    Cow::Owned(spaced)
}

/// Step 2: `subj-trailer = "(fwd)" / WSP`
fn without_trailers(text: &str, mut is_reply: bool) -> (&str, bool) {
    let mut left = text;
    loop {
        left = left.trim_end_matches(' ');
        match left.len().checked_sub(5).and_then(|at| left.split_at_checked(at)) {
            Some((rest, end)) if end.eq_ignore_ascii_case("(fwd)") => {
                left = rest;
                is_reply = true;
            }
            _ => return (left, is_reply),
        }
    }
}

/// Steps 3 to 5: leaders, and blobs that something stands behind.
fn without_leaders(text: &str, mut is_reply: bool) -> (&str, bool) {
    let mut left = text;
    loop {
        if let Some(rest) = left.strip_prefix(' ') {
            left = rest;
        } else if let Some(rest) = behind_reply(left) {
            left = rest;
            is_reply = true;
        } else if let Some(rest) = behind_blob(left).filter(|rest| !rest.is_empty()) {
            left = rest;
        } else {
            return (left, is_reply);
        }
    }
}

/// `*subj-blob subj-refwd`, where `subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`
fn behind_reply(text: &str) -> Option<&str> {
    let mut left = text;
    while let Some(rest) = behind_blob(left) {
        left = rest;
    }
    let behind = ["fwd", "fw", "re"].iter().find_map(|word| {
        let (start, rest) = left.split_at_checked(word.len())?;
        start.eq_ignore_ascii_case(word).then_some(rest)
    })?;
    let behind = behind.trim_start_matches(' ');
    behind_blob(behind).unwrap_or(behind).strip_prefix(':')
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`
fn behind_blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    Some(inside[end..].strip_prefix(']')?.trim_start_matches(' '))
}

/// Step 6: `"[fwd:" subject "]"`
fn without_forward(text: &str) -> Option<&str> {
    let (start, inner) = text.split_at_checked(5)?;
    if start.eq_ignore_ascii_case("[fwd:") { inner.strip_suffix(']') } else { None }
}
