//! A pipeline under load, watched by a reader.

use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use pipeline_tests::load::{Door, Load, Mix};
use pipeline_tests::{Options, Pipeline, Remote, Tally, eventually};

use super::inboxes::Inboxes;
use crate::{Form, Outcome};

/// Messages that each door takes between two faults, at least: each round shows that the last one did no lasting harm.
const BETWEEN_FAULTS: u64 = 10;
/// What the other mail system got again, as SMTP cannot prevent.
const REPEATED: &str = "copies that came again to the other mail system, each after a reply that was cut off";
/// A fault comes at a moment within this time.
const MOMENTS: Duration = Duration::from_secs(1);

/// So that segments are begun and given back all the time, and a fault can meet that too.
pub(crate) const SMALL_SEGMENTS: [(&str, &str); 2] =
    [("WAYPOST_MTA__SPOOL__SEGMENT_SIZE", "1MiB"), ("WAYPOST_MDA__STORE__SEGMENT_SIZE", "1MiB")];

/// See above.
pub(crate) struct Trial {
    pipeline: Pipeline,
    load: Load,
    inboxes: Inboxes,
    /// Where mail for others goes, if there is any.
    remote: Option<Remote>,
    /// The fault is one that services have to call an error.
    errors_are_due: bool,
    outcome: Outcome,
}

impl Trial {
    /// Starts one with mail for its mailboxes.
    pub(crate) fn begin(form: &Form) -> Self {
        Self::begin_with(form, |_| {})
    }

    /// Starts one likewise, and has the pipeline prepared before mail comes.
    pub(crate) fn begin_with(form: &Form, prepare: impl FnOnce(&mut Pipeline)) -> Self {
        let environment = SMALL_SEGMENTS.map(|(name, value)| (name, value.to_owned())).to_vec();
        let mut pipeline = form.pipeline(Options { environment, ..Options::default() });
        prepare(&mut pipeline);
        Self::of(pipeline, Mix { smtp: 3, submissions: 3, reports: true, remote: false }, None)
    }

    /// Puts this load on a pipeline; `remote` gets what is for others.
    pub(crate) fn of(pipeline: Pipeline, mix: Mix, remote: Option<Remote>) -> Self {
        let load = Load::start(&pipeline, mix);
        Self {
            pipeline,
            load,
            inboxes: Inboxes::default(),
            remote,
            errors_are_due: false,
            outcome: Outcome::default(),
        }
    }

    /// Its services may log errors.
    pub(crate) fn with_errors(self) -> Self {
        Self { errors_are_due: true, ..self }
    }

    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    pub(crate) fn pipeline_mut(&mut self) -> &mut Pipeline {
        &mut self.pipeline
    }

    /// A fault was brought about.
    pub(crate) fn count_round(&mut self) {
        self.outcome.rounds += 1;
    }

    /// Sees that everything works, and comes back at some moment.
    pub(crate) fn go_on(&mut self) {
        self.wait_until_mail_flows();
        self.inboxes.look(&self.pipeline);
        if !self.errors_are_due {
            assert_no_errors(&self.pipeline);
        }
        // No wait for anything: this is what makes the moment random.
        thread::sleep(MOMENTS.mul_f32(fastrand::f32()));
    }

    /// Waits until each door has taken some more mail.
    pub(crate) fn wait_until_mail_flows(&self) {
        for door in [Door::Smtp, Door::Submissions] {
            let before = self.load.acknowledged(door);
            eventually("mail to be taken", || {
                (self.load.acknowledged(door) >= before + BETWEEN_FAULTS).then_some(())
            });
        }
    }

    /// Holds what was promised against what is there.
    pub(crate) fn end(mut self) -> Outcome {
        self.go_on();
        let Self { pipeline, load, mut inboxes, remote, errors_are_due, mut outcome } = self;
        let clients = load.stop();
        wait_until_all_serve(&pipeline);
        let tally = Tally::when_settled(&pipeline);
        outcome.add_load(&clients);
        outcome.add_verdict(&tally.verdict(&clients.sent));
        if let Some(remote) = remote {
            let there = remote.verdict(&clients.sent);
            outcome.add_verdict(&there);
            outcome.figure("replies that the other mail system cut off by itself", remote.cut_off());
            outcome.figure(REPEATED, there.repeated);
        }
        inboxes.look(&pipeline);
        assert!(inboxes.holds(&tally), "what was seen is there no more, or something was never seen");
        if !errors_are_due {
            assert_no_errors(&pipeline);
        }
        outcome.figure("repeated hand-overs that the MDA recognised", repeats_recognised(&pipeline));
        outcome
    }
}

/// Waits until each service listens for mail and its readers.
pub(crate) fn wait_until_all_serve(pipeline: &Pipeline) {
    for (service, listener) in
        [("msa", "submission"), ("msa", "submissions"), ("mta", "smtp"), ("mda", "imap"), ("mda", "pop3")]
    {
        let address = pipeline.address(service, listener);
        eventually("all services to listen", || TcpStream::connect(address).ok());
    }
}

/// A service that has died is nothing that the others should call an error, let alone break over.
pub(crate) fn assert_no_errors(pipeline: &Pipeline) {
    let found = in_logs(pipeline, "(^| )ERROR |panicked");
    assert!(found.is_empty(), "{found}");
}

/// The lines of all services' logs that match.
pub(crate) fn in_logs(pipeline: &Pipeline, pattern: &str) -> String {
    let found = Command::new("grep").args(["-raE", pattern]).arg(pipeline.data().join("log")).output();
    String::from_utf8_lossy(&found.expect("grep starts").stdout).into_owned()
}

/// How often the MDA was handed what it had: after a lost reply. Of its last logs, for they are rotated.
fn repeats_recognised(pipeline: &Pipeline) -> String {
    let counted = Command::new("grep")
        .args(["-ac", "duplicate=true"])
        .arg(pipeline.data().join("log/mda.log"))
        .output();
    String::from_utf8_lossy(&counted.expect("grep starts").stdout).trim().to_owned()
}
