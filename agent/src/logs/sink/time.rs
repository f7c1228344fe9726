//! Times as records and peers write them, as numbers. Pure.

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Nanoseconds since 1970 of a time as records have it: RFC 3339 in UTC, with or without a fraction.
pub fn nanos(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let time = time.strip_suffix('Z')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [year, month, day] = numbers(date, '-')?;
    let seconds = days(year, month, day)?.checked_mul(DAY)?.checked_add(of_day(time)?)?;
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Seconds since 1970 of an HTTP date in the form that is to be sent (RFC 9110, 5.6.7).
pub(super) fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == month)?.0;
    let year = words.next()?.parse().ok()?;
    let second = of_day(words.next()?)?;
    (words.next()? == "GMT").then_some(())?;
    days(year, month, day)?.checked_mul(DAY)?.checked_add(second)
}

fn of_day(text: &str) -> Option<u64> {
    let [hour, minute, second] = numbers(text, ':')?;
    // 60 for a leap second.
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts = text.split(between).map(|part| {
        let digits = part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse().ok())?
    });
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// Days since 1970-01-01 in the Gregorian calendar: years are counted from a March, so that the
/// leap day is the last of its year.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let of_years = year * 365 + year / 4 - year / 100 + year / 400;
    (of_years + (153 * month + 2) / 5 + day - 1).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_of_records_are_read_as_they_were_written() {
        for seconds in [0, 951_782_400, 951_868_799, 1_709_251_199, 4_107_542_400] {
            let time = Duration::new(seconds, 123_456_000);
            let written = crate::logs::stamp(time);
            assert_eq!(nanos(&written), Some(time.as_nanos() as u64), "{written}");
        }
        let cases = [
            ("2026-01-02T03:04:05Z", Some(1_767_323_045_000_000_000)),
            ("2026-01-02T03:04:05.5Z", Some(1_767_323_045_500_000_000)),
            ("2026-01-02T03:04:05.000000001Z", Some(1_767_323_045_000_000_001)),
            ("2026-01-02T03:04:05.0000000001Z", None),
            ("2026-01-02T03:04:05+01:00", None),
            ("2026-13-02T03:04:05Z", None),
            ("2026-01-02", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(nanos(text), expected, "{text}");
        }
    }
}
