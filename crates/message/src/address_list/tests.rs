use proptest::prelude::*;

use super::*;

/// An entry as `name|route|local-part|domain`, `-` for what is missing; `name:` and `;` for groups.
fn read(value: &str) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let entry = |entry| match entry {
        Entry::Mailbox(m) => {
            format!("{}|{}|{}|{}", or_dash(m.name), or_dash(m.route), m.local_part, m.domain)
        }
        Entry::GroupStart(name) => format!("{name}:"),
        Entry::GroupEnd => ";".into(),
    };
    parse(value.as_bytes()).into_iter().map(entry).collect()
}

#[track_caller]
fn reads(value: &str, entries: &[&str]) {
    assert_eq!(read(value), entries, "{value}");
}

#[test]
fn the_examples_of_rfc_5322() {
    reads("John Doe <jdoe@machine.example>", &["John Doe|-|jdoe|machine.example"]);
    reads(
        "\"Joe Q. Public\" <john.q.public@example.com>, Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
        &[
            "Joe Q. Public|-|john.q.public|example.com",
            "Mary Smith|-|mary|x.test",
            "-|-|jdoe|example.org",
            "Who?|-|one|y.test",
        ],
    );
    reads(
        r#"<boss@nil.test>, "Giant; \"Big\" Box" <sysservices@example.net>"#,
        &["-|-|boss|nil.test", "Giant; \"Big\" Box|-|sysservices|example.net"],
    );
    reads(
        "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
        &["A Group:", "Ed Jones|-|c|a.test", "-|-|joe|where.test", "John|-|jdoe|one.test", ";"],
    );
    reads("Undisclosed recipients:;", &["Undisclosed recipients:", ";"]);
    reads("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", &["Pete|-|pete|silly.test"]);
    reads(
        "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n         joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the group)",
        &["A Group:", "Chris Jones|-|c|public.example", "-|-|joe|example.org", "John|-|jdoe|one.test", ";"],
    );
    reads("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", &["Hidden recipients:", ";"]);
    reads("Joe Q. Public <john.q.public@example.com>", &["Joe Q. Public|-|john.q.public|example.com"]);
    reads(
        "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
        &["Mary Smith|@node.test|mary|example.net", "-|-|jdoe|test.example"],
    );
    reads("<@a.test,,@b.test:joe@x.test>", &["-|@a.test,,@b.test|joe|x.test"]);
    reads("John <john . doe@x.test>", &["John|-|john.doe|x.test"]);
}

#[test]
fn a_comment_stands_for_a_missing_name() {
    reads("bob@example.test (Bob B.)", &["Bob B.|-|bob|example.test"]);
    reads("(Bob (the \\(first)) bob@example.test", &["Bob (the (first)|-|bob|example.test"]);
    reads("<bob@example.test> (Bob)", &["Bob|-|bob|example.test"]);
}

#[test]
fn quoted_parts_and_literals() {
    reads("\"a b\"@example.test", &["-|-|a b|example.test"]);
    reads(
        "Bob <bob@[192.0.2.1]>, eve@[IPv6:2001:db8::1]",
        &["Bob|-|bob|[192.0.2.1]", "-|-|eve|[IPv6:2001:db8::1]"],
    );
    reads("\"Doe, Jane\"<jane@example.test>", &["Doe, Jane|-|jane|example.test"]);
    reads("\"\" <jane@example.test>", &["-|-|jane|example.test"]);
    reads("<>", &["-|-||"]);
}

#[test]
fn encoded_words_stay_encoded_and_whole() {
    reads(
        "=?ISO-8859-1?Q?Andr=E9?= =?utf-8?b?w6k=?= Pirard <PIRARD@vm1.test>",
        &["=?ISO-8859-1?Q?Andr=E9?= =?utf-8?b?w6k=?= Pirard|-|PIRARD|vm1.test"],
    );
    reads("=?utf-8?q?Doe,_J:ane?= <jane@example.test>", &["=?utf-8?q?Doe,_J:ane?=|-|jane|example.test"]);
    reads("=? <a@b.test>, =?x?y <c@d.test>", &["=?|-|a|b.test", "=?x?y|-|c|d.test"]);
}

/// RFC 7103 §7.1.
#[test]
fn broken_lists_are_read_as_they_were_meant() {
    reads("<<<user2@example.org>>>", &["-|-|user2|example.org"]);
    reads("<another@example.net", &["-|-|another|example.net"]);
    reads("second@example.org>", &["-|-|second|example.org"]);
    reads("(Testing <fran@example.com>", &["Testing|-|fran|example.com"]);
    reads("Testing) <sam@example.com>", &["Testing)|-|sam|example.com"]);
    reads("<third@example.net, fourth@example.net>", &["-|-|third|example.net", "-|-|fourth|example.net"]);
    reads("\"Joe <joe@example.com>", &["Joe|-|joe|example.com"]);
    reads("Joe", &["-|-|Joe|"]);
    reads("Bob bob@example.test", &["Bob|-|bob|example.test"]);
    reads("a@b.test; c@d.test", &["-|-|a|b.test", "-|-|c|d.test"]);
    reads("Group: a@b.test", &["Group:", "-|-|a|b.test", ";"]);
    reads("bob@@example.test", &["-|-|bob@|example.test"]);
    reads(" , ,", &[]);
    reads("", &[]);
}

#[test]
fn addresses_are_judged_by_the_rules_of_the_envelope() {
    let address = |value: &str| match parse(value.as_bytes()).remove(0) {
        Entry::Mailbox(mailbox) => mailbox.address().map(|address| address.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(address("Bob <bob@example.test>").as_deref(), Some("bob@example.test"));
    assert_eq!(address("\"b ob\"@example.test").as_deref(), Some("\"b ob\"@example.test"));
    assert_eq!(address("bob"), None);
    assert_eq!(address("bob@exa mple"), Some("bob@exa".into()));
    assert_eq!(address("<>"), None);
}

/// Each of these made some parser recurse, or look at the same octets again and again.
#[test]
fn bombs_are_read_in_linear_time() {
    const MANY: usize = 200_000;
    for bomb in [
        "(", "\"\\", "[", "=?a?q?", "=?", "=?a?q?x ", "<", "@", "<@a,", "a:", "((()", "\"", ",", "<a@b>",
        "(a)",
    ] {
        assert!(parse(bomb.repeat(MANY).as_bytes()).len() <= MAX_ENTRIES + 1, "{bomb}");
    }
    let list = "a@b.test, ".repeat(MAX_ENTRIES + 10);
    assert_eq!(parse(list.as_bytes()).len(), MAX_ENTRIES);
}

proptest! {
    #[test]
    fn any_octets_are_a_list(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&value).len() <= value.len() + 1);
    }

    #[test]
    fn groups_are_closed_and_never_nested(value in "([a-c]|[<>@,;:\"()\\[\\] .\\\\]|=\\?q\\?q\\?){0,40}") {
        let mut open = false;
        for entry in parse(value.as_bytes()) {
            match entry {
                Entry::GroupStart(_) => { prop_assert!(!open); open = true; }
                Entry::GroupEnd => { prop_assert!(open); open = false; }
                Entry::Mailbox(_) => {}
            }
        }
        prop_assert!(!open);
    }

    #[test]
    fn what_is_written_by_the_rules_reads_back(names in proptest::collection::vec(("[A-Z][a-z]{1,8}( [A-Z][a-z]{1,8})?", "[a-z.]{1,5}x", "[a-z]{1,8}\\.test"), 1..6)) {
        let list: Vec<String> = names.iter().map(|(name, local, domain)| format!("\"{name}\" <{local}@{domain}>")).collect();
        let expected: Vec<String> = names.iter().map(|(name, local, domain)| format!("{name}|-|{local}|{domain}")).collect();
        prop_assert_eq!(read(&list.join(",\r\n\t")), expected);
    }
}
