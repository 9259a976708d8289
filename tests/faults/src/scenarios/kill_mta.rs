//! However often an MTA dies: what was acknowledged reaches the other mail system, and once, unless that one's reply was
//! cut off; and it reaches mailboxes here exactly once.

use std::thread;
use std::time::Duration;

use pipeline_tests::load::{Door, Load, Mix};
use pipeline_tests::{Options, Remote, Tally, eventually};

use super::trial::REPEATED;
use crate::{Form, Outcome, Promise, Scenario};

pub(crate) const WHILE_RELAYING: Scenario = Scenario {
    name: "kill-mta",
    proves: "Relayed mail survives a killed MTA, and reaches the other system once",
    how: "Six clients send mail to people here and at another mail system, which puts some recipients off. At random \
          moments the MTA gets a `kill -9`. A message may come to the other system again only if the reply to it was cut \
          off by the death.",
    promises: &[Promise::Kept, Promise::Once],
    run: |form| kill_under_load(form, &Remote::start()),
};

pub(crate) const WITH_REPLIES_CUT_OFF: Scenario = Scenario {
    name: "kill-mta-cut",
    proves: "Relayed mail survives a killed MTA where the other system's last reply is cut off, too",
    how: "As kill-mta, and the other system ends one of eight connections before or within its reply to the message.",
    promises: &[Promise::Kept, Promise::Once],
    run: |form| {
        let remote = Remote::start_cutting_off(CUT_OFF);
        let outcome = kill_under_load(form, &remote);
        assert!(remote.cut_off() > 0, "no reply was cut off");
        outcome
    },
};

/// Messages that are taken between two kills, at least.
const BETWEEN_KILLS: u64 = 10;
/// A kill comes at a moment within this time.
const MOMENTS: Duration = Duration::from_millis(700);
/// One of so many last replies is cut off, where they are.
const CUT_OFF: u8 = 8;

/// What has the MTA send mail for others to `remote`, and again soon: a node that dies in the middle of an attempt tries
/// again at the time that it wrote down before.
pub(crate) fn relaying_to(remote: &Remote) -> Vec<(&'static str, String)> {
    vec![
        ("WAYPOST_MTA__OUTBOUND__PORT", remote.port().to_string()),
        ("WAYPOST_MTA__RETRY__FIRST", "500ms".to_owned()),
        ("WAYPOST_MTA__RETRY__LONGEST", "1s".to_owned()),
        // So that segments are given back all the time, and a fault can meet that too.
        ("WAYPOST_MTA__SPOOL__SEGMENT_SIZE", "1MiB".to_owned()),
    ]
}

fn kill_under_load(form: &Form, remote: &Remote) -> Outcome {
    let pipeline = form.pipeline(Options { environment: relaying_to(remote), ..Options::default() });
    let load = Load::start(&pipeline, Mix { smtp: 1, submissions: 5, reports: false, remote: true });
    let mut outcome = Outcome::default();
    for _ in 0..form.rounds(5, 100) {
        let before = load.acknowledged(Door::Submissions);
        eventually("mail to be taken", || {
            (load.acknowledged(Door::Submissions) >= before + BETWEEN_KILLS).then_some(())
        });
        // No wait for anything: this is what makes the moment random.
        thread::sleep(MOMENTS.mul_f32(fastrand::f32()));
        let old = pipeline.pid("mta");
        pipeline.kill("mta");
        eventually("the node to be started again", || pipeline.pid("mta").filter(|&pid| Some(pid) != old));
        outcome.rounds += 1;
    }
    let clients = load.stop();
    let tally = Tally::when_settled(&pipeline);
    outcome.add_load(&clients);
    outcome.add_verdict(&tally.verdict(&clients.sent));
    let there = remote.verdict(&clients.sent);
    outcome.add_verdict(&there);
    outcome.figure("replies that the other system cut off", remote.cut_off());
    outcome.figure(REPEATED, there.repeated);
    outcome
}
