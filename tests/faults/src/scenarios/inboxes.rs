//! What a reader saw of the inboxes while services died: a UID, once seen, means its message for ever.

use std::collections::{BTreeMap, HashMap};

use pipeline_tests::load::RECIPIENTS;
use pipeline_tests::{Pipeline, Stored, Tally, eventually, read_inbox};

/// See above.
#[derive(Default)]
pub(crate) struct Inboxes {
    uid_validity: HashMap<&'static str, u32>,
    /// Subjects by account and UID.
    seen: HashMap<&'static str, BTreeMap<u32, String>>,
}

impl Inboxes {
    /// Looks at what is new.
    ///
    /// # Panics
    /// If something is not as it was.
    pub(crate) fn look(&mut self, pipeline: &Pipeline) {
        for account in RECIPIENTS {
            let seen = self.seen.entry(account).or_default();
            let uid_validity = eventually("the inbox to be read", || {
                let next = seen.last_key_value().map_or(1, |(uid, _)| uid + 1);
                let visit = |Stored { uid, octets }| {
                    let subject =
                        String::from_utf8_lossy(&octets).trim_start_matches("Subject: ").trim().to_owned();
                    let known = seen.entry(uid).or_insert_with(|| subject.clone());
                    assert_eq!(*known, subject, "UID {uid} of {account} is another message now");
                };
                read_inbox(pipeline, account, next, "BODY.PEEK[HEADER.FIELDS (SUBJECT)]", visit).ok()
            });
            assert_eq!(*self.uid_validity.entry(account).or_insert(uid_validity), uid_validity, "{account}");
        }
    }

    /// Whether what was seen is all that is there.
    pub(crate) fn holds(&self, tally: &Tally) -> bool {
        self.seen == tally.subjects
    }
}
