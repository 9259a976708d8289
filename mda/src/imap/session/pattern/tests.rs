use super::*;

fn matches(pattern: &str, name: &str) -> bool {
    Pattern::new("", pattern).unwrap().matches(&MailboxName::parse(name).unwrap())
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
    let pattern = Pattern::new("a/", "%").unwrap();
    assert!(pattern.matches(&MailboxName::parse("a/b").unwrap()));
    assert!(!pattern.matches(&MailboxName::parse("b").unwrap()));
}

#[test]
fn many_wildcards_take_no_longer() {
    let name = MailboxName::parse(&"a".repeat(1_000)).unwrap();
    let pattern = Pattern::new("", &"%a*".repeat(600)).unwrap();
    assert!(pattern.matches(&name));
    let pattern = Pattern::new("", &format!("{}b", "*a".repeat(900))).unwrap();
    assert!(!pattern.matches(&name));
    assert!(Pattern::new("", &"%".repeat(2_001)).is_err());
}
