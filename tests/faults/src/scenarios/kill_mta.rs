//! However often an MTA dies: what was acknowledged reaches the other mail system, and once, unless that one's reply was
//! cut off; and it reaches mailboxes here exactly once.

use pipeline_tests::load::Mix;
use pipeline_tests::{Options, Remote};

use super::kill_any::kill;
use super::trial::{SMALL_SEGMENTS, Trial};
use crate::{Form, Outcome, Promise, Scenario};

pub(crate) const WHILE_RELAYING: Scenario = Scenario {
    name: "kill-mta",
    proves: "Relayed mail survives a killed MTA, and reaches the other system once",
    how: "Six clients send mail to people here and at another mail system, which puts some recipients off. At random \
          moments the MTA gets a `kill -9`. A message may come to the other system again only if the reply to it was cut \
          off by the death.",
    promises: &[Promise::Kept, Promise::Once],
    run: |form| kill_under_load(form, Remote::start()),
};

pub(crate) const WITH_REPLIES_CUT_OFF: Scenario = Scenario {
    name: "kill-mta-cut",
    proves: "Relayed mail survives a killed MTA where the other system's last reply is cut off, too",
    how: "As kill-mta, and the other system ends one of eight connections before or within its reply to the message.",
    promises: &[Promise::Kept, Promise::Once],
    run: |form| {
        let remote = Remote::start_cutting_off(CUT_OFF);
        let mut outcome = kill_under_load(form, remote.clone());
        if remote.cut_off() == 0 {
            outcome.wrong.push("no reply was cut off".to_owned());
        }
        outcome
    },
};

/// One of so many last replies is cut off, where they are.
const CUT_OFF: u8 = 8;

/// What has the MTA send mail for others to `remote`, and again soon: a node that dies in the middle of an attempt tries
/// again at once if it was the message's first, else at the time that it wrote down before.
pub(crate) fn relaying_to(remote: &Remote) -> Vec<(&'static str, String)> {
    vec![
        ("WAYPOST_MTA__OUTBOUND__PORT", remote.port().to_string()),
        ("WAYPOST_MTA__RETRY__FIRST", "500ms".to_owned()),
        ("WAYPOST_MTA__RETRY__LONGEST", "1s".to_owned()),
    ]
}

fn kill_under_load(form: &Form, remote: Remote) -> Outcome {
    let mut environment = relaying_to(&remote);
    environment.extend(SMALL_SEGMENTS.map(|(name, value)| (name, value.to_owned())));
    let pipeline = form.pipeline(Options { environment, ..Options::default() });
    let mix = Mix { smtp: 1, submissions: 5, reports: false, remote: true };
    let mut trial = Trial::of(pipeline, mix, Some(remote));
    for _ in 0..form.rounds(5, 100) {
        trial.go_on();
        kill(trial.pipeline(), &["mta"]);
        trial.count_round();
    }
    trial.end()
}
