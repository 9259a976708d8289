use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

fn encoded(reply: &Reply) -> String {
    let mut output = BytesMut::new();
    reply.encode(&mut output);
    String::from_utf8(output.to_vec()).unwrap()
}

fn parsed(text: &str) -> Result<Option<Reply>, ReplyError> {
    Parser::default().parse(&mut BytesMut::from(text))
}

#[test]
fn every_line_has_the_code_and_the_enhanced_code() {
    let reply = Reply::fixed(550, 1, 1, "No such user\nTry another");
    assert_eq!(encoded(&reply), "550-5.1.1 No such user\r\n550 5.1.1 Try another\r\n");
    assert_eq!(parsed(&encoded(&reply)), Ok(Some(reply)));
}

#[test]
fn nothing_in_the_text_can_break_out_of_the_line() {
    assert_eq!(encoded(&Reply::new(250, 0, 0, "a\rb\0c")), "250 2.0.0 a b c\r\n");
}

#[test]
fn long_lines_are_wrapped_between_characters() {
    let text = "ä".repeat(600);
    let encoded = encoded(&Reply::new(450, 0, 0, text));
    assert!(encoded.lines().count() > 1);
    assert!(encoded.split_inclusive("\r\n").all(|line| line.len() <= 512));
    assert_eq!(encoded.matches('ä').count(), 600);
}

#[test]
fn replies_arrive_in_pieces_and_one_behind_the_other() {
    let mut parser = Parser::default();
    let mut input = BytesMut::from(&b"250-mx.example.test\r\n250-SI"[..]);
    assert_eq!(parser.parse(&mut input), Ok(None));
    input.extend_from_slice(b"ZE 1000\r\n250 DSN\r\n354\r\n");
    let first = parser.parse(&mut input).unwrap().unwrap();
    assert_eq!(first, Reply::plain(250, "mx.example.test\nSIZE 1000\nDSN"));
    assert_eq!(parser.parse(&mut input), Ok(Some(Reply::plain(354, ""))));
    assert_eq!(parser.parse(&mut input), Ok(None));
}

#[test]
fn an_enhanced_code_of_another_class_is_text() {
    let reply = parsed("250 5.1.1 what\r\n").unwrap().unwrap();
    assert_eq!((reply.enhanced, &*reply.text), (None, "5.1.1 what"));
    let reply = parsed("220 10.0.0.1 ready\r\n").unwrap().unwrap();
    assert_eq!((reply.enhanced, &*reply.text), (None, "10.0.0.1 ready"));
}

#[test]
fn what_is_no_reply_is_refused() {
    for text in
        ["hello\r\n", "25 OK\r\n", "250x\r\n", "999 no\r\n", "150 no\r\n", "250-a\r\n550 b\r\n", "\r\n"]
    {
        assert!(matches!(parsed(text), Err(ReplyError::Malformed(_))), "{text:?}");
    }
}

#[test]
fn a_peer_cannot_make_a_reply_endless() {
    assert_eq!(parsed(&"2".repeat(10_000)), Err(ReplyError::TooLong));
    assert_eq!(parsed(&"250-and so on\r\n".repeat(100_000)), Err(ReplyError::TooLong));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_replies(cut in 0..60_usize) {
        let text = b"250-a\r\n250 2.1.0 b\r\n550 5.7.1 no\r\n354 go\r\n";
        let mut parser = Parser::default();
        let mut input = BytesMut::new();
        let mut codes = Vec::new();
        let (head, tail) = text.split_at(cut.min(text.len()));
        for piece in [head, tail] {
            input.extend_from_slice(piece);
            while let Some(reply) = parser.parse(&mut input).unwrap() {
                codes.push(reply.code);
            }
        }
        prop_assert_eq!(codes, vec![250, 550, 354]);
    }

    #[test]
    fn no_octets_make_the_parser_panic(octets: Vec<u8>) {
        let mut parser = Parser::default();
        let mut input = BytesMut::from(&octets[..]);
        while let Ok(Some(_)) = parser.parse(&mut input) {}
    }
}
