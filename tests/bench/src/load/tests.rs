//! The clients against servers of their own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::thread;

use super::*;

const LIMIT: Duration = Duration::from_mins(1);

fn plan(sink: &TcpListener, per_connection: u64) -> Plan {
    Plan {
        door: Door::clear(sink.local_addr().unwrap()),
        log_in_as: 0,
        to: To::Elsewhere,
        sessions: 7,
        per_connection,
        size: 2_000,
        amount: Amount { lasting: LIMIT, most: 100 },
        pace: None,
    }
}

#[test]
fn the_sink_takes_all_that_is_sent() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    for per_connection in [1, 3, 1_000] {
        let plan = plan(&listener, per_connection);
        let outcome = block_on(LIMIT, async {
            let sink = Sink::open(&listener, Manner::Takes)?;
            let outcome = plan.prepare().await?.run().await?;
            sink.reached(100).await;
            assert_eq!(sink.messages(), 100);
            Ok(outcome)
        });
        let outcome = outcome.unwrap();
        assert_eq!((outcome.operations, outcome.latencies.len()), (100, 100));
        assert!(outcome.octets > 100 * 1_800);
    }
}

#[test]
fn a_message_that_is_refused_fails_the_load() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let plan = plan(&listener, 10);
    let failed = block_on(LIMIT, async {
        let _sink = Sink::open(&listener, Manner::PutsOff)?;
        plan.prepare().await?.run().await
    });
    assert!(format!("{:#}", failed.unwrap_err()).ends_with("the reply to RCPT was 450 4.2.1 not now"));
}

#[test]
fn at_a_steady_pace_each_counts_from_when_it_was_due() {
    let slow = Duration::from_millis(20);
    let amount = Amount { lasting: LIMIT, most: 10 };
    // One client that takes twice as long as there is between two: the later ones wait for it.
    let outcome = block_on(LIMIT, async {
        run(&mut [()], amount, Some(100.0), async |(), _| {
            tokio::time::sleep(slow).await;
            Ok(1)
        })
        .await
    });
    let outcome = outcome.unwrap();
    assert_eq!((outcome.operations, outcome.octets), (10, 10));
    for (number, latency) in outcome.latencies.iter().enumerate() {
        assert!(*latency >= slow + slow / 2 * number as u32, "{number}: {latency:?}");
    }
}

#[test]
fn a_load_that_never_ends_fails_at_its_limit() {
    let failed = block_on(Duration::from_millis(1), std::future::pending::<anyhow::Result<()>>());
    assert_eq!(failed.unwrap_err().to_string(), "it did not end within 0 s");
}

/// A server that greets one client, and answers its commands as they are expected to come. `TAG` stands for a command's tag.
fn scripted(greeting: &'static str, script: &'static [(&'static str, &'static str)]) -> Door {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let door = Door::clear(listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(greeting.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for (command, answer) in script {
            let line = lines.next().unwrap().unwrap();
            let tag = line.strip_suffix(command).unwrap_or_else(|| panic!("{line} in place of {command}"));
            stream.write_all(answer.replace("TAG ", tag).as_bytes()).unwrap();
        }
    });
    door
}

#[test]
fn what_stands_in_a_literal_is_no_response() {
    let door = scripted(
        "* OK ready\r\n",
        &[
            ("LOGIN u0000@example.test secret", "* CAPABILITY IMAP4rev1\r\nTAG OK in\r\n"),
            ("SELECT Big", "* 3 EXISTS\r\n* OK [UIDNEXT 8] x\r\nTAG OK opened\r\n"),
            (
                "FETCH 1:* (BODY[])",
                "* 1 FETCH (BODY[] {25}\r\n* 9 FETCH (\r\nT3 OK done\r\n)\r\n* 2 FETCH (BODY[] {2}\r\nab BODY[2] {1}\r\nc)\r\n\
                 * 3 EXISTS\r\nTAG OK done\r\n",
            ),
            ("SEARCH ALL", "* SEARCH 1 2 3\r\nTAG OK done\r\n"),
            ("SEARCH NOT ALL", "* SEARCH\r\nTAG OK done\r\n"),
            ("STATUS Big (UIDNEXT)", "* STATUS Big (UIDNEXT 8)\r\nTAG OK done\r\n"),
            ("EXPUNGE", "TAG NO not now\r\n"),
        ],
    );
    let refused = block_on(LIMIT, async {
        let mut imap = Imap::log_in(&door, "u0000@example.test").await?;
        assert_eq!(imap.select("SELECT Big").await?, 3);
        let answer = imap.count("FETCH 1:* (BODY[])", " FETCH (").await?;
        assert_eq!((answer.found, answer.octets), (2, 28));
        assert_eq!((imap.search("ALL").await?, imap.search("NOT ALL").await?), (3, 0));
        assert_eq!(imap.numbers("STATUS Big (UIDNEXT)", ["UIDNEXT"]).await?, [8]);
        imap.run("EXPUNGE").await
    });
    assert_eq!(format!("{:#}", refused.unwrap_err()), "EXPUNGE failed: NO not now");
}

#[test]
fn a_message_over_pop3_ends_at_its_dot() {
    let door = scripted(
        "+OK ready\r\n",
        &[
            ("USER u0000@example.test", "+OK\r\n"),
            ("PASS secret", "+OK\r\n"),
            ("RETR 1", "+OK follows\r\n..dot\r\n+OK\r\n.\r\n"),
            ("RETR 2", "-ERR no such message\r\n"),
        ],
    );
    let refused = block_on(LIMIT, async {
        let mut pop3 = Pop3::log_in(&door, "u0000@example.test").await?;
        assert_eq!(pop3.retrieve(1).await?, 12);
        pop3.retrieve(2).await
    });
    assert_eq!(refused.unwrap_err().to_string(), "the reply to RETR 2 was -ERR no such message");
}
