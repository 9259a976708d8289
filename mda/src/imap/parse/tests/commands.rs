//! The grammar: examples of RFC 9051 and others, and what must be refused.

use jiff::civil::date;
use proptest::prelude::*;

use crate::imap::parse::*;

fn parse(line: &str) -> Result<Command, Reason> {
    request(Bytes::copy_from_slice(line.as_bytes())).map(|request| request.command).map_err(|bad| bad.reason)
}

fn numbers(ranges: &[(u32, u32)]) -> MessageSet {
    let ends = ranges.iter().map(|&(first, last)| (SetEnd::Number(first), SetEnd::Number(last)));
    MessageSet::Numbers(SequenceSet(ends.collect()))
}

fn word(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn search(line: &str) -> SearchKey {
    match parse(line) {
        Ok(Command::Search { search, .. }) => search.key,
        other => panic!("{line}: {other:?}"),
    }
}

fn items(line: &str) -> Vec<FetchItem> {
    match parse(line) {
        Ok(Command::Fetch { items, .. }) => items,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn commands_without_arguments() {
    for (line, command) in [
        ("a CAPABILITY", Command::Capability),
        ("a noop", Command::Noop),
        ("a LogOut", Command::Logout),
        ("a STARTTLS", Command::StartTls),
        ("a NAMESPACE", Command::Namespace),
        ("a CHECK", Command::Check),
        ("a CLOSE", Command::Close),
        ("a UNSELECT", Command::Unselect),
        ("a IDLE", Command::Idle),
        ("a EXPUNGE", Command::Expunge { set: None }),
    ] {
        assert_eq!(parse(line), Ok(command), "{line}");
    }
}

#[test]
fn strings_come_in_three_forms() {
    for line in [
        "a001 LOGIN SMITH SESAME",
        "a001 LOGIN \"SMITH\" \"SESAME\"",
        "a001 LOGIN {5}\r\nSMITH {6+}\r\nSESAME",
        "a001 LOGIN {5}\nSMITH \"SE\\SAME\"",
    ] {
        let expected = Command::Login { username: word("SMITH"), password: word("SESAME") };
        match parse(line) {
            Ok(command) => assert_eq!(command, expected, "{line}"),
            // Only quotes and backslashes may be escaped.
            Err(_) => assert!(line.contains("\\S")),
        }
    }
    assert_eq!(
        parse("a LOGIN \"a\\\"b\\\\c\" \"\""),
        Ok(Command::Login { username: word("a\"b\\c"), password: word("") })
    );
}

#[test]
fn examples_of_mailbox_commands() {
    assert_eq!(
        parse("A142 SELECT INBOX"),
        Ok(Command::Select(Select { mailbox: word("INBOX"), ..Select::default() }))
    );
    assert_eq!(
        parse("A932 EXAMINE blurdybloop"),
        Ok(Command::Examine(Select { mailbox: word("blurdybloop"), ..Select::default() }))
    );
    assert_eq!(parse("A683 DELETE \"my box\""), Ok(Command::Delete(word("my box"))));
    assert_eq!(parse("A684 RENAME a b]"), Ok(Command::Rename { from: word("a"), to: word("b]") }));
    assert_eq!(
        parse("t1 CREATE MyDrafts (USE (\\Drafts))"),
        Ok(Command::Create { mailbox: word("MyDrafts"), special_use: vec!["\\Drafts".into()] })
    );
    assert_eq!(
        parse("A042 STATUS blurdybloop (UIDNEXT MESSAGES)"),
        Ok(Command::Status {
            mailbox: word("blurdybloop"),
            items: vec![StatusItem::UidNext, StatusItem::Messages]
        })
    );
    assert_eq!(parse("t2 ENABLE IMAP4rev2 foo"), Ok(Command::Enable(vec!["IMAP4REV2".into(), "FOO".into()])));
    assert_eq!(
        parse("a023 ID (\"name\" \"sodr\" \"version\" NIL)"),
        Ok(Command::Id(vec![(word("name"), Some(word("sodr"))), (word("version"), None)]))
    );
    assert_eq!(parse("a023 ID NIL"), Ok(Command::Id(vec![])));
}

#[test]
fn authenticate_with_and_without_an_initial_response() {
    let plain = |initial| Command::Authenticate { mechanism: "PLAIN".into(), initial };
    assert_eq!(parse("a AUTHENTICATE plain"), Ok(plain(None)));
    assert_eq!(parse("a AUTHENTICATE PLAIN dGVzdAB0ZXN0"), Ok(plain(Some(word("dGVzdAB0ZXN0")))));
    assert_eq!(parse("a AUTHENTICATE PLAIN ="), Ok(plain(Some(word("=")))));
}

#[test]
fn list_as_in_rfc_9051() {
    let list = |line| match parse(line) {
        Ok(Command::List(list)) => list,
        other => panic!("{line}: {other:?}"),
    };
    let plain = list("A101 LIST \"\" \"\"");
    assert!(!plain.extended);
    assert_eq!(plain.patterns, [word("")]);
    assert_eq!(list("A202 LIST ~/Mail/ %").reference, word("~/Mail/"));
    let full = list(
        "a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"INBOX\" a/* %) RETURN (CHILDREN STATUS (MESSAGES SIZE))",
    );
    assert!(full.extended && full.selection.subscribed && full.selection.recursive_match);
    assert_eq!(full.patterns, [word("INBOX"), word("a/*"), word("%")]);
    assert!(full.returns.children && !full.returns.subscribed);
    assert_eq!(full.returns.status, [StatusItem::Messages, StatusItem::Size]);
    assert!(list("a LIST () \"\" *").extended);
    assert!(parse("a LIST (RECURSIVEMATCH) \"\" *").is_err());
    assert!(parse("a LIST (FOO) \"\" *").is_err());
}

#[test]
fn fetch_macros_and_items() {
    use FetchItem::{Body, BodyStructure, Envelope, Flags, InternalDate, Size, Uid};
    assert_eq!(items("a FETCH 1 FAST"), [Flags, InternalDate, Size]);
    assert_eq!(items("a FETCH 1 all"), [Flags, InternalDate, Size, Envelope]);
    assert_eq!(items("a FETCH 1 FULL"), [Flags, InternalDate, Size, Envelope, Body]);
    assert_eq!(items("a FETCH 1 (UID BODYSTRUCTURE)"), [Uid, BodyStructure]);
    assert_eq!(
        parse("a UID FETCH 4827313:4828442,9 BODY"),
        Ok(Command::Fetch {
            uid: true,
            set: numbers(&[(4_827_313, 4_828_442), (9, 9)]),
            items: vec![Body],
            modifiers: FetchModifiers::default()
        })
    );
}

#[test]
fn each_item_is_fetched_once_and_their_number_is_capped() {
    assert_eq!(items("a FETCH 1 (ENVELOPE UID envelope)"), [FetchItem::Envelope, FetchItem::Uid]);
    let many = |count: u32| (1..=count).map(|part| format!("BODY[{part}]")).collect::<Vec<_>>().join(" ");
    assert_eq!(items(&format!("a FETCH 1 ({})", many(1_000))).len(), 1_000);
    assert!(parse(&format!("a FETCH 1 ({})", many(1_001))).is_err());
}

#[test]
fn fetch_sections() {
    let section = |part: &[u32], text| Section { part: part.to_vec(), text };
    let fields = |names: &[&'static str], not| SectionText::Fields {
        names: names.iter().map(|n| word(n)).collect(),
        not,
    };
    for (item, expected) in [
        ("BODY[]", section(&[], None)),
        ("BODY[1.2.3]", section(&[1, 2, 3], None)),
        ("BODY[HEADER]", section(&[], Some(SectionText::Header))),
        ("BODY[4.1.MIME]", section(&[4, 1], Some(SectionText::Mime))),
        ("BODY[3.TEXT]", section(&[3], Some(SectionText::Text))),
        ("BODY[HEADER.FIELDS (DATE \"FROM\")]", section(&[], Some(fields(&["DATE", "FROM"], false)))),
        ("BODY[2.HEADER.FIELDS.NOT (TO)]", section(&[2], Some(fields(&["TO"], true)))),
    ] {
        let expected = FetchItem::Section { section: expected, partial: None, peek: false };
        assert_eq!(items(&format!("a FETCH 1 {item}")), [expected], "{item}");
    }
    assert_eq!(
        items("a FETCH 1 BODY.PEEK[TEXT]<0.2048>"),
        [FetchItem::Section {
            section: section(&[], Some(SectionText::Text)),
            partial: Some(Partial { offset: 0, length: 2048 }),
            peek: true
        }]
    );
    assert_eq!(
        items("a FETCH 1 (BINARY.PEEK[1.2]<3.4> BINARY.SIZE[2])"),
        [
            FetchItem::Binary {
                part: vec![1, 2],
                partial: Some(Partial { offset: 3, length: 4 }),
                peek: true
            },
            FetchItem::BinarySize(vec![2])
        ]
    );
    for bad in
        ["BODY[MIME]", "BODY[1.]", "BODY[0]", "BODY[1..2]", "BODY[]<0>", "BODY[]<0.0>", "BODY[", "FOO", "()"]
    {
        assert!(parse(&format!("a FETCH 1 {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn search_keys() {
    let flag = |name: &str| SearchKey::Flag(name.into());
    let not = |key| SearchKey::Not(Box::new(key));
    assert_eq!(
        search("A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\""),
        SearchKey::And(vec![
            flag("\\Flagged"),
            SearchKey::Since(date(1994, 2, 1)),
            not(SearchKey::Header(word("FROM"), word("Smith"))),
        ])
    );
    assert_eq!(
        search("a SEARCH OR (UNSEEN 1:5) HEADER List-Id \"\""),
        SearchKey::Or(Box::new((
            SearchKey::And(vec![not(flag("\\Seen")), SearchKey::Sequence(numbers(&[(1, 5)]))]),
            SearchKey::Header(word("List-Id"), word("")),
        )))
    );
    assert_eq!(
        search("a SEARCH UID 7 LARGER 12 KEYWORD $Junk"),
        SearchKey::And(vec![SearchKey::Uid(numbers(&[(7, 7)])), SearchKey::Larger(12), flag("$Junk"),])
    );
    assert_eq!(search("a SEARCH SENTON \"29-Feb-2024\""), SearchKey::SentOn(date(2024, 2, 29)));
    assert_eq!(search("a SEARCH $"), SearchKey::Sequence(MessageSet::Saved));
    assert_eq!(search("a SEARCH CHARSET UTF-8 TEXT {6}\r\nпри"), SearchKey::Text(word("при")));
    for bad in [
        "SINCE 30-Feb-2024",
        "SINCE 1-Foo-2024",
        "NOT",
        "OR ALL",
        "()",
        "(ALL",
        "1:",
        "0",
        "FROM",
        "FOO",
        "ALL ",
    ] {
        assert!(parse(&format!("a SEARCH {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn search_return_options() {
    let returns = |line| match parse(line) {
        Ok(Command::Search { search, .. }) => search.returns,
        other => panic!("{line}: {other:?}"),
    };
    let all = ReturnOptions { all: true, ..ReturnOptions::default() };
    assert_eq!(returns("a SEARCH ALL"), None);
    assert_eq!(returns("a SEARCH RETURN () ALL"), Some(all));
    assert_eq!(
        returns("A283 SEARCH RETURN (MIN COUNT SAVE) ALL"),
        Some(ReturnOptions { min: true, count: true, save: true, ..ReturnOptions::default() })
    );
}

#[test]
fn nesting_is_capped() {
    let nested = |depth: usize| format!("a SEARCH {}ALL{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(search::DEPTH)).is_ok());
    assert!(parse(&nested(search::DEPTH + 1)).is_err());
    assert!(parse(&nested(100_000)).is_err());
    assert!(parse(&format!("a SEARCH {}ALL", "NOT ".repeat(100_000))).is_err());
    assert!(parse(&format!("a SEARCH {}ALL", "OR ALL ".repeat(100_000))).is_err());
    assert!(parse(&format!("a SEARCH{}", " ALL".repeat(100_000))).is_err());
    assert!(parse(&format!("a FETCH 1 BODY[{}1]", "1.".repeat(100_000))).is_err());
}

#[test]
fn store_copy_and_move() {
    assert_eq!(
        parse("A003 STORE 2:4 +FLAGS (\\Deleted $Forwarded)"),
        Ok(Command::Store {
            uid: false,
            store: Store {
                set: numbers(&[(2, 4)]),
                mode: StoreMode::Add,
                silent: false,
                unchanged_since: None,
                flags: vec!["\\Deleted".into(), "$Forwarded".into()],
            }
        })
    );
    match parse("a UID STORE $ FLAGS.SILENT \\Seen x") {
        Ok(Command::Store { uid: true, store }) => {
            assert!(store.silent && store.mode == StoreMode::Replace && store.set == MessageSet::Saved);
            assert_eq!(store.flags, ["\\Seen", "x"]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        parse("A003 COPY 2:4 MEETING"),
        Ok(Command::Copy { uid: false, set: numbers(&[(2, 4)]), target: word("MEETING") })
    );
    assert_eq!(
        parse("a UID MOVE 42:69 foo"),
        Ok(Command::Move { uid: true, set: numbers(&[(42, 69)]), target: word("foo") })
    );
    assert_eq!(
        parse("A003 UID EXPUNGE 3000:3002"),
        Ok(Command::Expunge { set: Some(numbers(&[(3000, 3002)])) })
    );
}

#[test]
fn what_is_no_command_is_told_apart() {
    assert_eq!(parse("a FROBNICATE"), Err(Reason::UnknownCommand));
    assert_eq!(parse("a UID NOOP"), Err(Reason::UnknownCommand));
    assert_eq!(parse("a XNOOP x"), Err(Reason::UnknownCommand));
    assert!(matches!(parse("a NOOP x"), Err(Reason::Syntax(_))));
    assert!(matches!(parse("a NOOP "), Err(Reason::Syntax(_))));
    assert!(matches!(parse("a  NOOP"), Err(Reason::Syntax(_))));
    for line in ["", " NOOP", "+ NOOP", "(b NOOP", "\u{e9} NOOP"] {
        let bad = request(Bytes::copy_from_slice(line.as_bytes())).unwrap_err();
        assert_eq!(bad.tag, None, "{line}");
    }
}

#[test]
fn numbers_have_their_bounds() {
    assert!(parse("a FETCH 4294967295 UID").is_ok());
    assert!(parse("a FETCH 4294967296 UID").is_err());
    assert!(parse("a FETCH 0 UID").is_err());
    assert!(parse("a SEARCH LARGER 9223372036854775807").is_ok());
    assert!(parse("a SEARCH LARGER 9223372036854775808").is_err());
    assert!(parse("a LOGIN {99999999999999999999}\r\nx y").is_err());
    assert!(parse("a LOGIN {3}\r\na\0b y").is_err());
}

#[test]
fn sets_are_ordered_and_merged() {
    let ranges = |set: &str, last| match parse(&format!("a FETCH {set} UID")) {
        Ok(Command::Fetch { set: MessageSet::Numbers(set), .. }) => set.ranges(last),
        other => panic!("{other:?}"),
    };
    assert_eq!(ranges("2,4:7,9,12:*", 15), [2..=2, 4..=7, 9..=9, 12..=15]);
    assert_eq!(ranges("*:4,5:7", 10), [4..=10]);
    assert_eq!(ranges("3291:*", 7), [7..=3291]);
    assert_eq!(ranges("1,2,3", 3), [1..=3]);
    assert_eq!(ranges("4294967295,1:*", 4), [1..=4, 4_294_967_295..=4_294_967_295]);
}

proptest! {
    #[test]
    fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = request(octets.into());
    }

    #[test]
    fn nothing_that_looks_like_a_command_makes_it_panic(
        verb in "(UID )?(FETCH|SEARCH|STORE|LIST|STATUS|LOGIN|ID|CREATE|APPEND|COPY)",
        arguments in "[ a-zA-Z0-9\\[\\]<>().,:*%$+{}\"\\\\\r\n-]{0,80}",
    ) {
        let _ = parse(&format!("a {verb} {arguments}"));
    }
}

#[test]
fn sort_and_thread() {
    let by = |key, reverse| SortCriterion { key, reverse };
    let sort = |line: &str| match parse(line) {
        Ok(Command::Sort { uid, sort }) => (uid, sort),
        other => panic!("{line}: {other:?}"),
    };
    let (uid, sorted) = sort("a SORT (SUBJECT REVERSE DATE) UTF-8 UNSEEN SMALLER 5");
    assert!(!uid);
    assert_eq!(sorted.criteria, [by(SortKey::Subject, false), by(SortKey::Date, true)]);
    assert_eq!(sorted.search.charset.as_deref(), Some("UTF-8"));
    assert_eq!(sorted.search.key, search("a SEARCH UNSEEN SMALLER 5"));
    let (uid, sorted) = sort("a UID SORT RETURN (MIN COUNT) (REVERSE displayfrom) us-ascii ALL");
    assert!(uid);
    assert!(sorted.search.returns.is_some_and(|returns| returns.min && returns.count && !returns.all));
    match parse("a UID THREAD references UTF-8 SINCE 5-MAR-2000") {
        Ok(Command::Thread { uid: true, thread }) => {
            assert_eq!(thread.algorithm, message::thread::Algorithm::References);
        }
        other => panic!("{other:?}"),
    }
    for bad in [
        "a SORT () UTF-8 ALL",
        "a SORT (REVERSE) UTF-8 ALL",
        "a SORT (REVERSE REVERSE DATE) UTF-8 ALL",
        "a SORT (COLOUR) UTF-8 ALL",
        "a SORT (DATE) UTF-8",
        "a SORT (DATE)",
        "a THREAD JWZ UTF-8 ALL",
        "a THREAD REFERENCES UTF-8",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn modseqs_in_select_fetch_store_and_search() {
    let Ok(Command::Select(select)) = parse(
        "B04 SELECT INBOX (CONDSTORE QRESYNC (67890007 90060115194045000 1:29997 (5000,9990:9991 15000,29970:29971)))",
    ) else {
        panic!("not taken");
    };
    let resync = select.resync.unwrap();
    assert!(select.condstore);
    assert_eq!((resync.uid_validity, resync.modseq), (67_890_007, 90_060_115_194_045_000));
    assert_eq!(MessageSet::Numbers(resync.known.unwrap()), numbers(&[(1, 29_997)]));
    assert_eq!(
        MessageSet::Numbers(resync.matched.unwrap().1),
        numbers(&[(15_000, 15_000), (29_970, 29_971)])
    );
    match parse("a SELECT x (QRESYNC (1 2 (3 4)))") {
        Ok(Command::Select(Select { resync: Some(resync), .. })) => {
            assert!(resync.known.is_none() && resync.matched.is_some());
        }
        other => panic!("{other:?}"),
    }
    match parse("s100 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)") {
        Ok(Command::Fetch { modifiers, .. }) => {
            let expected =
                FetchModifiers { changed_since: Some(12_345), vanished: true, ..FetchModifiers::default() };
            assert_eq!(modifiers, expected);
        }
        other => panic!("{other:?}"),
    }
    match parse("a103 UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)") {
        Ok(Command::Store { store, .. }) => assert_eq!(store.unchanged_since, Some(12_121_230_045)),
        other => panic!("{other:?}"),
    }
    for (line, modseq) in [
        ("a SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338", 620_162_338),
        ("a SEARCH MODSEQ 720162338", 720_162_338),
    ] {
        assert_eq!(search(line), SearchKey::ModSeq(modseq), "{line}");
    }
    for bad in [
        "a SELECT INBOX ()",
        "a SELECT INBOX (NONSENSE)",
        "a SELECT INBOX (QRESYNC (0 1))",
        "a SELECT INBOX (QRESYNC (1 1 1:*))",
        "a SELECT INBOX (QRESYNC (1 1 (1 2:*)))",
        "a FETCH 1 FLAGS (VANISHED)",
        "a FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
        "a UID FETCH 1 FLAGS (VANISHED)",
        "a FETCH 1 FLAGS (PARTIAL 1:2)",
        "a FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
        "a STORE 1 (UNCHANGEDSINCE -1) FLAGS x",
        "a SEARCH MODSEQ \"/flags/x\" some 1",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn parts_of_results() {
    let results: Vec<u32> = (1..=10).collect();
    let partial = |text: &str| match parse(&format!("a UID FETCH 1:* FLAGS (PARTIAL {text})")) {
        Ok(Command::Fetch { modifiers, .. }) => modifiers.partial.unwrap(),
        other => panic!("{other:?}"),
    };
    for (range, expected) in [
        ("1:3", &[1, 2, 3][..]),
        ("3:1", &[1, 2, 3]),
        ("9:20", &[9, 10]),
        ("11:20", &[]),
        ("-1:-2", &[9, 10]),
        ("-9:-100", &[1, 2]),
        ("-11:-12", &[]),
    ] {
        assert_eq!(partial(range).of(&results), expected, "{range}");
    }
    assert!(parse("a SEARCH RETURN (PARTIAL 1:2 ALL) ALL").is_err());
    assert!(parse("a SEARCH RETURN (PARTIAL 1:-2) ALL").is_err());
    assert!(parse("a SEARCH RETURN (PARTIAL 1:*) ALL").is_err());
}
