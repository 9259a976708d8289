//! However far the clock jumps, and whichever way: mail that was taken is tried at the pace of its time table, by the time
//! that really passes, and none is lost. Only deadlines are points in time: a day that the clock skips is gone for them.

use std::time::{Duration, Instant};

use pipeline_tests::load::{Door, Fate, RECIPIENTS, REMOTE, Sent};
use pipeline_tests::{Options, Pipeline, Remote, Session, Tally, WallClock, eventually, read_inbox};

use crate::WAYPOST;

/// Between two attempts.
const WAIT: Duration = Duration::from_secs(3);

/// A pipeline under this clock, with an MTA that tries again after [`WAIT`], and for so long.
fn start(clock: &WallClock, remote: &Remote, lifetime: &str) -> Pipeline {
    let mut environment = clock.environment();
    environment.extend([
        ("WAYPOST_MTA__OUTBOUND__PORT", remote.port().to_string()),
        ("WAYPOST_MTA__RETRY__FIRST", format!("{}s", WAIT.as_secs())),
        ("WAYPOST_MTA__RETRY__LONGEST", format!("{}s", WAIT.as_secs())),
        ("WAYPOST_MTA__RETRY__JITTER", "0.1".to_owned()),
        ("WAYPOST_MTA__RETRY__LIFETIME", lifetime.to_owned()),
        // A report of that would be none of the correspondence.
        ("WAYPOST_MTA__RETRY__DELAY_AFTER", "4d".to_owned()),
    ]);
    Pipeline::start(WAYPOST, &Options { environment, ..Options::default() })
}

/// Mail to people elsewhere, who are put off, and to one who is here.
struct Correspondence<'a> {
    pipeline: &'a Pipeline,
    remote: &'a Remote,
    sent: Vec<Sent>,
}

impl Correspondence<'_> {
    /// Hands over a message to each, and waits until the other system has put off what is for it.
    fn goes_on(&mut self) {
        let before = self.remote.put_off();
        let mut session = Session::submission(self.pipeline).expect("a session");
        for recipients in [vec![REMOTE[0]], vec![REMOTE[1]], vec![RECIPIENTS[0]]] {
            let token = format!("load-{}-left-9", self.sent.len());
            let (door, fate) = (Door::Submissions, Fate::Acknowledged);
            let message = Sent { token, door, recipients, wants_report: false, fate };
            session.send(&message).expect("its 250");
            self.sent.push(message);
        }
        eventually("first attempts", || (self.remote.put_off() >= before + 2).then_some(()));
    }

    /// Everything that waits is tried again, once, when the wait is over.
    fn is_tried_in_time(&self) {
        let waiting = self.sent.len() / 3 * 2;
        let (began, before) = (Instant::now(), self.remote.put_off());
        eventually("next attempts", || (self.remote.put_off() >= before + 2 * waiting).then_some(()));
        // Of two rounds the first may have come at once, and the second has a whole wait before it.
        let least = WAIT.mul_f32(0.8);
        assert!(began.elapsed() > least, "{waiting} messages twice within {:?}", began.elapsed());
    }
}

#[test]
fn while_mail_waits() {
    let Some(clock) = WallClock::find() else { return };
    let remote = Remote::start();
    remote.puts_off(true);
    let pipeline = start(&clock, &remote, "5d");
    let mut mail = Correspondence { pipeline: &pipeline, remote: &remote, sent: Vec::new() };
    mail.goes_on();
    for time in ["+1d", "+0"] {
        clock.shows(time);
        mail.is_tried_in_time();
        mail.goes_on();
    }
    remote.puts_off(false);
    Tally::when_settled(&pipeline).check(&mail.sent);
    assert_eq!(remote.check(&mail.sent), 0);
}

#[test]
fn while_the_node_is_away() {
    let Some(clock) = WallClock::find() else { return };
    let remote = Remote::start();
    remote.puts_off(true);
    let mut pipeline = start(&clock, &remote, "5d");
    let mut sent = Vec::new();
    for time in ["+1d", "+0"] {
        let mut mail = Correspondence { pipeline: &pipeline, remote: &remote, sent };
        mail.goes_on();
        sent = mail.sent;
        pipeline.down();
        clock.shows(time);
        pipeline.up();
        Correspondence { pipeline: &pipeline, remote: &remote, sent: sent.clone() }.is_tried_in_time();
    }
    remote.puts_off(false);
    Tally::when_settled(&pipeline).check(&sent);
    assert_eq!(remote.check(&sent), 0);
}

/// What should have been given up by the time that the clock shows is tried once more; then its sender is told.
#[test]
fn over_a_deadline() {
    let Some(clock) = WallClock::find() else { return };
    let remote = Remote::start();
    remote.puts_off(true);
    let pipeline = start(&clock, &remote, "12h");
    let mut mail = Correspondence { pipeline: &pipeline, remote: &remote, sent: Vec::new() };
    mail.goes_on();
    let before = remote.put_off();
    clock.shows("+1d");
    let mut reports = 0;
    eventually("the reports", || {
        reports = 0;
        let read = read_inbox(&pipeline, "alice@example.test", 1, "BODY.PEEK[]", |stored| {
            let text = String::from_utf8_lossy(&stored.octets);
            reports += usize::from(text.contains("Action: failed") && text.contains("451 4.3.0 come again"));
        });
        (read.is_ok() && reports >= 2).then_some(())
    });
    assert_eq!(reports, 2);
    assert!(remote.put_off() >= before + 2);
}
