//! Messages as people have them: a number always makes the same one, so that what is in a mailbox is known beforehand.

use std::fmt::Write as _;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};

/// In the Subject of one message in fifty.
pub(crate) const IN_SUBJECT: &str = "quarterly";
/// In the text of one message in a hundred.
pub(crate) const IN_TEXT: &str = "zebraquartz";

/// Messages that a load sends in turns have at most this many octets together.
const TURNS: usize = 8 << 20;

/// Message `number`, of the wanted size within a line or two, or of a usual one: 4 KB mostly, a quarter 16 KB, one in
/// twenty 64 KB. Half are multipart. No line begins with a dot.
pub(crate) fn message(number: u64, size: Option<usize>) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let size = size.unwrap_or_else(|| usual_size(&mut random));
    let mut text = String::with_capacity(size + 128);
    header(&mut text, number, &mut random);
    if number.is_multiple_of(2) {
        let half = size.saturating_sub(text.len() + 200) / 2;
        let lines = lines(half, &mut random, number);
        let _ = write!(
            text,
            "Content-Type: multipart/alternative; boundary=\"b{number}\"\r\n\r\n--b{number}\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\n{lines}--b{number}\r\n\
             Content-Type: text/html; charset=utf-8\r\n\r\n<p>\r\n{lines}</p>\r\n--b{number}--\r\n"
        );
    } else {
        text += "Content-Type: text/plain; charset=utf-8\r\n\r\n";
        let lines = lines(size.saturating_sub(text.len()), &mut random, number);
        text += &lines;
    }
    text.into_bytes()
}

/// When message `number` was written: so many hours after the beginning of 2024.
pub(crate) fn written(number: u64) -> Timestamp {
    let beginning = Timestamp::from_second(1_704_067_200).unwrap_or_default();
    beginning + SignedDuration::from_hours(i64::try_from(number).unwrap_or(0))
}

/// What a load sends, made beforehand: some messages of one size in turns.
pub(crate) struct Contents(Vec<Vec<u8>>);

impl Contents {
    /// Messages of `size` octets, each with the line that ends it.
    pub(crate) fn new(size: usize) -> Self {
        let turns = (TURNS / size).clamp(2, 64);
        Self((0..turns as u64).map(|number| [&message(number, Some(size))[..], b".\r\n"].concat()).collect())
    }

    /// The content of the message with this number.
    pub(crate) fn of(&self, number: u64) -> &[u8] {
        &self.0[number as usize % self.0.len()]
    }
}

fn usual_size(random: &mut fastrand::Rng) -> usize {
    match random.u8(..100) {
        0..70 => 4_000,
        70..95 => 16_000,
        _ => 64_000,
    }
}

fn header(text: &mut String, number: u64, random: &mut fastrand::Rng) {
    let mut word = || &WORDS[random.usize(..WORDS.len())];
    let date = written(number).strftime("%a, %d %b %Y %H:%M:%S +0000");
    let marked = if number % 50 == 7 { [" ", IN_SUBJECT].concat() } else { String::new() };
    let _ = write!(
        text,
        "Received: from relay{relay}.example.net by mx.example.test; {date}\r\nDate: {date}\r\n\
         From: {} {} <{}@example.net>\r\nTo: Someone <someone@example.test>, {}@example.org\r\n\
         Cc: {}@example.com\r\nSubject: {} {} {} {}{marked}\r\nMessage-ID: <{number}.{}@example.net>\r\n\
         In-Reply-To: <{before}.x@example.net>\r\nMIME-Version: 1.0\r\n",
        word(),
        word(),
        word(),
        word(),
        word(),
        word(),
        word(),
        word(),
        word(),
        word(),
        relay = number % 7,
        before = number.saturating_sub(1),
    );
}

/// Text of so many octets, at least a line.
fn lines(octets: usize, random: &mut fastrand::Rng, number: u64) -> String {
    let mut text = String::with_capacity(octets + 80);
    if number % 100 == 42 {
        let _ = write!(text, "here the {IN_TEXT} is\r\n");
    }
    while text.is_empty() || text.len() + 40 < octets {
        let line = &LINES[random.usize(..LINES.len())];
        text += &line[..line.len().min(octets.saturating_sub(text.len() + 2).max(1))];
        text += "\r\n";
    }
    text
}

static WORDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    const SYLLABLES: [&str; 20] = [
        "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va", "we",
        "xi", "yo", "zu",
    ];
    let mut random = fastrand::Rng::with_seed(1);
    let mut word = || (0..random.usize(1..=4)).map(|_| SYLLABLES[random.usize(..20)]).collect();
    (0..5_000).map(|_| word()).collect()
});

static LINES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut random = fastrand::Rng::with_seed(2);
    let mut line = || {
        let words: Vec<&str> = (0..12).map(|_| WORDS[random.usize(..WORDS.len())].as_str()).collect();
        let mut line = words.join(" ");
        line.truncate(74);
        line
    };
    (0..5_000).map(|_| line()).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: u64, size: Option<usize>) -> String {
        String::from_utf8(message(number, size)).unwrap()
    }

    #[test]
    fn a_number_always_makes_the_same_message_of_the_wanted_size() {
        for size in [1 << 10, 4 << 10, 64 << 10, 10 << 20] {
            for number in 0..4 {
                let message = message(number, Some(size));
                assert_eq!(message, super::message(number, Some(size)));
                assert!(message.len().abs_diff(size) < 200, "{number}: {} for {size}", message.len());
            }
        }
    }

    #[test]
    fn what_is_searched_for_is_where_it_should_be() {
        let found = |word: &str| (0..200).filter(|&number| text(number, None).contains(word)).collect();
        let by_subject: Vec<u64> = found(IN_SUBJECT);
        assert_eq!(by_subject, [7, 57, 107, 157]);
        let by_text: Vec<u64> = found(IN_TEXT);
        assert_eq!(by_text, [42, 142]);
    }

    #[test]
    fn every_line_can_be_sent_as_it_is() {
        for number in 0..50 {
            let text = text(number, None);
            assert!(
                text.ends_with("\r\n")
                    && !text.contains("\r\n.")
                    && !text.replace("\r\n", "").contains(['\r', '\n'])
            );
            assert!(text.lines().all(|line| line.len() < 998 && line.is_ascii()));
        }
    }
}
