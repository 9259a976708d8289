//! The clients against servers of their own.

use std::net::TcpListener;

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
