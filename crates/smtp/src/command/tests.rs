use message::ReversePath;
use proptest::prelude::*;

use super::*;
use crate::parameters::{BodyType, Rcpt};

fn parse(line: &str) -> Result<Command<'_>, CommandError> {
    Command::parse(line.as_bytes())
}

fn code(line: &str) -> u16 {
    parse(line).map_or_else(|error| error.reply().code, |command| panic!("{command:?}"))
}

#[test]
fn verbs_know_no_case_and_bear_trailing_space() {
    assert_eq!(parse("qUiT  "), Ok(Command::Quit));
    assert_eq!(parse("ehlo [192.0.2.1]"), Ok(Command::Hello { esmtp: true, name: "[192.0.2.1]" }));
    assert_eq!(parse("HELO a_b"), Ok(Command::Hello { esmtp: false, name: "a_b" }));
    assert_eq!(parse("NOOP whatever"), Ok(Command::Noop));
    assert_eq!(parse("BDAT 0 last"), Ok(Command::Bdat { size: 0, last: true }));
    assert_eq!(parse("BDAT 86"), Ok(Command::Bdat { size: 86, last: false }));
}

#[test]
fn mail_and_rcpt_carry_paths() {
    let Ok(Command::Mail(mail)) = parse("MAIL FROM:<> BODY=8BITMIME") else { panic!() };
    assert_eq!((mail.reverse_path, mail.body), (ReversePath::Null, BodyType::EightBitMime));
    // A space behind the colon is tolerated.
    let Ok(Command::Rcpt(rcpt)) = parse("RCPT TO: <bob@example.test>") else { panic!() };
    assert_eq!(rcpt, RcptCommand::Address(Rcpt::new("bob@example.test".parse().unwrap())));
}

#[test]
fn each_error_has_its_reply() {
    assert_eq!(code("XYZZY"), 500);
    assert_eq!(code(""), 500);
    assert_eq!(code("NO\0OP"), 500);
    assert_eq!(code("NOOP \r x"), 500);
    assert_eq!(Command::parse(b"NOOP \xff").unwrap_err().reply().code, 500);
    assert_eq!(code("EXPN list"), 502);
    assert_eq!(code("TURN"), 502);
    assert_eq!(code("EHLO"), 501);
    assert_eq!(code("DATA now"), 501);
    assert_eq!(code("MAIL TO:<a@example.test>"), 501);
    assert_eq!(code("MAIL FROM:a@example.test"), 501);
    assert_eq!(code("MAIL FROM:<a@example.test"), 501);
    assert_eq!(code("MAIL FROM:<a@example.test>SIZE=1"), 501);
    assert_eq!(code("RCPT TO:<>"), 501);
    assert_eq!(code("RCPT TO:<bob>"), 501);
    assert_eq!(code("AUTH"), 501);
    assert_eq!(code("MAIL FROM:<> FOO=1"), 555);
    assert_eq!(code("RCPT TO:<b@example.test> SIZE=1"), 555);
}

#[test]
fn a_chunk_without_a_clear_size_is_an_error_of_its_own() {
    for line in ["BDAT", "BDAT x", "BDAT -1", "BDAT 1 FIRST", "BDAT +1", "BDAT 99999999999999999999"] {
        assert_eq!(parse(line), Err(CommandError::ChunkSize), "{line}");
    }
}

#[test]
fn http_is_told_apart() {
    for line in ["GET / HTTP/1.1", "post /x", "Host: mx.example.test", "CONNECT a:25 HTTP/1.1"] {
        assert!(is_http(line.as_bytes()), "{line}");
    }
    for line in ["HELP", "EHLO get", "HEADER", ""] {
        assert!(!is_http(line.as_bytes()), "{line}");
    }
}

proptest! {
    #[test]
    fn no_line_makes_the_parser_panic(line: Vec<u8>) {
        let _ = Command::parse(&line);
    }

    #[test]
    fn nothing_near_a_command_makes_the_parser_panic(
        line in "(MAIL FROM:|RCPT TO:|BDAT |AUTH )[<>@:\"\\\\a.ä= +\\[\\];,]{0,20}( (SIZE|RET|ENVID|ORCPT|NOTIFY|BODY)=?[a-zA-Z0-9+;,=\\\\{}x]{0,12}){0,3}"
    ) {
        let _ = Command::parse(line.as_bytes());
    }
}
