//! DATA and BDAT.

use super::*;

#[test]
fn an_empty_message_is_a_message() {
    let mut served = Served::with_recipient(config());
    served.say("DATA");
    assert_eq!(served.code("."), 250);
    assert_eq!(served.heard, ["begin", "finish "]);
}

#[test]
fn a_bare_line_end_is_refused_at_the_true_end() {
    for content in ["a\nb", "a\rb", "a\r\n.\nb", "a\r\n.\r\r\nb", "a\n.\nMAIL FROM:<evil@example.test>"] {
        let mut served = Served::with_recipient(config());
        served.say("DATA");
        served.feed(content.as_bytes());
        assert_eq!(served.said(), "", "{content:?}");
        assert!(served.say("\r\n.").starts_with("550 5.6.0 "), "{content:?}");
        assert_eq!(served.heard.len(), 2, "{:?}", served.heard);
        assert!(served.heard[1].starts_with("abort Refused"), "{:?}", served.heard);
        assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250, "{content:?}");
    }
}

#[test]
fn a_declared_size_that_is_too_large_is_refused_at_mail() {
    let mut served = Served::greeted(config(), false);
    assert!(served.say("MAIL FROM:<a@example.test> SIZE=1001").starts_with("552 5.3.4 "));
    assert_eq!(served.code("MAIL FROM:<a@example.test> SIZE=1000"), 250);
}

#[test]
fn a_message_that_is_too_large_is_read_to_its_end() {
    let mut served = Served::with_recipient(config());
    served.say("DATA");
    for _ in 0..200 {
        served.feed(b"01234567\r\n");
    }
    assert_eq!(served.said(), "");
    assert!(served.heard.last().unwrap().starts_with("abort Refused"));
    assert!(served.say(".").starts_with("552 5.3.4 "));
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
}

#[test]
fn a_message_of_just_the_size_is_taken() {
    let mut served = Served::with_recipient(config());
    served.say("DATA");
    served.feed(&b"01234567\r\n".repeat(100));
    assert_eq!(served.code("."), 250);
}

#[test]
fn a_message_without_end_ends_the_session() {
    let mut served = Served::with_recipient(config());
    served.say("DATA");
    for _ in 0..40 {
        served.feed(&b"x".repeat(32 * 1024));
    }
    assert!(served.said().starts_with("552 5.3.4 "));
    assert!(served.closed);
}

#[test]
fn the_handler_can_refuse_a_message_in_its_middle() {
    let mut served = Served::with_recipient(config());
    served.say("DATA");
    served.feed(b"one\r\n");
    served.session.refuse_message(Reply::fixed(451, 3, 0, "Lost it"));
    served.feed(b"two\r\n");
    assert_eq!(served.content, &b"one\r\n"[..]);
    assert_eq!(served.say("."), "451 4.3.0 Lost it\r\n");
    assert_eq!(served.heard, ["begin"]);
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
}

#[test]
fn the_handler_can_refuse_to_begin() {
    let mut session = Session::new(Arc::new(config()), false);
    for (input, answer) in [
        ("", Reply::plain(220, "")),
        ("EHLO a.test\r\n", Reply::plain(250, "")),
        ("MAIL FROM:<>\r\n", Reply::plain(250, "")),
        ("RCPT TO:<b@example.test>\r\n", Reply::plain(250, "")),
    ] {
        session.input().extend_from_slice(input.as_bytes());
        session.poll();
        session.answer(answer);
    }
    session.output().clear();
    session.input().extend_from_slice(b"DATA\r\n");
    assert_eq!(session.poll(), Event::Body);
    session.answer(Reply::fixed(451, 3, 0, "Not now"));
    assert_eq!(session.poll(), Event::Read);
    assert_eq!(&session.output()[..], b"451 4.3.0 Not now\r\n");
    assert!(session.is_idle());
}

#[test]
fn whatever_the_handler_answers_with_421_closes() {
    let script: [&[&str]; 5] = [
        &["MAIL FROM:<>"],
        &["MAIL FROM:<>", "RCPT TO:<b@a.test>"],
        &["MAIL FROM:<>", "RCPT TO:<b@a.test>", "DATA"],
        &["MAIL FROM:<>", "RCPT TO:<b@a.test>", "BDAT 0"],
        &["AUTH PLAIN AGFsaWNlAHNlY3JldA=="],
    ];
    for commands in script {
        let mut served = Served::greeted(config(), true);
        let (last, before) = commands.split_last().unwrap();
        for command in before {
            served.say(command);
        }
        served.session.input().extend_from_slice(format!("{last}\r\n").as_bytes());
        served.session.poll();
        served.session.answer(Reply::fixed(421, 3, 0, "Enough"));
        served.feed(b"");
        assert_eq!(served.said(), "421 4.3.0 Enough\r\n", "{last}");
        assert!(served.closed, "{last}");
    }
}

#[test]
fn a_finish_with_421_closes() {
    let mut served = Served::with_recipient(config());
    served.say("DATA");
    served.session.input().extend_from_slice(b".\r\n");
    assert_eq!(served.session.poll(), Event::Finish);
    served.session.answer(Reply::fixed(421, 3, 0, "Going down"));
    assert_eq!(served.session.poll(), Event::Close);
    assert_eq!(&served.session.output()[..], b"421 4.3.0 Going down\r\n");
}

#[test]
fn chunks_make_a_message() {
    let mut served = Served::with_recipient(config());
    served.feed(b"BDAT 7\r\nSubject");
    assert_eq!(served.said(), "250 2.0.0 OK\r\n");
    served.feed(b"BDAT 8\r\n: x\n\r\n.\nBDAT 5 LAST\r\n.\r\nab");
    assert_eq!(served.said(), "250 2.0.0 OK\r\n250 2.0.0 Taken\r\n");
    assert_eq!(served.heard, ["begin", "finish Subject: x\\r\\n\\r\\n.\\r\\n.\\r\\nab"]);
    assert!(served.session.is_idle());
}

#[test]
fn an_empty_chunk_can_be_the_last_and_all_there_is() {
    let mut served = Served::with_recipient(config());
    assert_eq!(served.say("BDAT 0 LAST"), "250 2.0.0 Taken\r\n");
    assert_eq!(served.heard, ["begin", "finish "]);
}

#[test]
fn a_transaction_goes_by_pipelined_chunks() {
    let mut served = Served::greeted(config(), false);
    served.feed(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nBDAT 4 LAST\r\na\r\nbQUIT\r\n");
    let said = served.said();
    let codes: Vec<&str> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["250", "250", "250", "221"]);
}

#[test]
fn a_bare_cr_in_chunks_is_refused_at_the_end() {
    let mut served = Served::with_recipient(config());
    served.feed(b"BDAT 3\r\na\rbBDAT 2 LAST\r\n\r\n");
    let said = served.said();
    assert!(said.starts_with("250 2.0.0 OK\r\n550 5.6.0 "), "{said}");
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
}

#[test]
fn a_chunk_nobody_wants_is_not_taken_for_commands() {
    let mut served = Served::greeted(config(), false);
    served.feed(b"BDAT 31 LAST\r\nMAIL FROM:<evil@example.test>\r\nNOOP\r\n");
    let said = served.said();
    assert!(said.starts_with("503 5.5.1 ") && said.ends_with("250 2.0.0 OK\r\n"), "{said}");
    assert!(served.heard.is_empty());
}

#[test]
fn chunks_that_are_too_large_are_read_to_their_end() {
    let mut served = Served::with_recipient(config());
    served.feed(b"BDAT 900\r\n");
    served.feed(&[b'x'; 900]);
    assert_eq!(served.said(), "250 2.0.0 OK\r\n");
    served.feed(b"BDAT 200\r\n");
    assert!(served.heard.last().unwrap().starts_with("abort Refused"));
    served.feed(&[b'x'; 200]);
    assert!(served.said().starts_with("552 5.3.4 "));
    // Sent before that reply was read.
    served.feed(b"BDAT 5 LAST\r\nNOOP\n");
    assert!(served.said().starts_with("552 5.3.4 "));
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
}

#[test]
fn a_chunk_beyond_reason_ends_the_session() {
    for size in [10_000_000, u64::MAX] {
        let mut served = Served::with_recipient(config());
        assert!(served.say(&format!("BDAT {size} LAST")).starts_with("552 5.3.4 "));
        assert!(served.closed);
    }
}

#[test]
fn a_chunk_without_a_clear_size_ends_the_session() {
    let mut served = Served::with_recipient(config());
    assert!(served.say("BDAT many").starts_with("501 5.5.4 "));
    assert!(served.closed);
}

#[test]
fn data_and_rcpt_have_no_place_between_chunks() {
    let mut served = Served::with_recipient(config());
    served.feed(b"BDAT 1\r\na");
    served.said();
    assert_eq!(served.code("DATA"), 503);
    assert_eq!(served.code("RCPT TO:<c@example.test>"), 503);
    assert_eq!(served.code("MAIL FROM:<c@example.test>"), 503);
    assert_eq!(served.code("RSET"), 250);
    assert_eq!(served.heard, ["begin", "abort Reset"]);
}
