//! The host's local time (tzset(3)).

/// A minute of the host's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute {
    /// Year, `2026`.
    pub year: i32,
    /// Month, from 1.
    pub month: i32,
    /// Day of the month, from 1.
    pub day: i32,
    /// Hour, 0 to 23.
    pub hour: i32,
    /// Minute, 0 to 59.
    pub minute: i32,
}

/// When a time (seconds since 1970, UTC) was, in the zone of `$TZ` or /etc/localtime.
pub fn local(seconds: i64) -> Minute {
    // SAFETY: tm is plain data for which all zero bytes are a valid value.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid; localtime_r keeps neither. The environment, which tzset
    // reads, is changed nowhere in this workspace.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut tm) };
    Minute {
        year: tm.tm_year + 1900,
        month: tm.tm_mon + 1,
        day: tm.tm_mday,
        hour: tm.tm_hour,
        minute: tm.tm_min,
    }
}
