//! Two MTA nodes share the mail. When one dies, no client notices, and what the dead one keeps comes when it is back.

use std::thread;

use pipeline_tests::load::{Door, Fate, Load, Mix, Outcome, Sent};
use pipeline_tests::{Options, Pipeline, Service, Session, Tally, eventually, metric};
use serde_json::Value;

use crate::WAYPOST;

const NODES: [Service; 2] = ["mta", "mta1"];
/// How often each node dies.
const DEATHS: usize = 3;

#[test]
fn no_submission_fails() {
    let pipeline = two_nodes();
    let load = Load::start(&pipeline, Mix { smtp: 0, submissions: 4, reports: false, remote: false });
    wait_until_each_takes_mail(&pipeline);
    for node in NODES.repeat(DEATHS) {
        let old = pipeline.pid(node);
        pipeline.kill(node);
        let before = load.acknowledged(Door::Submissions);
        eventually("mail to go on", || (load.acknowledged(Door::Submissions) >= before + 20).then_some(()));
        eventually("the node to be started again", || pipeline.pid(node).filter(|&pid| Some(pid) != old));
        wait_until_each_takes_mail(&pipeline);
    }
    let Outcome { sent, broken } = load.stop();
    assert!(broken.is_empty(), "{broken:?}");
    let failed: Vec<&Sent> = sent.iter().filter(|sent| sent.fate != Fate::Acknowledged).collect();
    assert!(failed.is_empty(), "{failed:?}");
    Tally::when_settled(&pipeline).check(&sent);
}

#[test]
fn what_the_dead_node_keeps_comes_once_when_it_is_back() {
    let pipeline = two_nodes();
    let node = "mta1";
    // The node has asked for everything that it wants to know of the recipients; what is missing is the message.
    let mut sessions: Vec<(Session, Sent)> = (0..5)
        .map(|number| {
            let mut session = Session::open(pipeline.address(node, "smtp")).unwrap();
            let message = Sent {
                token: format!("load-{number}-10"),
                door: Door::Smtp,
                recipients: vec!["bob@example.test"],
                wants_report: false,
                fate: Fate::Acknowledged,
            };
            session.send_envelope(&message).unwrap();
            (session, message)
        })
        .collect();
    // With nobody to hand it to, the node keeps what it acknowledges.
    pipeline.halt("mda");
    thread::scope(|scope| {
        for (session, message) in &mut sessions {
            scope.spawn(move || session.send_content(message).unwrap());
        }
    });
    assert_eq!(kept_by(&pipeline, node), Some(5));

    let old = pipeline.pid(node);
    pipeline.kill(node);
    eventually("the node to be started again", || pipeline.pid(node).filter(|&pid| Some(pid) != old));
    eventually("the node to have read its spool", || (kept_by(&pipeline, node) == Some(5)).then_some(()));
    pipeline.resume("mda");
    let sent: Vec<Sent> = sessions.into_iter().map(|(_, message)| message).collect();
    Tally::when_settled(&pipeline).check(&sent);
}

fn two_nodes() -> Pipeline {
    Pipeline::start(WAYPOST, &Options { mta_nodes: 2, ..Options::default() })
}

/// A node that was just started has counted nothing yet.
fn wait_until_each_takes_mail(pipeline: &Pipeline) {
    for node in NODES {
        eventually("both nodes to take mail", || {
            let accepted = metric(pipeline, node, "waypost_mta_messages_accepted_total").unwrap_or(0);
            (accepted >= 5).then_some(())
        });
    }
}

/// Messages in a node's spool, if it answers.
fn kept_by(pipeline: &Pipeline, node: Service) -> Option<usize> {
    let list = pipeline.waypost(&["queue", "list", "--json"]);
    let messages: Value = serde_json::from_slice(&list.stdout).ok()?;
    let is_here = |message: &&Value| message["node"] == node;
    (list.stderr.is_empty()).then(|| messages.as_array().into_iter().flatten().filter(is_here).count())
}
