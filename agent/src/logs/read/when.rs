//! Times as people type them, and as records have them.
//!
//! Invariant: pure: what time it is, and which zone, are arguments. A time is nanoseconds since 1970
//! in UTC.

use std::time::Duration;

use host_sys::clock::Minute;
use manifest_spec::quantity::Span;
use manifest_spec::schedule::calendar::Date;

/// Nanoseconds of a second, seconds of a day.
const SECOND: u64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// What is expected where a time is typed.
pub const EXPECTED: &str =
    "expected a time: 10m (ago), today, yesterday, 14:30, 2026-11-27, or 2026-11-27T14:30:00Z";

/// A time that is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTime;

impl std::fmt::Display for NoTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(EXPECTED)
    }
}

impl std::error::Error for NoTime {}

/// A time as it is typed: a duration back from `now`; `now`, `today` and `yesterday` (their
/// beginning); the last time that a clock showed `14:30` or `14:30:05`; a date with or without a
/// time of day. Without a zone behind it, it is what clocks show where `local` says so.
///
/// # Errors
/// Anything else.
pub fn typed(text: &str, now: u64, local: &dyn Fn(i64) -> Minute) -> Result<u64, NoTime> {
    let text = text.trim();
    if let Ok(Span(back)) = Span::parse(text) {
        return Ok(now.saturating_sub(nanos(back)));
    }
    let seconds = (now / SECOND) as i64;
    let midnight = |at: i64| {
        let day = local(at);
        of_local(days(day.year, day.month, day.day), 0, local)
    };
    let today = midnight(seconds);
    // Half a day before it is yesterday, however long that was.
    let yesterday = midnight(today - DAY / 2);
    let found = match text {
        "now" => return Ok(now),
        "today" => today,
        "yesterday" => yesterday,
        text => match of_day(text) {
            Some((second, 0)) => {
                let at = |midnight: i64| {
                    let day = local(midnight);
                    of_local(days(day.year, day.month, day.day), second, local)
                };
                if at(today) > seconds { at(yesterday) } else { at(today) }
            }
            _ => return dated(text, local).ok_or(NoTime),
        },
    };
    u64::try_from(found).ok().and_then(|found| found.checked_mul(SECOND)).ok_or(NoTime)
}

/// A time as records have it: RFC 3339, in UTC or with a zone.
pub fn recorded(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = zoned(rest)?;
    let (second, nanos) = of_day(clock)?;
    let at = date_of(date)? * DAY + second - offset?;
    u64::try_from(at).ok()?.checked_mul(SECOND)?.checked_add(nanos)
}

/// Since 1970, in nanoseconds.
pub fn nanos(since_epoch: Duration) -> u64 {
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

/// A date, with or without a time of day, with or without a zone.
fn dated(text: &str, local: &dyn Fn(i64) -> Minute) -> Option<u64> {
    if let Some(found) = recorded(text) {
        return Some(found);
    }
    let (date, rest) = text.split_at_checked(10)?;
    let clock = rest.strip_prefix(['T', ' ']);
    let (second, nanos) = match (rest.is_empty(), clock) {
        (true, _) => (0, 0),
        (false, clock) => of_day(clock?)?,
    };
    let at = of_local(date_of(date)?, second, local);
    u64::try_from(at).ok()?.checked_mul(SECOND)?.checked_add(nanos)
}

/// A text without its zone, and how far that is east of UTC in seconds, if it has one.
fn zoned(text: &str) -> Option<(&str, Option<i64>)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, Some(0)));
    }
    let Some((clock, zone)) = text.len().checked_sub(6).and_then(|at| text.split_at_checked(at))
    else {
        return Some((text, None));
    };
    let sign = match zone.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Some((text, None)),
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes) = (two(hours, 23)?, two(minutes, 59)?);
    Some((clock, Some(sign * (hours * 3600 + minutes * 60))))
}

/// Days since 1970 of `2026-11-27`.
fn date_of(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
    let (month, day) = (two(month, 12)?, two(day, 31)?);
    if parts.next().is_some() || !digits || month == 0 || day == 0 {
        return None;
    }
    Some(days(year.parse().ok()?, month as i32, day as i32))
}

/// Seconds and nanoseconds of `14:30`, `14:30:05`, `14:30:05.25`.
fn of_day(text: &str) -> Option<(i64, u64)> {
    let mut parts = text.split(':');
    let (hour, minute) = (two(parts.next()?, 23)?, two(parts.next()?, 59)?);
    let (second, nanos) = match parts.next() {
        None => (0, 0),
        Some(text) => {
            let (second, fraction) = text.split_once('.').unwrap_or((text, "0"));
            // 60 for a leap second.
            (two(second, 60)?, of_fraction(fraction)?)
        }
    };
    parts.next().is_none().then_some((hour * 3600 + minute * 60 + second, nanos))
}

fn of_fraction(digits: &str) -> Option<u64> {
    let fits = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| format!("{digits:0<9}").parse().ok())?
}

/// A number of two digits, up to `most`.
fn two(text: &str, most: i64) -> Option<i64> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?.filter(|number| *number <= most)
}

/// When clocks show this: seconds since 1970. What they never show, because they are put forward, is
/// what they would have shown.
fn of_local(day: i64, second: i64, local: &dyn Fn(i64) -> Minute) -> i64 {
    let shown = day * DAY + second;
    let ahead = |at: i64| {
        let Minute { year, month, day, hour, minute } = local(at);
        let shown = days(year, month, day) * DAY + i64::from(hour) * 3600 + i64::from(minute) * 60;
        shown - at.div_euclid(60) * 60
    };
    // The zone's difference near that time; then that at the time itself, which can be another.
    let near = shown - ahead(shown);
    shown - ahead(near)
}

/// Days since 1970-01-01.
fn days(year: i32, month: i32, day: i32) -> i64 {
    Date { year, month: month.unsigned_abs(), day: day.unsigned_abs() }.number()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::stamp;

    /// A zone that is two hours ahead of UTC, and one hour before 2026-03-29T01:00:00Z.
    fn summer(at: i64) -> Minute {
        let change = days(2026, 3, 29) * DAY + 3600;
        let shown = at + if at < change { 3600 } else { 7200 };
        let text = stamp(Duration::from_secs(shown as u64));
        let part = |from: usize, to: usize| text[from..to].parse().unwrap();
        Minute {
            year: part(0, 4),
            month: part(5, 7),
            day: part(8, 10),
            hour: part(11, 13),
            minute: part(14, 16),
        }
    }

    fn at(text: &str) -> u64 {
        recorded(text).unwrap_or_else(|| panic!("{text}"))
    }

    fn found(text: &str, now: &str) -> String {
        let found = typed(text, at(now), &summer).unwrap_or_else(|_| panic!("{text}"));
        let text = stamp(Duration::from_nanos(found));
        text[..19].to_owned()
    }

    #[test]
    fn times_are_typed_as_people_say_them() {
        let now = "2026-11-27T09:44:24Z"; // 11:44:24 there
        for (text, expected) in [
            ("now", "2026-11-27T09:44:24"),
            ("10m", "2026-11-27T09:34:24"),
            ("1h30m", "2026-11-27T08:14:24"),
            ("today", "2026-11-26T22:00:00"),
            ("yesterday", "2026-11-25T22:00:00"),
            ("11:30", "2026-11-27T09:30:00"),
            ("11:44:24", "2026-11-27T09:44:24"),
            ("11:45", "2026-11-26T09:45:00"),
            ("2026-11-20", "2026-11-19T22:00:00"),
            ("2026-11-20 10:00", "2026-11-20T08:00:00"),
            ("2026-11-20T10:00:30", "2026-11-20T08:00:30"),
            ("2026-11-20T10:00:30Z", "2026-11-20T10:00:30"),
            ("2026-11-20T10:00:30.5-05:30", "2026-11-20T15:30:30"),
        ] {
            assert_eq!(found(text, now), expected, "{text}");
        }
        for text in ["", "tomorrow", "24:00", "9:30", "11:60", "10", "2026-13-01", "2026-1-1", "x"]
        {
            assert_eq!(typed(text, at(now), &summer), Err(NoTime), "{text:?}");
        }
        for text in ["2026-11-27T10:00+1:00", "2026-11-27T10:00:00.", "2026-11-27é10:00", "é"] {
            assert_eq!(typed(text, at(now), &summer), Err(NoTime), "{text:?}");
        }
    }

    #[test]
    fn days_on_which_clocks_change_have_the_beginning_that_they_have() {
        assert_eq!(found("today", "2026-03-29T12:00:00Z"), "2026-03-28T23:00:00");
        assert_eq!(found("yesterday", "2026-03-30T12:00:00Z"), "2026-03-28T23:00:00");
        assert_eq!(found("01:59", "2026-03-29T12:00:00Z"), "2026-03-29T00:59:00");
        assert_eq!(found("03:00", "2026-03-29T12:00:00Z"), "2026-03-29T01:00:00");
    }

    #[test]
    fn times_of_records_are_read_as_they_were_written() {
        for seconds in [0, 951_782_400, 951_868_799, 1_709_251_199, 4_107_542_400] {
            let time = Duration::new(seconds, 123_456_000);
            assert_eq!(recorded(&stamp(time)), Some(nanos(time)), "{seconds}");
        }
        assert_eq!(recorded("2026-01-02T03:04:05.000000001Z"), Some(1_767_323_045_000_000_001));
        assert_eq!(recorded("2026-01-02T04:04:05+01:00"), Some(1_767_323_045_000_000_000));
        assert_eq!(recorded("2026-01-02T03:04:05"), None, "a record says its zone");
        assert_eq!(recorded("1969-12-31T23:59:59Z"), None);
    }
}
