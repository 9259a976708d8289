//! However often an MTA dies: what was acknowledged reaches the other mail system, and once, unless that one's reply was
//! cut off; and it reaches mailboxes here exactly once.

use std::env;
use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use pipeline_tests::load::{Door, Fate, Load, Mix};
use pipeline_tests::{Options, Pipeline, Remote, Tally, eventually};

use crate::WAYPOST;

/// `WAYPOST_RELAY_KILL_ROUNDS` asks for more.
const ROUNDS: u32 = 5;
/// Messages that are taken between two kills, at least.
const BETWEEN_KILLS: u64 = 10;
/// A kill comes at a moment within this time.
const MOMENTS: Duration = Duration::from_millis(700);

/// One of so many last replies is cut off, where they are.
const CUT_OFF: u8 = 8;

#[test]
fn at_random_moments_under_load() {
    kill_under_load(&Remote::start());
}

#[test]
fn where_the_last_reply_is_cut_off_too() {
    let remote = Remote::start_cutting_off(CUT_OFF);
    let again = kill_under_load(&remote);
    assert!(again > 0, "{} replies were cut off, and nothing came again", remote.cut_off());
}

/// Returns how many messages came to the other system again.
fn kill_under_load(remote: &Remote) -> usize {
    let rounds =
        env::var("WAYPOST_RELAY_KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let began = Instant::now();
    let environment = vec![
        ("WAYPOST_MTA__OUTBOUND__PORT", remote.port().to_string()),
        // A node that dies in the middle of an attempt tries again at the time that it wrote down before.
        ("WAYPOST_MTA__RETRY__FIRST", "500ms".to_owned()),
        ("WAYPOST_MTA__RETRY__LONGEST", "1s".to_owned()),
        // So that segments are given back all the time, and a kill can meet that too.
        ("WAYPOST_MTA__SPOOL__SEGMENT_SIZE", "1MiB".to_owned()),
    ];
    let pipeline = Pipeline::start(WAYPOST, &Options { environment, ..Options::default() });
    let load = Load::start(&pipeline, Mix { smtp: 1, submissions: 5, reports: false, remote: true });
    for _ in 0..rounds {
        let before = load.acknowledged(Door::Submissions);
        eventually("mail to be taken", || {
            (load.acknowledged(Door::Submissions) >= before + BETWEEN_KILLS).then_some(())
        });
        // No wait for anything: this is what makes the moment random.
        thread::sleep(MOMENTS.mul_f32(fastrand::f32()));
        let old = pipeline.pid("mta");
        pipeline.kill("mta");
        eventually("the node to be started again", || pipeline.pid("mta").filter(|&pid| Some(pid) != old));
    }
    let outcome = load.stop();
    let tally = Tally::when_settled(&pipeline);
    tally.check(&outcome.sent);
    let again = remote.check(&outcome.sent);
    for sent in &outcome.sent {
        match &sent.fate {
            Fate::Acknowledged => {}
            Fate::Refused(reply) => assert!(reply.starts_with('4'), "{reply}"),
            Fate::Unknown(error) => assert_ne!(*error, ErrorKind::WouldBlock, "no answer for far too long"),
        }
    }
    let acknowledged = outcome.sent.iter().filter(|sent| sent.fate == Fate::Acknowledged).count();
    println!(
        "{rounds} kills in {:.0} s: {acknowledged} of {} acknowledged, none lost; the other system cut off {} replies; \
         {again} messages came to it again, each after a reply that was cut off; none twice to a mailbox here",
        began.elapsed().as_secs_f32(),
        outcome.sent.len(),
        remote.cut_off(),
    );
    again
}
