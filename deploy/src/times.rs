//! Moments as the services tell them, written for people and for programs.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A moment from a contract; `None` for one that is absent or out of range.
pub(crate) fn moment(told: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    let told = told?;
    Timestamp::new(told.seconds, told.nanos).ok()
}

/// To the millisecond, in the user's time zone: `2026-11-24 01:36:47.123`.
pub(crate) fn local(moment: Timestamp, zone: &TimeZone) -> String {
    moment.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// For programs: RFC 3339, in UTC.
pub(crate) fn utc(moment: Timestamp) -> String {
    moment.to_string()
}

/// How long from one moment to another, in the largest unit that it fills: `42 s`, `3 min`, `5 h`, `2 d`.
pub(crate) fn span(from: Timestamp, to: Timestamp) -> String {
    duration(to.duration_since(from))
}

/// When something is due: `in 7 min`, or `now` if its time has come; nothing if it has none.
pub(crate) fn until(due: Option<Timestamp>, now: Timestamp) -> String {
    match due {
        Some(due) if due > now => format!("in {}", span(now, due)),
        Some(_) => "now".to_owned(),
        None => String::new(),
    }
}

fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_the_users_zone_and_in_utc() {
        let moment =
            moment(Some(&prost_types::Timestamp { seconds: 1_795_484_207, nanos: 123_456_789 })).unwrap();
        assert_eq!(local(moment, &TimeZone::UTC), "2026-11-24 01:36:47.123");
        assert_eq!(utc(moment), "2026-11-24T01:36:47.123456789Z");
    }

    #[test]
    fn a_moment_out_of_range_is_none() {
        assert_eq!(moment(Some(&prost_types::Timestamp { seconds: i64::MAX, nanos: 0 })), None);
        assert_eq!(moment(None), None);
    }

    #[test]
    fn spans_have_one_unit() {
        for (seconds, text) in [
            (-5, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (200_000, "2 d"),
        ] {
            assert_eq!(duration(SignedDuration::from_secs(seconds)), text);
        }
    }
}
