//! Times as records have them. Pure.

use std::time::Duration;

use manifest_spec::schedule::calendar::Date;

const EPOCH: Date = Date { year: 1970, month: 1, day: 1 };

/// RFC 3339 in UTC with microseconds, for a time since 1970.
pub fn stamp(since_epoch: Duration) -> String {
    let micros = since_epoch.subsec_micros();
    format!("{}.{micros:06}Z", whole_seconds(since_epoch))
}

/// The same with nanoseconds: when a record was read.
pub fn precisely(since_epoch: Duration) -> String {
    let nanos = since_epoch.subsec_nanos();
    format!("{}.{nanos:09}Z", whole_seconds(since_epoch))
}

fn whole_seconds(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // A duration ends long before the years have no number.
    let Date { year, month, day } = Date::of(days as i64).unwrap_or(EPOCH);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ];
        for (seconds, expected) in cases {
            let time = Duration::from_secs(seconds);
            assert_eq!(stamp(time), expected);
            let precise = precisely(time + Duration::from_nanos(1));
            assert_eq!(precise, expected.replace("000000Z", "000000001Z"));
        }
    }
}
