use super::*;
use crate::store::SystemFlag;

fn written(write: impl FnOnce(&mut Responses)) -> String {
    let mut responses = Responses::default();
    write(&mut responses);
    String::from_utf8(responses.take().into_bytes().to_vec()).unwrap()
}

#[test]
fn strings_are_quoted_or_literals() {
    for (value, expected) in [
        ("", "\"\""),
        ("a b", "\"a b\""),
        ("a\"b\\c", "\"a\\\"b\\\\c\""),
        ("a\r\n* BYE", "{8}\r\na\r\n* BYE"),
        ("é", "{2}\r\né"),
        ("a\0b\tc", "{4}\r\nab\tc"),
    ] {
        assert_eq!(written(|to| _ = to.string(value.as_bytes())), expected, "{value:?}");
    }
    let long = "x".repeat(1_001);
    assert_eq!(written(|to| _ = to.string(long.as_bytes())), format!("{{1001}}\r\n{long}"));
    assert_eq!(written(|to| _ = to.nstring(None)), "NIL");
}

#[test]
fn nothing_in_a_text_ends_a_response() {
    let outcome = Outcome::no("CANNOT", "bad\r\n* BYE é");
    assert_eq!(written(|to| to.tagged("a1", &outcome)), "a1 NO [CANNOT] bad??* BYE ??\r\n");
}

#[test]
fn mailboxes_are_in_the_sessions_encoding() {
    let name = MailboxName::parse("Entwürfe/a\"b").unwrap();
    assert_eq!(written(|to| _ = to.mailbox(&name, Encoding::ModifiedUtf7)), "\"Entw&APw-rfe/a\\\"b\"");
    assert_eq!(written(|to| _ = to.mailbox(&name, Encoding::Utf8)), "\"Entwürfe/a\\\"b\"");
}

#[test]
fn flags_and_dates() {
    let mut flags = Flags::none().with(SystemFlag::Seen).with(SystemFlag::Answered);
    flags.set_keyword("$Forwarded");
    assert_eq!(written(|to| _ = to.flags(&flags)), "(\\Answered \\Seen $Forwarded)");
    assert_eq!(written(|to| _ = to.flags(&Flags::none())), "()");
    let date = "2024-02-01T05:06:07Z".parse().unwrap();
    assert_eq!(written(|to| _ = to.date_time(date)), "\"01-Feb-2024 05:06:07 +0000\"");
}

#[test]
fn uid_sets_are_as_short_as_can_be() {
    assert_eq!(uid_set(&[2, 4, 5, 6, 9].into_iter().collect()), "2,4:6,9");
    assert_eq!(uid_pairs(&[(3, 10), (5, 11), (6, 12)]), ("3,5:6".into(), "10:12".into()));
}

mod of_messages {
    use message::envelope::Envelope;
    use message::mime::Structure;

    use super::*;

    /// RFC 9051 §7.5.2's example, but for what RFC 2822 dates say.
    #[test]
    fn envelope_of_the_rfc() {
        let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n\
            Subject: IMAP4rev2 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n\
            Cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
            Message-Id: <B27397-0100000@cac.washington.ed>\r\n\r\n";
        let envelope = Envelope::parse(header.as_bytes());
        let gray = "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\"))";
        assert_eq!(
            written(|to| _ = to.envelope(&envelope)),
            format!(
                "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" \
                 {gray} {gray} {gray} ((NIL NIL \"imap\" \"cac.washington.edu\")) \
                 ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) \
                 NIL NIL \"<B27397-0100000@cac.washington.ed>\")"
            )
        );
    }

    #[test]
    fn groups_have_marks() {
        let envelope = Envelope::parse(b"To: A Group:Ed <joe@where.test>;\r\n\r\n");
        let text = written(|to| _ = to.envelope(&envelope));
        assert!(
            text.contains("((NIL NIL \"A Group\" NIL)(\"Ed\" NIL \"joe\" \"where.test\")(NIL NIL NIL NIL))"),
            "{text}"
        );
    }

    #[test]
    fn structure_of_a_multipart_with_a_message() {
        let message = "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\
            Content-Type: text/plain; charset=utf-8\r\n\r\none\r\ntwo\r\n--x\r\n\
            Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename*=utf-8''%C3%A9\r\n\r\n\
            Subject: in\r\n\r\nhello\r\n--x--\r\n";
        let structure = Structure::parse(message.as_bytes());
        let inner = "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 5 1 NIL NIL NIL NIL)";
        let text = written(|to| _ = to.structure(&structure, true));
        assert_eq!(
            text,
            format!(
                "((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 8 2 NIL NIL NIL NIL)\
                 (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 20 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) \
                 {inner} 3 NIL (\"attachment\" (\"filename*\" \"utf-8''%C3%A9\")) NIL NIL) \
                 \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)"
            )
        );
        let plain = written(|to| _ = to.structure(&structure, false));
        assert!(plain.ends_with("3) \"mixed\")"), "{plain}");
    }

    #[test]
    fn a_multipart_without_parts_has_one_all_the_same() {
        let structure = Structure::parse(b"Content-Type: multipart/mixed; boundary=x\r\n\r\nnothing\r\n");
        let text = written(|to| _ = to.structure(&structure, false));
        assert!(
            text.starts_with("((\"text\" \"plain\"") || text.starts_with("(\"text\" \"plain\""),
            "{text}"
        );
    }
}

#[test]
fn pieces_of_messages_are_written_where_they_belong() {
    let mut responses = Responses::default();
    let piece = Bytes::from(vec![b'x'; PIECE]);
    responses
        .raw("a")
        .text_piece(piece.clone())
        .text_piece(Bytes::from_static(b"b\0"))
        .text_piece(piece)
        .raw("c");
    assert_eq!(responses.len(), 2 * PIECE + 4);
    let x = "x".repeat(PIECE);
    let mut batch = responses.take();
    assert_eq!(responses.len(), 0);
    let mut slices = [std::io::IoSlice::new(&[]); 64];
    assert_eq!(batch.chunks_vectored(&mut slices), 5);
    // As after writes that took a part.
    let mut written = batch.copy_to_bytes(3).to_vec();
    written.extend_from_slice(&batch.copy_to_bytes(PIECE));
    written.extend_from_slice(&batch.into_bytes());
    let expected = [b"a", x.as_bytes(), b"b\x80", x.as_bytes(), b"c"].concat();
    assert!(written == expected);
}
