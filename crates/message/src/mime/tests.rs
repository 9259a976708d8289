use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::corpus;

/// The structure as text, a line for each part, two blanks deeper than what it lies in.
fn outline(message: &[u8]) -> String {
    let structure = Structure::parse(message);
    let mut outline = String::new();
    let mut open = vec![(structure.root(), 0)];
    while let Some((part, depth)) = open.pop() {
        let indent = depth * 2;
        let _ = writeln!(outline, "{:indent$}{}/{} {}", "", part.media_type, part.subtype, part.lines);
        let children: Vec<&Part> = structure.children(part).chain(structure.message_in(part)).collect();
        open.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
    }
    outline
}

fn text<'a>(message: &'a [u8], path: &[u32], section: Section) -> Option<&'a str> {
    let range = Structure::parse(message).section(path, section)?;
    Some(std::str::from_utf8(&message[range]).expect("ASCII"))
}

const NESTED: &[u8] = b"Subject: outer\r\n\
Content-Type: multipart/mixed; boundary=\"out\"\r\n\
\r\n\
preamble\r\n\
--out\r\n\
\r\n\
one\r\n\
--out\r\n\
Content-Type: message/rfc822\r\n\
Content-Description: a forward\r\n\
\r\n\
Subject: inner\r\n\
From: bob@example.test\r\n\
Content-Type: multipart/alternative; boundary=in\r\n\
\r\n\
--in\r\n\
Content-Type: text/html; charset=utf-8\r\n\
\r\n\
<p>two.one\r\n\
\r\n\
--in\t \r\n\
Content-Type: IMAGE/Gif\r\n\
Content-Transfer-Encoding: BASE64 (really)\r\n\
Content-ID: <id@x>\r\n\
Content-MD5: abc==\r\n\
Content-Disposition: attachment; filename*=utf-8''%C3%A9.gif\r\n\
Content-Language: en, de\r\n\
Content-Location: http://x/\r\n y\r\n\
\r\n\
R0lG\r\n\
--in--\r\n\
inner epilogue\r\n\
--out--\r\n\
epilogue\r\n";

#[test]
fn parts_lie_in_parts() {
    assert_eq!(
        outline(NESTED),
        "multipart/mixed 32\n  text/plain 1\n  message/rfc822 22\n    multipart/alternative 18\n      text/html 1\n      image/gif 1\n"
    );
}

/// RFC 9051 §6.4.5.1.
#[test]
fn sections_are_found_by_number() {
    use Section::{Header, Mime, Text, Whole};
    let read = |path: &[u32], section| text(NESTED, path, section);
    assert_eq!(read(&[], Whole).map(str::len), Some(NESTED.len()));
    assert!(read(&[], Header).is_some_and(|header| header.ends_with("\"out\"\r\n\r\n")));
    assert!(
        read(&[], Text).is_some_and(|body| body.starts_with("preamble") && body.ends_with("epilogue\r\n"))
    );
    assert_eq!(read(&[], Mime), None);
    assert_eq!(read(&[1], Whole), Some("one"));
    assert_eq!(read(&[1], Mime), Some("\r\n"));
    assert_eq!(read(&[1], Header), None);
    assert_eq!(
        read(&[2], Mime),
        Some("Content-Type: message/rfc822\r\nContent-Description: a forward\r\n\r\n")
    );
    assert!(
        read(&[2], Whole)
            .is_some_and(|body| body.starts_with("Subject: inner") && body.ends_with("inner epilogue"))
    );
    assert!(
        read(&[2], Header)
            .is_some_and(|header| header.starts_with("Subject: inner") && header.ends_with("=in\r\n\r\n"))
    );
    assert!(read(&[2], Text).is_some_and(|body| body.starts_with("--in\r\n") && body.ends_with("epilogue")));
    assert_eq!(read(&[2, 1], Whole), Some("<p>two.one\r\n"));
    assert_eq!(read(&[2, 1], Mime), Some("Content-Type: text/html; charset=utf-8\r\n\r\n"));
    assert_eq!(read(&[2, 2], Whole), Some("R0lG"));
    for path in [&[0][..], &[3], &[1, 1], &[2, 0], &[2, 3], &[2, 2, 1], &[u32::MAX]] {
        assert_eq!(read(path, Whole), None, "{path:?}");
    }
}

#[test]
fn a_message_without_parts_is_its_own_part_1() {
    use Section::{Header, Mime, Whole};
    let message = b"Subject: x\r\n\r\nbody\r\nmore";
    assert_eq!(text(message, &[1], Whole), Some("body\r\nmore"));
    assert_eq!(text(message, &[1], Mime), Some("Subject: x\r\n\r\n"));
    assert_eq!(text(message, &[1], Header), None);
    assert_eq!(text(message, &[1, 1], Whole), None);
    assert_eq!(text(message, &[2], Whole), None);
    assert_eq!(Structure::parse(message).root().lines, 2);

    let forward = b"Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\ninner";
    assert_eq!(text(forward, &[1], Header), Some("Subject: y\r\n\r\n"));
    assert_eq!(text(forward, &[1, 1], Whole), Some("inner"));
    assert_eq!(text(forward, &[1, 1, 1], Whole), None);
}

#[test]
fn fields_of_a_part_are_read() {
    let structure = Structure::parse(NESTED);
    let image = structure.part(&[2, 2]).expect("the image");
    assert_eq!(image.encoding, Encoding::Base64);
    assert_eq!(image.id.as_deref(), Some("<id@x>"));
    assert_eq!(image.md5.as_deref(), Some("abc=="));
    assert_eq!(image.languages, ["en", "de"]);
    assert_eq!(image.location.as_deref(), Some("http://x/y"));
    let disposition = image.disposition.as_ref().expect("a disposition");
    assert_eq!(disposition.kind, "attachment");
    assert_eq!(
        disposition.parameters,
        [Parameter { name: "filename".into(), value: "é.gif".into(), extended: true }]
    );
    let forward = structure.part(&[2]).expect("the forward");
    assert_eq!(forward.description.as_deref(), Some("a forward"));
    let Body::Message { envelope, .. } = &forward.content else { panic!("not a message") };
    assert_eq!(envelope.subject.as_deref(), Some("inner"));
    assert_eq!(envelope.from, crate::address_list::parse(b"bob@example.test"));
}

#[test]
fn parts_of_a_digest_are_messages() {
    let message = b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: one\r\n\r\nx\r\n--b\r\nContent-Type: text/plain\r\n\r\ny\r\n--b--\r\n";
    assert_eq!(
        outline(message),
        "multipart/digest 10\n  message/rfc822 3\n    text/plain 1\n  text/plain 1\n"
    );
    assert_eq!(text(message, &[1], Section::Header), Some("Subject: one\r\n\r\n"));
}

#[test]
fn what_makes_no_sense_is_text() {
    for (header, outlined) in [
        ("Content-Type: multipart/mixed", "text/plain 3\n"),
        ("Content-Type: multipart/mixed; boundary=\" \"", "text/plain 3\n"),
        ("Content-Type: multipart/mixed; boundary=other", "text/plain 3\n"),
        ("Content-Type: nonsense", "text/plain 3\n"),
        ("Content-Type: text/ht ml", "text/plain 3\n"),
        ("Content-Type:", "text/plain 3\n"),
        ("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64", "application/octet-stream 3\n"),
        ("Content-Type: message/partial; id=x; number=1", "message/partial 3\n"),
    ] {
        assert_eq!(
            outline(format!("{header}\r\n\r\n--b\r\nx\r\n--b--\r\n").as_bytes()),
            outlined,
            "{header}"
        );
    }
    assert_eq!(outline(b""), "text/plain 0\n");
}

#[test]
fn delimiters_end_what_is_open() {
    // A header without its blank line; an inner multipart that is never closed; delimiters without anything between.
    let message = b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\nX: y\n--a\n--a\n\nlast\n--b\n--a--";
    assert_eq!(
        outline(message),
        "multipart/mixed 11\n  multipart/mixed 2\n    text/plain 0\n  text/plain 0\n  text/plain 2\n"
    );
    assert_eq!(text(message, &[1, 1], Section::Mime), Some("X: y"));
    assert_eq!(text(message, &[3], Section::Whole), Some("last\n--b"));
}

#[test]
fn a_line_that_only_begins_like_a_delimiter_is_text() {
    let message = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n--ab\r\n --a\r\n--a-\r\n--a--b\r\n--a\r\n\r\n--A\r\n--a--";
    assert_eq!(text(message, &[1], Section::Whole), Some("--ab\r\n --a\r\n--a-\r\n--a--b"));
    assert_eq!(text(message, &[2], Section::Whole), Some("--A"));
}

#[test]
fn the_same_boundary_within_itself_ends() {
    let head = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n";
    let message = head.repeat(5_000);
    let structure = Structure::parse(message.as_bytes());
    check(message.as_bytes(), &structure);
    assert!(structure.parts().len() <= MAX_PARTS);
}

#[test]
fn depth_is_limited() {
    let mut multiparts = String::new();
    for depth in 0..10_000 {
        let _ = write!(multiparts, "Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n");
    }
    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
    for bomb in [multiparts, messages] {
        let structure = Structure::parse(bomb.as_bytes());
        assert_eq!(structure.parts().len(), MAX_DEPTH);
        check(bomb.as_bytes(), &structure);
        let path = vec![1; MAX_DEPTH + 10];
        assert_eq!(structure.part(&path).map(|part| &part.content), None);
    }
}

#[test]
fn parts_are_limited_and_the_last_holds_the_rest() {
    let mut message = String::from("Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    for _ in 0..MAX_PARTS + 100 {
        message.push_str("--b\r\n\r\nx\r\n");
    }
    message.push_str("--b--\r\n");
    let structure = Structure::parse(message.as_bytes());
    assert_eq!(structure.parts().len(), MAX_PARTS);
    check(message.as_bytes(), &structure);
    assert_eq!(structure.parts().last().map(|part| part.body.end), Some(message.len()));
}

#[test]
fn megabytes_of_hostile_text_are_read() {
    let nest: String = (0..99).fold(String::new(), |mut nest, depth| {
        let _ = write!(nest, "Content-Type: multipart/mixed; boundary={depth:070}\r\n\r\n--{depth:070}\r\n");
        nest
    });
    let almost = format!("\r\n--{}x", "0".repeat(69));
    for bomb in [
        format!("{nest}\r\n{}", almost.repeat(30_000)),
        format!("{nest}\r\n{}", "\n--".repeat(200_000)),
        format!("Content-Type: text/plain{}\r\n\r\n", "; a=b".repeat(500_000)),
        format!("Content-Type: text/plain; {}", "a*0*=''(".repeat(500_000)),
        "Content-Type: text/plain\r\n".repeat(100_000),
        format!("Content-Type: multipart/mixed; boundary={}\r\n\r\n--", "b".repeat(1_000_000)),
        "To: (".repeat(500_000),
    ] {
        check(bomb.as_bytes(), &Structure::parse(bomb.as_bytes()));
    }
}

/// What holds of every structure.
fn check(message: &[u8], structure: &Structure) {
    let parts = structure.parts();
    assert!((1..=MAX_PARTS).contains(&parts.len()));
    assert_eq!((structure.root().header.start, structure.root().body.end), (0, message.len()));
    let mut seen = vec![false; parts.len()];
    seen[0] = true;
    for (index, part) in parts.iter().enumerate() {
        assert!(part.header.start <= part.header.end, "{part:?}");
        assert_eq!(part.header.end, part.body.start, "{part:?}");
        assert!(part.body.start <= part.body.end && part.body.end <= message.len(), "{part:?}");
        let unended = usize::from(message[part.body.clone()].last().is_some_and(|last| *last != b'\n'));
        let line_ends = memchr::memchr_iter(b'\n', &message[part.body.clone()]).count();
        assert_eq!(part.lines, line_ends + unended);
        let mut end = part.body.start;
        for child in structure.children(part).chain(structure.message_in(part)) {
            assert!(end <= child.header.start && child.body.end <= part.body.end, "{part:?} {child:?}");
            end = child.body.end;
            let place = parts.iter().position(|other| std::ptr::eq(other, child)).expect("one of the parts");
            assert!(place > index && !std::mem::replace(&mut seen[place], true));
        }
        match part.content {
            Body::Multipart { .. } => {
                assert!(part.media_type == "multipart" && structure.children(part).count() > 0);
            }
            Body::Message { .. } => {
                assert!(part.media_type == "message" && structure.message_in(part).is_some());
            }
            Body::Leaf => assert!(part.media_type != "multipart"),
        }
        if parts.len() > 500 {
            // Looking each child up in turn takes quadratic time.
            return;
        }
    }
    assert!(seen.iter().all(|seen| *seen), "every part lies in another");
}

#[test]
fn real_messages_have_sound_structures() {
    let mut multiparts = 0;
    for (_, message) in corpus::messages() {
        let structure = Structure::parse(&message);
        check(&message, &structure);
        multiparts += structure.parts().iter().filter(|part| part.media_type == "multipart").count();
    }
    assert!(multiparts > 30);
}

proptest! {
    #[test]
    fn any_octets_have_a_sound_structure(message in proptest::collection::vec(any::<u8>(), 0..300)) {
        check(&message, &Structure::parse(&message));
    }

    #[test]
    fn any_pieces_have_a_sound_structure(pieces in proptest::collection::vec(prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=a\r\n"),
        Just("Content-Type: multipart/digest; boundary=b\n"),
        Just("Content-Type: multipart/mixed; boundary=c\n"),
        Just("Content-Type: message/rfc822\r\n"),
        Just("\r\n"), Just("\n"), Just("--a\r\n"), Just("--a\n"), Just("--b\n"), Just("--a--\r\n"), Just("--b--"), Just("--c\r\n"),
        Just("--a"), Just("text"), Just("X: y\r\n"), Just("-"), Just("\r"),
    ], 0..40)) {
        let message = pieces.concat();
        let structure = Structure::parse(message.as_bytes());
        check(message.as_bytes(), &structure);
        for path in [&[1][..], &[1, 1], &[1, 2], &[2], &[1, 1, 1]] {
            for section in [Section::Whole, Section::Header, Section::Text, Section::Mime] {
                if let Some(range) = structure.section(path, section) {
                    prop_assert!(range.start <= range.end && range.end <= message.len());
                }
            }
        }
    }
}
