//! What came of a load: every message in the inboxes, held against what was sent.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};

use crate::load::{self, Fate, RECIPIENTS, Sent};
use crate::mailbox::{read_some, take_inbox, uids};
use crate::{Pipeline, Stored, Verdict, eventually, read_inbox};

/// All that is in the inboxes.
#[derive(Debug, Default)]
pub struct Tally {
    /// Subjects by account and UID.
    pub subjects: HashMap<&'static str, BTreeMap<u32, String>>,
    /// How often each message is there, by account and token.
    messages: HashMap<(&'static str, String), u32>,
    /// How often each message's report of success is there, by the token and the recipient that it names.
    reports: HashMap<(String, String), u32>,
}

impl Tally {
    /// Waits until no MTA node has anything left to deliver, and reads the inboxes.
    ///
    /// # Panics
    /// If a message is damaged, or is neither of the load nor a report.
    pub fn when_settled(pipeline: &Pipeline) -> Self {
        wait_until_settled(pipeline);
        let mut tally = Self::default();
        for account in RECIPIENTS {
            let read = read_inbox(pipeline, account, 1, "BODY.PEEK[]", |stored| tally.add(account, &stored));
            read.expect("the inbox");
        }
        tally
    }

    /// Reads what can be read of the inboxes of a store that is damaged; says of how many messages the server told that
    /// they could not be.
    ///
    /// # Panics
    /// If a message is there that is not as it was, or the server is not there for far too long.
    pub fn where_damaged(pipeline: &Pipeline) -> (Self, u64) {
        let mut tally = Self::default();
        let mut refusals = 0;
        for account in RECIPIENTS {
            let is_whole = tally.add_what_can_be_read(pipeline, account);
            // Each that did not come then, by itself.
            let listed = eventually("the inbox to be listed", || match uids(pipeline, account) {
                Err(error) if is_refusal(&error) => Some(Vec::new()),
                listed => listed.ok(),
            });
            let mut missing = listed;
            missing.retain(|uid| tally.subjects.get(account).is_none_or(|known| !known.contains_key(uid)));
            let refused = missing.iter().filter(|&&uid| !tally.add_one(pipeline, account, uid)).count();
            // It may be the inbox that is damaged, and no message.
            refusals += (refused as u64).max(u64::from(!is_whole));
        }
        (tally, refusals)
    }

    /// Reads an inbox to its end. Whether the server refused none of it.
    fn add_what_can_be_read(&mut self, pipeline: &Pipeline, account: &'static str) -> bool {
        let (mut next, mut is_whole) = (1, true);
        eventually("the inbox to be read to its end", || {
            let first = next;
            let read = read_inbox(pipeline, account, first, "BODY.PEEK[]", |stored| {
                if stored.uid >= first {
                    next = stored.uid + 1;
                    self.add(account, &stored);
                }
            });
            let Err(error) = read else { return Some(()) };
            let is_refused = is_refusal(&error);
            is_whole &= !is_refused;
            // It broke off within a large one: all before were told, and the others are not yet. Otherwise it was the end.
            let has_broken_off = error.kind() == ErrorKind::UnexpectedEof;
            next += u32::from(has_broken_off);
            (is_refused && !has_broken_off).then_some(())
        });
        is_whole
    }

    /// Reads one message. `false` if the server says that it cannot be.
    fn add_one(&mut self, pipeline: &Pipeline, account: &'static str, uid: u32) -> bool {
        eventually("a message to be read or refused", || {
            let read = read_some(pipeline, account, &uid.to_string(), "BODY.PEEK[]", |stored| {
                self.add(account, &stored);
            });
            match read {
                Ok(_) => Some(true),
                Err(error) => is_refusal(&error).then_some(false),
            }
        })
    }

    /// Adds what is in an account's inbox, and expunges it.
    ///
    /// # Errors
    /// If the MDA goes away, or refuses.
    ///
    /// # Panics
    /// As [`Tally::when_settled`].
    pub fn take(&mut self, pipeline: &Pipeline, account: &'static str) -> io::Result<()> {
        take_inbox(pipeline, account, |stored| self.add(account, &stored))
    }

    /// Waits likewise, and takes what is left.
    ///
    /// # Panics
    /// As [`Tally::when_settled`].
    pub fn take_when_settled(&mut self, pipeline: &Pipeline) {
        wait_until_settled(pipeline);
        for account in RECIPIENTS {
            self.take(pipeline, account).expect("the inbox");
        }
    }

    /// Each message that was acknowledged is there once for each of its recipients, and no message is there twice or
    /// for anyone else.
    ///
    /// # Panics
    /// If not.
    pub fn check(&self, sent: &[Sent]) {
        self.verdict(sent).check();
    }

    /// How far that is so.
    pub fn verdict(&self, sent: &[Sent]) -> Verdict {
        let mut verdict = Verdict::default();
        let mut known = 0;
        for sent in sent {
            for account in RECIPIENTS {
                let copies = self.messages.get(&(account, sent.token.clone())).copied().unwrap_or(0);
                let report = (sent.token.clone(), account.to_owned());
                let reports = self.reports.get(&report).copied().unwrap_or(0);
                let most = u32::from(sent.recipients.contains(&account));
                let most_reports = most * u32::from(sent.wants_report);
                let is_promised = u32::from(sent.fate == Fate::Acknowledged);
                verdict.count(copies, most * is_promised, most, || {
                    format!("{copies} copies for {account} of {sent:?}")
                });
                verdict.count(reports, most_reports * is_promised, most_reports, || {
                    format!("{reports} reports for {account} of {sent:?}")
                });
                known += copies;
            }
        }
        let all = self.messages.values().sum::<u32>();
        if all != known {
            verdict.note(format!("{} messages that nobody sent", all - known));
        }
        verdict
    }

    fn add(&mut self, account: &'static str, stored: &Stored) {
        let text = std::str::from_utf8(&stored.octets).expect("ASCII");
        let (header, body) = text.split_once("\r\n\r\n").expect("a header and a body");
        let subject = header.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a subject");
        self.subjects.entry(account).or_default().insert(stored.uid, subject.to_owned());
        if subject.starts_with("load-") {
            assert!(body == load::body(subject), "{subject} is damaged:\n{text}");
            *self.messages.entry((account, subject.to_owned())).or_default() += 1;
            return;
        }
        let values = |field: &'static str| body.lines().filter_map(move |line| line.strip_prefix(field));
        let token = values("Original-Envelope-Id: ").next();
        let token = token.unwrap_or_else(|| panic!("neither of the load nor a report:\n{text}"));
        for recipient in values("Final-Recipient: rfc822;") {
            *self.reports.entry((token.to_owned(), recipient.trim().to_owned())).or_default() += 1;
        }
    }
}

/// Whether this tells of a message that is damaged: in words, or by an end within it, if it is large.
fn is_refusal(error: &io::Error) -> bool {
    error.kind() == ErrorKind::UnexpectedEof || error.to_string().contains("[CORRUPTION]")
}

/// Waits until no MTA node has anything left to deliver.
fn wait_until_settled(pipeline: &Pipeline) {
    eventually("the queue to be empty", || {
        let list = pipeline.waypost(&["queue", "list", "--json"]);
        // A node that does not answer is told of on standard error.
        let is_empty = list.stdout.trim_ascii() == b"[]" && list.stderr.is_empty();
        (list.status.success() && is_empty).then_some(())
    });
}
