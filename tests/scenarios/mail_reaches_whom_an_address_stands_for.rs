//! Aliases, lists, a catch-all and subaddresses, from another server's port 25 into mailboxes.

use std::collections::BTreeMap;

use pipeline_tests::load::{Door, Fate, Sent};
use pipeline_tests::{Options, Pipeline, Session, eventually, read_inbox};

use crate::WAYPOST;

const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";

#[test]
fn once_each_and_with_one_return_path() {
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    for alias in [
        &["info@example.test", ALICE, BOB][..],
        &["sales@example.test", "info@example.test", ALICE],
        &["team@example.test", ALICE, BOB, "--owner", BOB],
        &["@example.test", BOB],
        &["left@example.test", "right@example.test"],
        &["right@example.test", "left@example.test"],
    ] {
        pipeline.waypost_ok(&[&["alias", "add"], alias].concat());
    }
    let port = pipeline.address("mta", "smtp");
    let both = &[ALICE, BOB][..];
    let sent: [(&[&'static str], &[&str], &str); 6] = [
        (&["info@example.test"], both, ALICE),
        (&["sales@example.test", "INFO@example.test", BOB], both, ALICE),
        (&["team@example.test"], both, BOB),
        (&["whoever@example.test"], &[BOB], ALICE),
        (&["alice+news@example.test"], &[ALICE], ALICE),
        (&["info+urgent@example.test"], both, ALICE),
    ];
    let mut expected: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    for ((recipients, reached, return_path), number) in sent.iter().zip(0..) {
        let token = format!("address-{number}");
        Session::open(port).unwrap().send(&message(&token, recipients)).unwrap();
        for account in *reached {
            expected.entry(account).or_default().insert(token.clone(), format!("<{return_path}>"));
        }
    }
    for account in [ALICE, BOB] {
        eventually("all mail where it belongs", || {
            (inbox(&pipeline, account) == expected[account]).then_some(())
        });
    }
    let refused = Session::open(port).unwrap().send(&message("circle", &["left@example.test"])).unwrap_err();
    assert!(refused.to_string().starts_with("550 5.4.6 "), "{refused}");
}

fn message(token: &str, recipients: &[&'static str]) -> Sent {
    Sent {
        token: token.to_owned(),
        door: Door::Smtp,
        recipients: recipients.to_vec(),
        wants_report: false,
        fate: Fate::Acknowledged,
    }
}

/// For each message its subject and its return path. None is there twice, and none has two return paths.
fn inbox(pipeline: &Pipeline, account: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let part = "BODY.PEEK[HEADER.FIELDS (Subject Return-Path)]";
    let visited = read_inbox(pipeline, account, 1, part, |stored| {
        let header = String::from_utf8(stored.octets).unwrap();
        let field = |name: &str| {
            let values: Vec<&str> = header.lines().filter_map(|line| line.strip_prefix(name)).collect();
            assert_eq!(values.len(), 1, "{account}: {name} in {header}");
            values[0].to_owned()
        };
        let twice = found.insert(field("Subject: "), field("Return-Path: "));
        assert_eq!(twice, None, "{account}: {header}");
    });
    visited.map(|_| found).unwrap_or_default()
}
