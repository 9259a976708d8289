use proptest::prelude::*;

use super::*;
use crate::corpus;

const ID: &str = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";

fn completion<'a>() -> Completion<'a> {
    Completion {
        id: ID.parse().expect("an id"),
        domain: "msa.example.test",
        at: DateTime::parse(b"Tue, 1 Jul 2003 10:52:37 +0200").expect("a date"),
        sender: None,
    }
}

fn complete(block: &str) -> Result<String, HeaderError> {
    let completed = completion().complete(block.as_bytes())?;
    Ok(String::from_utf8(completed.header).expect("UTF-8 as it was"))
}

#[test]
fn what_is_missing_is_added_behind_what_is_there() {
    assert_eq!(
        complete("From: bob@example.test\r\nSubject: x\r\n\r\n"),
        Ok(format!(
            "From: bob@example.test\r\nSubject: x\r\nDate: Tue, 1 Jul 2003 10:52:37 +0200\r\n\
             Message-ID: <{ID}@msa.example.test>\r\n\r\n"
        ))
    );
    assert_eq!(
        complete("MESSAGE-ID: <a@b>\r\nFrom: bob@example.test"),
        Ok("MESSAGE-ID: <a@b>\r\nFrom: bob@example.test\r\nDate: Tue, 1 Jul 2003 10:52:37 +0200\r\n".into())
    );
}

#[test]
fn a_complete_header_stays_as_it_is() {
    let block = "X-Odd :\t a\r\n\tb  \r\nfrom:  Bob\r\n <bob@example.test>\r\nDATE: whenever\r\nX: caf\u{e9}\r\nMessage-Id: x\r\n\r\n";
    assert_eq!(complete(block), Ok(block.into()));
}

#[test]
fn what_is_not_for_recipients_is_removed() {
    assert_eq!(
        complete(
            "Return-Path: <x@y>\r\nFrom: bob@example.test\r\nBCC: eve@example.test,\r\n mallory@example.test\r\n\
             X-Bcc: kept\r\nResent-Bcc: z@example.test\r\nbcc:\r\nDate: d\r\nMessage-ID: m\r\n\r\n"
        ),
        Ok("From: bob@example.test\r\nX-Bcc: kept\r\nDate: d\r\nMessage-ID: m\r\n\r\n".into())
    );
}

#[test]
fn whoever_sends_stands_in_for_authors_that_are_missing() {
    let bob = "bob@example.test".parse().expect("an address");
    let complete = |block: &str| {
        let completed = Completion { sender: Some(&bob), ..completion() }.complete(block.as_bytes());
        completed.map(|completed| String::from_utf8(completed.header).expect("UTF-8 as it was"))
    };
    assert_eq!(
        complete("Date: d\r\nMessage-ID: m\r\n\r\n"),
        Ok("Date: d\r\nMessage-ID: m\r\nFrom: <bob@example.test>\r\n\r\n".into())
    );
    assert_eq!(
        complete("From: Whomever\r\nDate: d\r\nMessage-ID: m\r\n\r\n"),
        Ok("From: Whomever\r\nDate: d\r\nMessage-ID: m\r\nSender: <bob@example.test>\r\n\r\n".into())
    );
}

#[test]
fn several_authors_need_a_sender() {
    let block = "From: a@example.test, b@example.test\r\nDate: d\r\nMessage-ID: m\r\n\r\n";
    assert_eq!(complete(block), Err(HeaderError::NoSender));
    let with_sender = block.replace("Date", "Sender: c@example.test\r\nDate");
    assert_eq!(complete(&with_sender), Ok(with_sender.clone()));

    let bob = "bob@example.test".parse().expect("an address");
    let completed =
        Completion { sender: Some(&bob), ..completion() }.complete(block.as_bytes()).expect("completed");
    let expected = block.replace("m\r\n", "m\r\nSender: <bob@example.test>\r\n");
    assert_eq!(completed.header, expected.as_bytes());
}

#[test]
fn what_cannot_be_mended_is_refused_by_name_and_line() {
    use HeaderError as E;
    let long = "x".repeat(999);
    for (block, error) in [
        ("Subject: x\r\n\r\n", E::NoFrom),
        ("\r\n", E::NoFrom),
        ("", E::NoFrom),
        ("From: a@b.test\r\nFrom: a@b.test\r\n\r\n", E::Repeated { name: "From", line: 2 }),
        ("From: a@b.test\r\nTo: x@y\r\n ,z@y\r\nto: x\r\n\r\n", E::Repeated { name: "To", line: 4 }),
        ("To: x\r\nFrom:\r\n\r\n", E::Malformed { name: "From", line: 2 }),
        ("From: bob\r\n\r\n", E::Malformed { name: "From", line: 1 }),
        ("From: <>\r\n\r\n", E::Malformed { name: "From", line: 1 }),
        ("From: bob@exa_mple\r\n\r\n", E::Malformed { name: "From", line: 1 }),
        ("From: group: bob@example.test;\r\n\r\n", E::Malformed { name: "From", line: 1 }),
        ("From: a@b.test\r\nSender: a@b.test, c@d.test\r\n\r\n", E::Malformed { name: "Sender", line: 2 }),
        ("From: a@b.test\r\nSender:\r\n\r\n", E::Malformed { name: "Sender", line: 2 }),
        ("From: a@b.test\r\n x\r\nnot a field\r\n\r\n", E::NoField { line: 3 }),
        ("From bob Mon Jan 1\r\nFrom: a@b.test\r\n\r\n", E::NoField { line: 1 }),
        (&format!("From: a@b.test\r\nX:\r\n {long}\r\n\r\n"), E::Line(LineError::TooLong { line: 3 })),
        ("From: a@b.test\r\nX: \0\r\n\r\n", E::Line(LineError::Nul { line: 2 })),
        (&"X: y\r\n".repeat(MAX_FIELDS + 1), E::TooManyFields),
        (&"X: y\r\n".repeat(MAX_HEADER / 6 + 1), E::TooLarge),
    ] {
        assert_eq!(complete(block), Err(error), "{}", &block[..block.len().min(80)]);
    }
}

#[test]
fn the_body_goes_on_counting_lines() {
    let mut completed = completion().complete(b"From: a@b.test\r\n\r\n").expect("completed");
    assert_eq!(completed.lines.push(b"ok\r\nnot\0ok\r\n"), Err(LineError::Nul { line: 4 }));
}

/// As a client would send it: with CRLF.
fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut crlf = Vec::with_capacity(text.len());
    for byte in text {
        if *byte == b'\n' && crlf.last() != Some(&b'\r') {
            crlf.push(b'\r');
        }
        crlf.push(*byte);
    }
    crlf
}

#[test]
fn real_headers_are_untouched_but_for_additions() {
    let mut refused = 0;
    for (path, message) in corpus::messages() {
        let message = with_crlf(&message);
        let block = &message[..header::length(&message)];
        let completed = match completion().complete(block) {
            // Some examples of the RFCs are from `Whomever`, or from no one.
            Err(HeaderError::NoFrom | HeaderError::Malformed { name: "From", .. })
                if !header::first(block, "From").is_some_and(|from| from.contains(&b'@')) =>
            {
                refused += 1;
                continue;
            }
            other => other.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        };
        let mut before = header::fields(block).filter(|field| !REMOVED.iter().any(|name| field.is(name)));
        let mut added = Vec::new();
        let mut expected = before.next();
        for field in header::fields(&completed.header) {
            if expected.is_some_and(|before| before.raw == field.raw) {
                expected = before.next();
            } else {
                added.push(String::from_utf8_lossy(field.name).into_owned());
            }
        }
        assert_eq!(expected, None, "{}: a field was lost or changed", path.display());
        let missing: Vec<&str> =
            ["Date", "Message-ID"].into_iter().filter(|name| header::first(block, name).is_none()).collect();
        assert_eq!(added, missing, "{}", path.display());
        assert!(completed.header.ends_with(b"\r\n\r\n"));
    }
    assert_eq!(refused, 4);
}

proptest! {
    #[test]
    fn a_completed_header_is_complete(block in "((From|Date|Bcc|X|To|Subject|Message-ID)[: ]{1,2}([a-c@.,<>\"\r\n ]|x@y\\.z){0,12}\r\n){0,5}(\r\n)?") {
        if let Ok(once) = completion().complete(block.as_bytes()) {
            let twice = completion().complete(&once.header).expect("it was completed");
            prop_assert_eq!(twice.header, once.header);
        }
    }
}
