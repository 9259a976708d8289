//! How text is compared without regard to case: `i;unicode-casemap` (RFC 5051).

use unicode_normalization::UnicodeNormalization as _;

/// The key by which texts are compared and put in order: titlecase, decomposed (RFC 5051 §2).
///
/// Upper case stands for titlecase, which differs for a few digraphs.
pub fn casemap(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    text.chars().flat_map(char::to_uppercase).nfkd().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_composition_make_no_difference() {
        assert_eq!(casemap("Straße"), casemap("STRASSE"));
        assert_eq!(casemap("\u{e9}"), casemap("E\u{301}"));
        assert_eq!(casemap("a,B"), "A,B");
        assert!(casemap("éa") < casemap("f"));
    }
}
