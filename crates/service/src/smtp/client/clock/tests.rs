use std::time::Duration;

use super::*;
use crate::config::{ByteSize, HumanDuration};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_reply_has_its_time_as_a_whole_and_the_next_has_its_own() {
    let start = Instant::now();
    let mut clock = Clock::new(Timeouts::default(), start);
    let deadline = clock.reply(Stage::Rcpt, 3, start);
    assert_eq!(deadline, start + seconds(300));
    // Octets of it have come since.
    assert_eq!(clock.reply(Stage::Rcpt, 3, start + seconds(299)), deadline);
    assert_eq!(clock.reply(Stage::Rcpt, 4, start + seconds(299)), start + seconds(599));
}

#[test]
fn a_message_has_to_leave_at_the_least_rate_on_average() {
    let start = Instant::now();
    let timeouts = Timeouts { min_rate: ByteSize(1000), ..Timeouts::default() };
    let mut clock = Clock::new(timeouts, start);
    assert_eq!(clock.block(60_000, start), start + seconds(180));
    clock.has_left(60_000);
    // Fast enough so far: the block's own time counts.
    assert_eq!(clock.block(60_000, start + seconds(60)), start + seconds(240));
    clock.has_left(60_000);
    // 360,000 octets may have taken 360 seconds, and the grace of one block.
    clock.has_left(180_000);
    assert_eq!(clock.block(60_000, start + seconds(500)), start + seconds(180 + 360));
}

#[test]
fn without_a_least_rate_only_blocks_and_the_whole_are_timed() {
    let start = Instant::now();
    let timeouts = Timeouts { min_rate: ByteSize(0), ..Timeouts::default() };
    let mut clock = Clock::new(timeouts, start);
    clock.block(1, start);
    assert_eq!(clock.block(1, start + seconds(3600)), start + seconds(3600 + 180));
    assert_eq!(clock.block(1, start + seconds(7199)), start + seconds(7200));
}

#[test]
fn all_steps_of_a_message_end_in_time_but_its_last_reply_is_waited_for() {
    let start = Instant::now();
    let timeouts = Timeouts { message: HumanDuration::from_mins(7), ..Timeouts::default() };
    let mut clock = Clock::new(timeouts, start);
    clock.begin_transaction(start);
    let late = start + seconds(400);
    assert_eq!(clock.reply(Stage::Rcpt, 1, late), start + seconds(420));
    assert_eq!(clock.block(10, late), start + seconds(420));
    assert_eq!(clock.reply(Stage::End, 2, late), late + seconds(600));
    // The next message starts anew.
    clock.begin_transaction(late);
    assert_eq!(clock.reply(Stage::Mail, 3, late), late + seconds(300));
}
