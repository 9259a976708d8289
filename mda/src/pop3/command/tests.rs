use proptest::prelude::*;

use super::*;

fn parse(line: &str) -> Result<Command, CommandError> {
    Command::parse(line.as_bytes())
}

#[test]
fn keywords_are_read_in_any_case() {
    assert!(parse("stat") == Ok(Command::Stat));
    assert!(parse("Retr 7") == Ok(Command::Retr(7)));
    assert!(parse("uidl") == Ok(Command::Uidl(None)));
    assert!(parse("UIDL 3") == Ok(Command::Uidl(Some(3))));
    assert!(parse("TOP 2 0") == Ok(Command::Top { message: 2, lines: 0 }));
    assert!(parse("NOOP ") == Ok(Command::Noop));
    assert!(parse("utf8") == Ok(Command::Utf8));
    assert!(parse("LANG") == Ok(Command::Lang(None)));
    assert!(parse("LANG en-GB") == Ok(Command::Lang(Some("en-GB".into()))));
}

#[test]
fn a_password_keeps_its_spaces() {
    assert!(parse("PASS  two  words ") == Ok(Command::Pass(" two  words ".into())));
    assert!(parse("PASS") == Err(CommandError::Arguments));
    assert!(parse("USER ") == Err(CommandError::Arguments));
}

#[test]
fn auth_has_a_mechanism_and_perhaps_a_response() {
    let auth = |initial: Option<&[u8]>| {
        Ok(Command::Auth { mechanism: "PLAIN".into(), initial: initial.map(<[u8]>::to_vec) })
    };
    assert!(parse("AUTH plain") == auth(None));
    assert!(parse("AUTH PLAIN =") == auth(Some(b"=")));
    assert!(parse("AUTH") == Err(CommandError::Arguments));
    assert!(parse("AUTH PLAIN a b") == Err(CommandError::Arguments));
}

#[test]
fn message_numbers_are_digits_from_1() {
    for line in ["RETR 0", "RETR +1", "RETR -1", "RETR 1x", "RETR 4294967296", "DELE ١", "TOP 1 -1"] {
        assert!(parse(line) == Err(CommandError::Number), "{line}");
    }
    for line in
        ["RETR", "RETR ", "RETR 1 2", "TOP 1", "TOP 1 2 3", "STAT 1", "LIST 1 2", "UTF8 USER", "LANG a b"]
    {
        assert!(parse(line) == Err(CommandError::Arguments), "{line}");
    }
}

#[test]
fn what_is_no_command_is_an_error() {
    for line in ["", " ", "GET / HTTP/1.1", "APOP tim c4c9334bac560ecc979e58001b3e22fb", "XTND"] {
        assert!(parse(line) == Err(CommandError::Unknown), "{line}");
    }
    assert!(Command::parse(b"USER \xff") == Err(CommandError::Text));
    assert!(parse("USER a\0b") == Err(CommandError::Text));
    assert!(parse(&format!("USER {}", "a".repeat(1025))) == Err(CommandError::TooLong));
}

#[test]
fn secrets_are_not_printed() {
    let command = Command::Pass("tanstaaf".into());
    assert_eq!(format!("{command:?}"), "PASS");
}

proptest! {
    #[test]
    fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Command::parse(&line);
    }

    #[test]
    fn a_command_with_any_tail_never_panics(
        keyword in "(?i)USER|PASS|AUTH|LIST|UIDL|RETR|TOP|DELE|STAT",
        tail in ".{0,40}",
    ) {
        let _ = parse(&format!("{keyword} {tail}"));
    }

    #[test]
    fn numbers_are_read_as_they_are_written(number in 1u32..) {
        let parsed = parse(&format!("DELE {number}"));
        prop_assert!(parsed == Ok(Command::Dele(number)));
    }
}
