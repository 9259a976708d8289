use jiff::Timestamp;
use message::mime::Structure;

use super::*;
use crate::imap::parse::{self, Command};
use crate::store::{EmailId, Flags};

const MESSAGE: &str = "Date: Tue, 6 Feb 2024 23:30:00 -0800\r\nFrom: =?utf-8?q?Andr=C3=A9?= <andre@a.test>\r\n\
    Subject: Lunch\r\n  at noon\r\nList-Id: <x>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    Caf=E9 so=\r\nlo\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n\
    --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninnermost\r\n--b--\r\n";

fn test(keys: &str) -> Test {
    let Command::Search { search, .. } = parse::request(format!("a SEARCH {keys}").into()).unwrap().command
    else {
        panic!("{keys}")
    };
    // Of messages 1 to 9, whose numbers are their UIDs.
    let resolve = |set: &MessageSet, _| match set {
        MessageSet::Numbers(set) => Ok(set.ranges(9).into_iter().collect()),
        MessageSet::Saved => Ok(UidSet::default()),
    };
    Test::new(search.key, &resolve).unwrap_or_else(|_| panic!("{keys}"))
}

fn row() -> Row {
    let mut flags = Flags::none().with(SystemFlag::Seen);
    flags.set_keyword("$Junk");
    Row {
        uid: 5,
        email: EmailId(1),
        flags,
        internal_date: "2024-02-07T10:00:00Z".parse::<Timestamp>().unwrap(),
        size: MESSAGE.len() as u64,
        modseq: 1,
        saved_at: None,
    }
}

fn matches(keys: &str) -> bool {
    let text = DecodedText::new(MESSAGE.as_bytes(), &Structure::parse(MESSAGE.as_bytes()));
    let candidate = Candidate {
        row: &row(),
        hits: None,
        fields: None,
        header: Some(MESSAGE.as_bytes()),
        text: Some(&text),
    };
    test(keys).answer(&candidate).expect("nothing more can be known")
}

#[test]
fn what_matches_and_what_does_not() {
    for (keys, expected) in [
        ("ALL", true),
        ("SEEN", true),
        ("UNSEEN", false),
        ("KEYWORD $junk", true),
        ("UNKEYWORD $junk", false),
        ("RECENT", false),
        ("OLD", true),
        ("NEW", false),
        ("5", true),
        ("1:4,6:*", false),
        ("UID 5", true),
        ("ON 7-Feb-2024", true),
        ("BEFORE 7-Feb-2024", false),
        ("SINCE 7-Feb-2024", true),
        // The sender's day, whatever the zone.
        ("SENTON 6-Feb-2024", true),
        ("SENTBEFORE 6-Feb-2024", false),
        ("SENTSINCE 7-Feb-2024", false),
        ("LARGER 10", true),
        ("SMALLER 10", false),
        ("FROM ANDRE@A", true),
        ("FROM {6+}\r\nandré", true),
        ("SUBJECT \"lunch  at\"", true),
        ("TO \"\"", false),
        ("HEADER list-id \"\"", true),
        ("HEADER List-Id y", false),
        ("BODY {5+}\r\nCAFÉ", true),
        ("BODY solo", true),
        ("BODY secret", true),
        ("BODY lunch", false),
        ("BODY innermost", true),
        ("BODY inner", true),
        ("BODY boundary", false),
        ("TEXT lunch", true),
        ("TEXT nothing", false),
        ("OR UNSEEN SUBJECT lunch", true),
        ("NOT (SEEN TEXT lunch)", false),
        ("NOT OR UNSEEN DELETED", true),
    ] {
        assert_eq!(matches(keys), expected, "{keys}");
    }
}

#[test]
fn no_more_is_read_than_the_question_needs() {
    let row = row();
    let by_row = |keys| {
        test(keys).answer(&Candidate { row: &row, hits: None, fields: None, header: None, text: None })
    };
    assert_eq!(by_row("UNSEEN TEXT x"), Some(false));
    assert_eq!(by_row("OR SEEN TEXT x"), Some(true));
    assert_eq!(by_row("NOT (SUBJECT y UNSEEN)"), Some(true));
    assert_eq!(by_row("SEEN SUBJECT x"), None);
    let by_header = |keys| {
        test(keys).answer(&Candidate {
            hits: None,
            row: &row,
            fields: None,
            header: Some(MESSAGE.as_bytes()),
            text: None,
        })
    };
    assert_eq!(by_header("SUBJECT x BODY y"), Some(false));
    assert_eq!(by_header("SUBJECT lunch BODY y"), None);
}

#[test]
fn uids_narrow_the_search() {
    let narrow = test("UID 3:4 SUBJECT x");
    assert_eq!((1..6).filter(|uid| narrow.may_match(*uid)).collect::<Vec<_>>(), [3, 4]);
    assert!(test("NOT UID 3").may_match(3));
}

#[test]
fn tests_that_decode_weigh_more() {
    assert_eq!(test("ALL").weight(), 1);
    assert_eq!(test("ALL SUBJECT x").weight(), 66);
    assert_eq!(test("OR SUBJECT x NOT SUBJECT y").weight(), 128);
}
