use super::*;

fn patterns(reference: &str, pattern: &str) -> Patterns {
    let mut patterns = Patterns::default();
    patterns.add(reference, pattern);
    patterns
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

fn matches(pattern: &str, text: &str) -> bool {
    patterns("", pattern).matches(&name(text)).contains(&text.len())
}

#[test]
fn percent_stays_within_a_level_and_star_does_not() {
    for (pattern, name, expected) in [
        ("*", "a/b/c", true),
        ("%", "a", true),
        ("%", "a/b", false),
        ("a/%", "a/b", true),
        ("a/%", "a", false),
        ("a/%", "a/b/c", false),
        ("%/%", "a/b", true),
        ("a*c", "a/b/c", true),
        ("a%c", "abc", true),
        ("a%c", "a/c", false),
        ("a*", "a", true),
        ("*b*", "abc", true),
        ("ab", "abc", false),
        ("abc", "ab", false),
        ("", "a", false),
        ("été/%", "été/ü", true),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn inbox_has_no_case() {
    assert!(matches("inbox", "INBOX"));
    assert!(matches("iNb%", "INBOX"));
    assert!(matches("inbox/a", "INBOX/a"));
    assert!(!matches("inbox/A", "INBOX/a"));
    assert!(!matches("inboxes", "Inboxes"));
}

#[test]
fn the_reference_stands_before_the_pattern() {
    assert_eq!(patterns("a/", "%").matches(&name("a/b")), [3]);
    assert!(patterns("a/", "%").matches(&name("b")).is_empty());
}

#[test]
fn superiors_are_matched_with_the_name() {
    assert_eq!(patterns("", "%").matches(&name("ab/c/d")), [2]);
    assert_eq!(patterns("", "*").matches(&name("ab/c/d")), [2, 4, 6]);
    assert_eq!(patterns("", "*d").matches(&name("ab/c/d")), [6]);
    assert_eq!(patterns("", "inbox").matches(&name("INBOX/a")), [5]);
    let mut two = patterns("", "%");
    two.add("", "a*");
    assert_eq!(two.matches(&name("ab/c")), [2, 4]);
}

#[test]
fn wildcards_side_by_side_are_one() {
    for (pattern, text, fits) in [
        ("%*", "a/b", true),
        ("*%", "a/b", true),
        ("%%", "a/b", false),
        ("a%%", "a", true),
        ("**%*a", "b/a", true),
    ] {
        assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
    }
}

/// Names as long as they can be are many: the product of both lengths would be minutes.
#[test]
fn many_wildcards_take_no_longer() {
    let long = name(&"a".repeat(1_000));
    for _ in 0..100 {
        assert_eq!(patterns("", &"%a*".repeat(600)).matches(&long), [1_000]);
        assert!(patterns("", &format!("{}b", "*a".repeat(900))).matches(&long).is_empty());
    }
}

#[test]
fn patterns_have_a_length_together() {
    let mut patterns = patterns("", &"x".repeat(1_000));
    patterns.add("a", &"%".repeat(1_000));
    assert!(patterns.matches(&name("ab")).is_empty());
    patterns.add("a", "%");
    assert_eq!(patterns.matches(&name("ab")), [2]);
}
