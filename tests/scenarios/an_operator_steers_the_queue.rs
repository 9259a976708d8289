//! What waits can be looked at and steered, over all MTA nodes at once, and a node can be emptied so that it can go.

mod remote;

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use pipeline_tests::{Options, Pipeline, Service, Stored, eventually, read_inbox};
use serde_json::Value;

use crate::WAYPOST;
use remote::Remote;

const NODES: [Service; 3] = ["mta", "mta1", "mta2"];
/// Messages that the other system puts off.
const MESSAGES: usize = 60;
/// How often nodes die while one is emptied.
const DEATHS: usize = 4;
/// Each at a moment within this time.
const MOMENTS: Duration = Duration::from_millis(400);

fn nodes(remote: &Remote) -> Pipeline {
    let environment = vec![
        ("WAYPOST_MTA__OUTBOUND__PORT", remote.port().to_string()),
        // So that what is retried by the operator is not confused with what is retried by itself.
        ("WAYPOST_MTA__RETRY__FIRST", "1h".to_owned()),
    ];
    Pipeline::start(WAYPOST, &Options { mta_nodes: 3, environment, ..Options::default() })
}

/// Sends messages to the other system, and waits until it has put all of them off; returns their subjects.
fn put_off(pipeline: &Pipeline, messages: usize) -> HashSet<String> {
    let subjects: Vec<String> = (0..messages).map(|number| format!("letter-{number}")).collect();
    thread::scope(|scope| {
        for subjects in subjects.chunks(messages.div_ceil(4)) {
            scope.spawn(move || {
                for subject in subjects {
                    let to = "x@[127.0.0.1]";
                    let from = "alice@example.test";
                    pipeline.waypost_ok(&[
                        "send",
                        "--from",
                        from,
                        "--to",
                        to,
                        "--subject",
                        subject,
                        "--body",
                        "x",
                    ]);
                }
            });
        }
    });
    eventually("all of it to be put off", || {
        (listed(pipeline, &["--reply", "4.7.1"])?.len() == messages).then_some(())
    });
    subjects.into_iter().collect()
}

/// The messages that wait, if all nodes answer.
fn listed(pipeline: &Pipeline, conditions: &[&str]) -> Option<Vec<Value>> {
    let list = pipeline.waypost(&[&["queue", "list", "--json"], conditions].concat());
    let messages = serde_json::from_slice::<Value>(&list.stdout).ok()?;
    (list.stderr.is_empty() || !String::from_utf8_lossy(&list.stderr).contains("left out"))
        .then(|| messages.as_array().cloned().unwrap_or_default())
}

fn waiting_at(messages: &[Value], node: Service) -> usize {
    messages.iter().filter(|message| message["node"] == node).count()
}

#[test]
fn a_node_is_emptied_into_the_others() {
    let remote = Remote::start();
    let pipeline = nodes(&remote);
    let subjects = put_off(&pipeline, MESSAGES);
    let before = listed(&pipeline, &[]).unwrap();
    assert!(NODES.iter().all(|&node| waiting_at(&before, node) > 0), "{before:?}");

    // Nodes die meanwhile: the one that is emptied, and one that takes over.
    for death in 0..DEATHS {
        let victim = if death % 2 == 0 { "mta1" } else { "mta2" };
        let mut draining = Command::new(WAYPOST)
            .args(["queue", "drain", "mta1", "--to", "mta", "--to", "mta2", "--dir"])
            .arg(pipeline.data())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // No wait for anything: this is what makes the moment random.
        thread::sleep(MOMENTS.mul_f32(fastrand::f32()));
        let old = pipeline.pid(victim);
        pipeline.kill(victim);
        eventually("the node to be started again", || pipeline.pid(victim).filter(|&pid| Some(pid) != old));
        if death % 2 == 0 {
            draining.wait().unwrap();
        } else {
            // It may go on without its victim; the operator does not wait for that.
            let _ = draining.kill();
            draining.wait().unwrap();
        }
        eventually("all nodes to answer", || listed(&pipeline, &[]));
    }
    let said = pipeline.waypost_ok(&["queue", "drain", "mta1", "--to", "mta", "--to", "mta2"]);
    assert!(said.starts_with("mta1 is empty"), "{said}");
    let after = listed(&pipeline, &[]).unwrap();
    assert_eq!((waiting_at(&after, "mta1"), after.len()), (0, MESSAGES));

    // What is sent now goes to the other nodes, and nothing was lost or doubled on the way.
    pipeline.waypost_ok(&[
        "send",
        "--from",
        "alice@example.test",
        "--to",
        "x@[127.0.0.1]",
        "--subject",
        "afterwards",
        "--body",
        "x",
    ]);
    assert_eq!(waiting_at(&listed(&pipeline, &[]).unwrap(), "mta1"), 0);
    remote.let_in();
    pipeline.waypost_ok(&["queue", "retry", "--all", "--yes"]);
    eventually("all of it to be taken", || listed(&pipeline, &[])?.is_empty().then_some(()));
    let taken = remote.taken();
    assert!(taken.values().all(|&copies| copies == 1), "{taken:?}");
    assert!(subjects.iter().all(|subject| taken.contains_key(subject)), "{taken:?}");
    assert_eq!(taken.len(), MESSAGES + 1);
}

#[test]
fn what_waits_is_held_released_bounced_and_dropped_on_all_nodes() {
    let remote = Remote::start();
    let pipeline = nodes(&remote);
    put_off(&pipeline, 12);
    let domain = ["--domain", "[127.0.0.1]"];
    let steer = |command: &str, arguments: &[&str]| {
        pipeline.waypost_ok(&[&["queue", command], &domain[..], arguments].concat())
    };
    assert_eq!(steer("hold", &["--dry-run"]), "12 recipients of 12 messages");
    assert_eq!(steer("hold", &["--yes"]), "held: 12 recipients of 12 messages");
    remote.let_in();
    assert_eq!(steer("retry", &["--yes"]), "nothing that waits matches");
    for node in NODES {
        pipeline.kill(node);
    }
    eventually("all nodes to hold what they held", || {
        let held = listed(&pipeline, &[])?;
        let is_held = |message: &Value| message["recipients"][0]["held"] == true;
        (held.len() == 12 && held.iter().all(is_held)).then_some(())
    });
    assert!(remote.taken().is_empty());

    let ids: Vec<String> = listed(&pipeline, &[])
        .unwrap()
        .iter()
        .map(|message| message["message_id"].as_str().unwrap().to_owned())
        .collect();
    let drop = pipeline.waypost(&["queue", "drop", &ids[0], "--reason", "spam"]);
    assert!(!drop.status.success(), "nobody was there to be asked");
    let said = pipeline.waypost_ok(&["queue", "drop", &ids[0], "--reason", "ticket 4711", "--yes"]);
    assert_eq!(said, "removed: 1 recipient of 1 message");
    assert!(pipeline.waypost_ok(&["trace", &ids[0]]).contains("ticket 4711"));
    let said = pipeline.waypost_ok(&["queue", "bounce", &ids[1], "--text", "that host is gone", "--yes"]);
    assert_eq!(said, "given up, with a report to the sender: 1 recipient of 1 message");
    eventually("the sender to read of it", || {
        let mut is_told = false;
        let tells =
            |stored: Stored| is_told |= String::from_utf8_lossy(&stored.octets).contains("that host is gone");
        read_inbox(&pipeline, "alice@example.test", 1, "BODY.PEEK[]", tells).ok()?;
        is_told.then_some(())
    });
    let reason = "they are down till noon";
    pipeline.waypost_ok(&["queue", "suspend", "--domain", "[127.0.0.1]", "--reason", reason]);
    assert_eq!(steer("release", &["--yes"]), "released: 10 recipients of 10 messages");
    steer("retry", &["--yes"]);
    eventually("all of it to be suspended", || {
        let explained = pipeline.waypost_ok(&["queue", "explain", &ids[2]]);
        explained.contains("the end of a suspension").then_some(())
    });
    assert!(remote.taken().is_empty());
    assert!(pipeline.waypost_ok(&["queue", "suspensions"]).contains(reason));
    pipeline.waypost_ok(&["queue", "resume", "--domain", "[127.0.0.1]"]);
    eventually("all of it to be taken", || listed(&pipeline, &[])?.is_empty().then_some(()));
    let taken = remote.taken();
    assert_eq!((taken.len(), taken.values().copied().max()), (10, Some(1)));
}
