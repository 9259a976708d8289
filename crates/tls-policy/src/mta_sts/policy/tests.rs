use super::*;

/// RFC 8461 §3.2.
const EXAMPLE: &str = "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\n\
                       mx: backupmx.example.com\nmax_age: 604800\n";

fn parse(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(text.as_bytes())
}

#[test]
fn the_example_of_the_standard_is_understood_and_written_as_it_was() {
    let policy = parse(EXAMPLE).unwrap();
    assert_eq!((policy.mode, policy.max_age, policy.mx.len()), (Mode::Enforce, 604_800, 3));
    assert_eq!(policy.lines().join("\n") + "\n", EXAMPLE);
}

#[test]
fn lines_end_in_lf_or_crlf_and_the_last_one_as_it_likes() {
    let policy = parse(EXAMPLE);
    assert_eq!(parse(&EXAMPLE.replace('\n', "\r\n")), policy);
    assert_eq!(parse(EXAMPLE.trim_end()), policy);
    assert_eq!(parse(&EXAMPLE.replace('\n', " \t\n")), policy);
    assert_eq!(parse(&EXAMPLE.replace(": ", ":")), policy);
    assert_eq!(parse(&EXAMPLE.replacen('\n', "\r\n", 2)), policy);
    assert_eq!(parse(&format!("\n{EXAMPLE}\r\n \n")), policy);
}

#[test]
fn unknown_fields_are_skipped_and_the_first_of_repeated_ones_counts() {
    let more = format!("{EXAMPLE}mode: none\nversion: STSv2\nmax_age: 1\ncolour: grün und blau\n");
    assert_eq!(parse(&more), parse(EXAMPLE));
    assert_eq!(parse("max_age: 1\nmode: none\nversion: STSv1").unwrap().mode, Mode::None);
}

#[test]
fn malformed_policies_are_refused_with_the_field() {
    use PolicyError::{MaxAge, Mode, Mx, Syntax, Version};
    for (from, to, error) in [
        ("version: STSv1\n", "", Version),
        ("STSv1", "STSv2", Version),
        ("STSv1", "stsv1", Version),
        ("mode: enforce\n", "", Mode),
        ("enforce", "Enforce", Mode),
        ("enforce", "strict", Mode),
        ("max_age: 604800\n", "", MaxAge),
        ("604800", "-1", MaxAge),
        ("604800", "1 week", MaxAge),
        ("604800", "12345678901", MaxAge),
        ("mx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\n", "", Mx),
        ("*.example.net", "*", Mx),
        ("*.example.net", "*.", Mx),
        ("*.example.net", "m*.example.net", Mx),
        ("*.example.net", "*.*.example.net", Mx),
        ("*.example.net", ".example.net", Mx),
        ("*.example.net", "mx..example.net", Mx),
        ("*.example.net", "mx.example.net.", Mx),
        ("*.example.net", "-mx.example.net", Mx),
        ("*.example.net", "büro.example.net", Mx),
        ("mx: *.example.net", "mx:", Syntax),
        ("mx: *.example.net", "mx *.example.net", Syntax),
        ("mx: *.example.net", ": *.example.net", Syntax),
        ("mx: *.example.net", "x: \u{7}", Syntax),
        ("mx: *.example.net", "x: a\rb", Syntax),
    ] {
        let text = EXAMPLE.replace(from, to);
        assert_ne!(text, EXAMPLE);
        assert_eq!(parse(&text), Err(error), "{text}");
    }
    assert_eq!(parse(""), Err(Version));
    assert_eq!(Policy::parse(b"version: STSv1\n\xff"), Err(Syntax));
}

#[test]
fn size_and_age_have_limits() {
    let padded = |length: usize| format!("{EXAMPLE}x: {}\n", "y".repeat(length));
    let room = MAX_POLICY_SIZE - padded(0).len();
    assert!(parse(&padded(room)).is_ok());
    assert_eq!(parse(&padded(room + 1)), Err(PolicyError::TooLarge));
    assert_eq!(parse(&EXAMPLE.replace("604800", "9999999999")).unwrap().max_age, 31_557_600);
}

#[test]
fn a_policy_of_too_many_hosts_is_none() {
    let naming = |number: usize| {
        let mx: Vec<String> = (0..number).map(|number| format!("mx: {number}.example.com\n")).collect();
        parse(&format!("version: STSv1\nmode: enforce\nmax_age: 60\n{}", mx.concat()))
    };
    assert_eq!(naming(MAX_PATTERNS).unwrap().mx.len(), MAX_PATTERNS);
    assert_eq!(naming(MAX_PATTERNS + 1), Err(PolicyError::TooManyHosts));
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let policy = parse(EXAMPLE).unwrap();
    for host in ["mail.example.com", "MAIL.Example.COM", "mx1.example.net", "backupmx.example.com"] {
        assert!(policy.allows(host), "{host}");
    }
    for host in ["example.net", ".example.net", "a.b.example.net", "mx1.example.com", "mail.example.com.", ""]
    {
        assert!(!policy.allows(host), "{host}");
    }
}

#[test]
fn a_policy_read_back_from_a_file_is_the_same() {
    let policy = parse(EXAMPLE).unwrap();
    let text = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    assert!(serde_json::from_str::<Policy>(&text.replace("mail.example.com", "no host")).is_err());
}
