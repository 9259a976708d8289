use proptest::prelude::*;

use super::*;

fn utc(value: &str) -> Option<String> {
    DateTime::parse(value.as_bytes()).map(|date| date.timestamp().to_string())
}

#[test]
fn dates_are_read_in_all_their_forms() {
    for (value, moment) in [
        // RFC 5322 §A: current and obsolete.
        ("Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T15:55:06Z"),
        ("Tue, 1 Jul 2003 10:52:37 +0200", "2003-07-01T08:52:37Z"),
        (
            "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
            "1969-02-14T03:02:00Z",
        ),
        ("21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06Z"),
        ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T15:55:06Z"),
        ("01 Jan 49 00:00 UT", "2049-01-01T00:00:00Z"),
        ("01 Jan 50 00:00 Z", "1950-01-01T00:00:00Z"),
        ("01 Jan 104 00:00 +0000", "2004-01-01T00:00:00Z"),
        ("Sat, 29 Feb 2020 23:59:60 +0000", "2020-02-29T23:59:59Z"),
        ("1 jan 2020 10:00 EST", "2020-01-01T15:00:00Z"),
        ("1 Jan 2020 10:00 PDT", "2020-01-01T17:00:00Z"),
        // Military letters were specified with the wrong sign: they say nothing (RFC 5322 §4.3).
        ("1 Jan 2020 10:00 A", "2020-01-01T10:00:00Z"),
        ("1 January 2020 10:00 -0000", "2020-01-01T10:00:00Z"),
        // Seen in the wild.
        ("Wed 1-Jan-2020 10:00:00.123 GMT+0100", "2020-01-01T09:00:00Z"),
        ("(a (nested \\) one)) 1 Jan 2020 10:00", "2020-01-01T10:00:00Z"),
        ("Wed Jan  1 10:00:00 2020", "2020-01-01T10:00:00Z"),
        ("1 Jan 2020 10:00 +9999", "2020-01-01T10:00:00Z"),
    ] {
        assert_eq!(utc(value).as_deref(), Some(moment), "{value}");
    }
}

#[test]
fn what_is_no_date_is_none() {
    for value in [
        "",
        "Mon",
        "now",
        "Mon,",
        "1",
        "30 Feb 2020 10:00 +0000",
        "1 Foo 2020 10:00 +0000",
        "1 Jan 2020",
        "1 Jan 2020 25:00 +0000",
        "1 Jan 2020 10:60 +0000",
        "1 Jan 2020 10:00:61 +0000",
        "1 Jan 20200 10:00 +0000",
        "111 Jan 2020 10:00 +0000",
        "1 Jan 2020 1000 +0000",
        "(1 Jan 2020 10:00 +0000",
        "2020-01-01T10:00:00Z",
    ] {
        assert_eq!(utc(value), None, "{value}");
    }
}

#[test]
fn the_wall_clock_is_kept() {
    let date = DateTime::parse(b"Fri, 21 Nov 1997 23:55:06 -0600").expect("a date");
    assert_eq!(date.local.to_string(), "1997-11-21T23:55:06");
    assert_eq!(date.to_string(), "Fri, 21 Nov 1997 23:55:06 -0600");
    assert_eq!(DateTime::from(date.timestamp()).to_string(), "Sat, 22 Nov 1997 05:55:06 +0000");
}

proptest! {
    #[test]
    fn any_octets_are_a_date_or_none(value in proptest::collection::vec(any::<u8>(), 0..80)) {
        let year = DateTime::parse(&value).map(|date| date.local.year());
        prop_assert!(year.is_none_or(|year| (0..=9999).contains(&year)));
    }

    #[test]
    fn pieces_in_any_order_are_a_date_or_none(value in "([0-9]{1,4}|Jan|Mon|GMT|[:,+() .-]){0,12}") {
        if let Some(date) = DateTime::parse(value.as_bytes()) {
            prop_assert_eq!(DateTime::parse(date.to_string().as_bytes()), Some(date));
        }
    }

    #[test]
    fn what_is_printed_reads_back(second in -2_208_988_800_i64..250_000_000_000, minutes in -1439_i32..1440) {
        let offset = Offset::from_seconds(minutes * 60).expect("less than a day");
        let timestamp = Timestamp::from_second(second).expect("within the calendar");
        let date = DateTime { local: offset.to_datetime(timestamp), offset };
        let printed = date.to_string();
        prop_assert_eq!(DateTime::parse(printed.as_bytes()), Some(date));
        prop_assert_eq!(date.timestamp(), timestamp);
    }
}
