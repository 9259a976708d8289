//! `waypost trace` of a message that was delivered, of one that waits, of one that came back, and of one that never was.

use pipeline_tests::{Dns, Options, Pipeline, eventually, free_port};
use serde_json::Value;

use crate::WAYPOST;

#[test]
fn of_a_message_that_was_delivered_and_of_none_that_never_was() {
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let id = send(&pipeline, "bob@example.test");
    let story = story_with(&pipeline, &id, "delivered");
    assert_eq!(kinds(&story), ["received", "delivered"]);
    let [received, delivered] = [&story["events"][0], &story["events"][1]];
    assert_eq!(received["detail"], "alice@example.test");
    assert_eq!(delivered["recipient"], "bob@example.test");
    assert_eq!(delivered["reply"]["code"], 250);
    assert_eq!(story["located"][0]["account"], "bob@example.test");
    assert_eq!(story["located"][0]["mailbox"], "INBOX");
    let told = pipeline.waypost_ok(&["trace", &id]);
    for expected in ["received", "bob@example.test: delivered", "lies in mailbox INBOX of bob@example.test"] {
        assert!(told.contains(expected), "no `{expected}` in\n{told}");
    }

    let nobodys = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    let output = pipeline.waypost(&["trace", nobodys]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{said}");
    assert!(said.lines().count() == 1 && said.contains(nobodys), "{said}");
}

/// Also over the death of a node: its offsets stay what they are.
#[test]
fn who_follows_the_events_misses_none_and_sees_none_twice() {
    let pipeline = Pipeline::start(WAYPOST, &Options { mta_nodes: 2, ..Options::default() });
    let events = |after: &[String]| -> Vec<Value> {
        let after = after.iter().flat_map(|after| ["--after", after]);
        let told = pipeline.waypost_ok(&["events", "--json"].into_iter().chain(after).collect::<Vec<_>>());
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let mut sent = Vec::new();
    let before = eventually("both nodes to have had mail", || {
        sent.push(send(&pipeline, "bob@example.test"));
        let told = events(&[]);
        let had_mail = |node: &str| told.iter().any(|event| event["node"] == node);
        (had_mail("mta") && had_mail("mta1")).then_some(told)
    });
    for id in &sent {
        let of: Vec<&str> = before
            .iter()
            .filter(|event| event["message_id"] == **id)
            .map(|event| text(&event["kind"]))
            .collect();
        assert_eq!(of, ["received", "delivered"], "{id}");
    }
    // The last event of each node.
    let places = ["mta", "mta1"].map(|node| {
        let last = before.iter().rev().find(|event| event["node"] == node).unwrap();
        format!("{node}={}", text(&last["offset"]))
    });
    assert!(events(&places).is_empty());
    let old = pipeline.pid("mta1");
    pipeline.kill("mta1");
    eventually("the node to be started again", || pipeline.pid("mta1").filter(|&pid| Some(pid) != old));
    let id = send(&pipeline, "bob@example.test");
    let new = eventually("events again", || {
        let told = pipeline.waypost(&["events", "--json", "--after", &places[0], "--after", &places[1]]);
        told.status.success().then(|| events(&places))
    });
    assert_eq!(new.iter().map(|event| text(&event["message_id"])).collect::<Vec<_>>(), [&id, &id]);
    let told = pipeline.waypost_ok(&["events", "--kind", "received"]);
    assert_eq!(told.lines().count(), sent.len() + 1, "{told}");
}

#[test]
fn of_a_message_that_waits() {
    // Nobody listens on that address, so that connections are refused.
    let records = ["closed.test. IN MX 10 mx.closed.test.", "mx.closed.test. IN A 127.0.0.2"];
    let Some((pipeline, _dns)) = pipeline_asking(&records) else { return };
    let id = send(&pipeline, "someone@closed.test");
    let story = story_with(&pipeline, &id, "deferred");
    assert_eq!(kinds(&story), ["received", "queued", "attempt", "deferred"]);
    let deferred = &story["events"][3];
    assert_eq!(deferred["recipient"], "someone@closed.test");
    assert!(text(&deferred["peer"]).starts_with("mx.closed.test 127.0.0.2:"), "{story}");
    assert!(text(&deferred["reply"]["text"]).contains("refused"), "{story}");
    assert_eq!(deferred["reply"]["enhanced"], "4.4.1");
    assert_eq!((&deferred["said_by_peer"], &deferred["attempt"]), (&false.into(), &1.into()));
    let next = text(&deferred["next_attempt_at"]);
    assert!(next > text(&deferred["at"]), "{story}");
    let told = pipeline.waypost_ok(&["trace", &id]);
    assert!(
        told.contains("someone@closed.test: deferred until 20") && told.contains(": found here: 451 4.4.1"),
        "{told}"
    );

    let queue: Value = serde_json::from_str(&pipeline.waypost_ok(&["queue", "list", "--json"])).unwrap();
    assert_eq!(queue[0]["message_id"], Value::from(id.as_str()));
    assert_eq!(queue[0]["sender"], "alice@example.test");
    let recipient = &queue[0]["recipients"][0];
    assert_eq!(recipient["address"], "someone@closed.test");
    assert_eq!(recipient["state"], "queued");
    assert_eq!(recipient["attempts"], 1);
    assert_eq!(recipient["next_attempt_at"], next);
    let told = pipeline.waypost_ok(&["queue", "list"]);
    assert!(told.contains(&id) && told.contains("someone@closed.test"), "{told}");
}

#[test]
fn of_a_message_that_came_back_and_of_the_report_on_it() {
    let Some((pipeline, _dns)) = pipeline_asking(&["null.test. IN MX 0 ."]) else { return };
    for (to, code, enhanced) in [("someone@missing.test", 550, "5.1.2"), ("someone@null.test", 556, "5.1.10")]
    {
        let id = send(&pipeline, to);
        let story = story_with(&pipeline, &id, "reported");
        assert_eq!(kinds(&story), ["received", "queued", "bounced", "reported"]);
        let [bounced, reported] = [&story["events"][2], &story["events"][3]];
        assert_eq!(bounced["recipient"], to);
        assert_eq!(
            (&bounced["reply"]["code"], &bounced["reply"]["enhanced"]),
            (&code.into(), &enhanced.into())
        );
        let report = text(&reported["detail"]);
        assert!(pipeline.waypost_ok(&["trace", &id]).contains(&format!("message {report}")), "{story}");

        let of_the_report = story_with(&pipeline, report, "delivered");
        assert_eq!(kinds(&of_the_report), ["received", "queued", "delivered"]);
        let [received, delivered] = [&of_the_report["events"][0], &of_the_report["events"][2]];
        assert_eq!(received["detail"], "", "its sender is null");
        assert_eq!(delivered["recipient"], "alice@example.test");
        assert_eq!(of_the_report["located"][0]["account"], "alice@example.test");
    }
    assert_eq!(pipeline.waypost_ok(&["queue", "list", "--json"]), "[]");
}

/// A pipeline that asks a DNS server with these records. `None` if there is none here.
fn pipeline_asking(records: &[&str]) -> Option<(Pipeline, Dns)> {
    let dns = Dns::start(records)?;
    let arguments =
        ["--resolver", &dns.address().to_string(), "--remote-smtp-port", &free_port().to_string()];
    let arguments = arguments.map(str::to_owned).to_vec();
    Some((Pipeline::start(WAYPOST, &Options { arguments, ..Options::default() }), dns))
}

/// Alice sends; gives the message's id.
fn send(pipeline: &Pipeline, to: &str) -> String {
    pipeline.waypost_ok(&[
        "send",
        "--from",
        "alice@example.test",
        "--to",
        to,
        "--subject",
        "Hello",
        "--body",
        "Hi",
    ])
}

/// What is told of a message once something of this kind has happened to it.
fn story_with(pipeline: &Pipeline, id: &str, kind: &str) -> Value {
    eventually(&format!("{kind} {id}"), || {
        let output = pipeline.waypost(&["trace", "--json", id]);
        let story: Value = serde_json::from_slice(&output.stdout).ok()?;
        kinds(&story).contains(&kind).then_some(story)
    })
}

fn kinds(story: &Value) -> Vec<&str> {
    story["events"].as_array().into_iter().flatten().map(|event| text(&event["kind"])).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
