//! Dates (RFC 9051 §9, `date` and `date-time`).

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use super::cursor::{Cursor, Invalid};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `date = date-text / DQUOTE date-text DQUOTE`
pub(super) fn search_date(cursor: &mut Cursor) -> Result<Date, Invalid> {
    let quoted = cursor.take(b'"');
    let mut day = cursor.digits(1)?;
    if cursor.peek().is_some_and(|octet| octet.is_ascii_digit()) {
        day = day * 10 + cursor.digits(1)?;
    }
    let date = month_and_year(cursor, day)?;
    if quoted {
        cursor.expect(b'"')?;
    }
    Ok(date)
}

/// `date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`
pub(super) fn date_time(cursor: &mut Cursor) -> Result<Timestamp, Invalid> {
    let invalid = cursor.invalid("a date and time that exists");
    cursor.expect(b'"')?;
    let day = if cursor.take(b' ') { cursor.digits(1)? } else { cursor.digits(2)? };
    let date = month_and_year(cursor, day)?;
    cursor.space()?;
    let hour = cursor.digits(2)?;
    cursor.expect(b':')?;
    let minute = cursor.digits(2)?;
    cursor.expect(b':')?;
    // A leap second has no place in a timestamp: it is the second before.
    let second = match cursor.digits(2)? {
        60 => 59,
        second => second,
    };
    cursor.space()?;
    let offset = zone(cursor)?;
    cursor.expect(b'"')?;
    let part = |value: u16, most: u16| i8::try_from(value).ok().filter(|_| value <= most).ok_or(invalid);
    let time = date.at(part(hour, 23)?, part(minute, 59)?, part(second, 59)?, 0);
    offset.to_timestamp(time).map_err(|_| invalid)
}

fn month_and_year(cursor: &mut Cursor, day: u16) -> Result<Date, Invalid> {
    let invalid = cursor.invalid("a date that exists");
    cursor.expect(b'-')?;
    let name = cursor.letters(3)?;
    let month = (1..).zip(MONTHS).find(|(_, month)| name.eq_ignore_ascii_case(month.as_bytes()));
    cursor.expect(b'-')?;
    let year = cursor.digits(4)?;
    let (Some((month, _)), Ok(year), Ok(day)) = (month, i16::try_from(year), i8::try_from(day)) else {
        return Err(invalid);
    };
    Date::new(year, month, day).map_err(|_| invalid)
}

/// `zone = ("+" / "-") 4DIGIT`: hours and minutes east of Greenwich.
fn zone(cursor: &mut Cursor) -> Result<Offset, Invalid> {
    let invalid = cursor.invalid("a zone");
    let sign = match cursor.peek() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(invalid),
    };
    cursor.take(b'+');
    cursor.take(b'-');
    let hours = i32::from(cursor.digits(2)?);
    let minutes = i32::from(cursor.digits(2)?);
    if minutes > 59 {
        return Err(invalid);
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).map_err(|_| invalid)
}
