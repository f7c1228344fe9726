//! Numbers as people say them: durations, sizes, shares.
//!
//! Invariant: pure; one unit each, so that a column of them can be compared at a glance.

/// A time span in milliseconds: `340 ms`, `12 s`, `3 m`, `5 h`, `2 d`.
pub fn span(ms: u64) -> String {
    const SECOND: u64 = 1000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..MINUTE => format!("{} s", ms / SECOND),
        MINUTE..HOUR => format!("{} m", ms / MINUTE),
        HOUR..DAY => format!("{} h", ms / HOUR),
        _ => format!("{} d", ms / DAY),
    }
}

/// How long something has been so; clocks of two hosts may differ, and then it is so just now.
pub fn since(then_ms: u64, now_ms: u64) -> String {
    match now_ms.saturating_sub(then_ms) {
        0..1000 => "0 s".to_owned(),
        ms => span(ms),
    }
}

/// How long ago something was.
pub fn ago(then_ms: u64, now_ms: u64) -> String {
    match now_ms.saturating_sub(then_ms) {
        0..1000 => "just now".to_owned(),
        ms => format!("{} ago", span(ms)),
    }
}

/// Bytes, in units of 1024: `512 B`, `34 MiB`, `1.5 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64 / 1024.0;
    if value < 1.0 {
        return format!("{bytes} B");
    }
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if value < 1023.5 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    // As many digits as are read: 1.5, but 34 and 512.
    if value < 9.95 && (value - value.round()).abs() >= 0.05 {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

/// Percent of one processor, from microseconds of it in so many milliseconds.
pub fn share(usec: u64, ms: u64) -> String {
    match ms {
        0 => "-".to_owned(),
        ms => format!("{:.1} %", usec as f64 / ms as f64 / 10.0),
    }
}

/// `1 instance`, `2 instances`.
pub fn count(number: u32, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_one_unit() {
        let told = |ms| span(ms);
        assert_eq!(told(0), "0 ms");
        assert_eq!(told(999), "999 ms");
        assert_eq!(told(1_000), "1 s");
        assert_eq!(told(59_999), "59 s");
        assert_eq!(told(60_000), "1 m");
        assert_eq!(told(3_600_000), "1 h");
        assert_eq!(told(86_400_000 * 2 + 1), "2 d");
        assert_eq!((ago(5_000, 4_000), since(5_000, 4_000)), ("just now".into(), "0 s".into()));
        assert_eq!((ago(5_000, 9_000), since(5_000, 9_000)), ("4 s ago".into(), "4 s".into()));
    }

    #[test]
    fn sizes_have_the_digits_that_are_read() {
        for (bytes, told) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (34 << 20, "34 MiB"),
            ((1 << 20) - 1, "1 MiB"),
            (512 << 20, "512 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(size(bytes), told, "{bytes}");
        }
    }

    #[test]
    fn shares_are_of_one_processor() {
        assert_eq!(share(500_000, 1000), "50.0 %");
        assert_eq!(share(2_000_000, 1000), "200.0 %");
        assert_eq!(share(1, 0), "-");
    }
}
