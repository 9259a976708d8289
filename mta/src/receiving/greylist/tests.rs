use std::path::PathBuf;

use service::config::HumanDuration;

use super::*;

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;
const NOW: u64 = 1_800_000_000_000;

fn config(file: PathBuf) -> GreylistConfig {
    GreylistConfig {
        enabled: true,
        enough: 2,
        delay: HumanDuration::from_mins(5),
        file,
        ..GreylistConfig::default()
    }
}

struct Bed {
    greylist: Greylist,
    folder: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let greylist = Greylist::open(&config(folder.path().join("state/greylist")));
        Self { greylist, folder }
    }

    fn passes(&self, client: &str, recipient: &str, now: u64) -> bool {
        self.greylist.passes_at(client.parse().unwrap(), "a@remote.test", recipient, now)
    }

    fn reopened(self) -> Self {
        self.greylist.save().unwrap();
        let greylist = Greylist::open(&config(self.folder.path().join("state/greylist")));
        Self { greylist, ..self }
    }
}

#[test]
fn a_new_triple_waits_and_passes_when_it_comes_again() {
    let bed = Bed::new();
    assert!(!bed.passes("192.0.2.1", "bob@example.test", NOW));
    assert!(!bed.passes("192.0.2.1", "bob@example.test", NOW + 4 * MINUTE));
    // From another host of the same network, in other letters.
    assert!(bed.passes("192.0.2.9", "Bob@EXAMPLE.test", NOW + 6 * MINUTE));
    assert!(bed.passes("192.0.2.1", "bob@example.test", NOW + 30 * DAY));
    assert!(!bed.passes("192.0.2.1", "bob@example.test", NOW + 70 * DAY), "forgotten");
}

#[test]
fn who_comes_again_after_days_is_new_and_so_is_another_recipient() {
    let bed = Bed::new();
    assert!(!bed.passes("192.0.2.1", "bob@example.test", NOW));
    assert!(!bed.passes("192.0.2.1", "bob@example.test", NOW + 3 * DAY));
    assert!(!bed.passes("192.0.2.1", "carol@example.test", NOW + 3 * DAY + MINUTE));
    assert!(!bed.passes("198.51.100.1", "bob@example.test", NOW + 3 * DAY + 6 * MINUTE));
    assert!(bed.passes("192.0.2.1", "bob@example.test", NOW + 3 * DAY + 6 * MINUTE));
}

#[test]
fn a_network_that_has_come_again_often_enough_waits_no_more() {
    let bed = Bed::new();
    for recipient in ["bob@example.test", "carol@example.test"] {
        assert!(!bed.passes("192.0.2.1", recipient, NOW));
        assert!(bed.passes("192.0.2.1", recipient, NOW + 6 * MINUTE));
    }
    assert!(bed.passes("192.0.2.1", "dave@example.test", NOW + 7 * MINUTE));
    assert!(!bed.passes("198.51.100.1", "dave@example.test", NOW + 7 * MINUTE));
}

#[test]
fn what_was_seen_is_known_after_a_restart() {
    let bed = Bed::new();
    assert!(!bed.passes("192.0.2.1", "bob@example.test", NOW));
    let bed = bed.reopened();
    assert!(bed.passes("192.0.2.1", "bob@example.test", NOW + 6 * MINUTE));
    let bed = bed.reopened();
    assert!(bed.passes("192.0.2.1", "bob@example.test", NOW + 7 * MINUTE));
    assert!(!bed.passes("2001:db8::1", "bob@example.test", NOW + 7 * MINUTE));
    let bed = bed.reopened();
    assert!(bed.passes("2001:db8::2", "bob@example.test", NOW + 17 * MINUTE));
}

#[test]
fn a_file_that_is_damaged_costs_no_more_than_what_it_held() {
    let bed = Bed::new();
    assert!(!bed.passes("192.0.2.1", "bob@example.test", NOW));
    bed.greylist.save().unwrap();
    let path = bed.folder.path().join("state/greylist");
    for text in ["", "something else\n", "waypost greylist 1\nnonsense\n1\t2\t3\n\t\t\t\t\t\n"] {
        std::fs::write(&path, text).unwrap();
        let greylist = Greylist::open(&config(path.clone()));
        let client = "192.0.2.1".parse().unwrap();
        assert!(!greylist.passes_at(client, "a@remote.test", "bob@example.test", NOW + 6 * MINUTE));
    }
}

#[test]
fn a_clock_that_is_set_back_makes_nobody_wait_longer_than_a_new_one() {
    let bed = Bed::new();
    assert!(!bed.passes("192.0.2.1", "bob@example.test", NOW));
    assert!(!bed.passes("192.0.2.1", "bob@example.test", NOW - DAY));
    assert!(bed.passes("192.0.2.1", "bob@example.test", NOW - DAY + 6 * MINUTE));
}
