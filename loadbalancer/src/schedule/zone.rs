//! A time zone: by how much its clocks are ahead, and until when.
//!
//! Invariant: periods follow each other without a gap, whatever is asked first. Changes of the clocks
//! up to the year 2100 are looked up once, when the zone is read; later ones are asked of `jiff` each
//! time, which knows the rule that goes on for ever.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// 2101-01-01T00:00:00Z.
const KNOWN: i64 = 4_133_980_800;

/// A zone.
pub struct Zone {
    name: String,
    zone: TimeZone,
    /// Periods by their beginning, the first one without any.
    periods: Vec<(i64, Period)>,
}

/// A time in which clocks are neither put forward nor back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    /// What clocks show is so many seconds ahead of UTC.
    pub(super) offset: i64,
    /// What clocks had shown at its beginning, if they were put back there; else the least there is.
    pub(super) shown_before: i64,
    /// When it ends, in seconds since 1970.
    pub(super) end: Option<i64>,
}

/// Which time it is that clocks show something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// They show it once.
    Only,
    /// They will be put back, and show it again.
    First,
    /// They were put back.
    Second,
}

/// Why bytes are no zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneError {
    /// The zone's name.
    pub name: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file of time zone {:?} can't be read: {}", self.name, self.reason)
    }
}

impl std::error::Error for ZoneError {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

impl Zone {
    /// The zone of these bytes (RFC 8536).
    ///
    /// # Errors
    /// [`ZoneError`].
    pub fn read(name: &str, bytes: &[u8]) -> Result<Zone, ZoneError> {
        let zone = TimeZone::tzif(name, bytes)
            .map_err(|error| ZoneError { name: name.to_owned(), reason: error.to_string() })?;
        Ok(Zone::of(name, zone))
    }

    /// UTC, which needs no file.
    pub fn utc() -> Zone {
        Zone::of("UTC", TimeZone::UTC)
    }

    fn of(name: &str, zone: TimeZone) -> Zone {
        let mut zone = Zone { name: name.to_owned(), zone, periods: Vec::new() };
        let mut periods = Vec::new();
        let mut begin = i64::MIN;
        while begin < KNOWN {
            let period = zone.ask(begin);
            periods.push((begin, period));
            let Some(end) = period.end else { break };
            begin = end;
        }
        zone.periods = periods;
        zone
    }

    /// Its name, as it was asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// By how many seconds its clocks are ahead of UTC at an instant.
    pub fn offset(&self, at: i64) -> i64 {
        self.period(at).offset
    }

    /// Whether clocks are put forward or back at an instant, and by how many seconds.
    pub fn change(&self, at: i64) -> Option<i64> {
        let before = self.period(at.checked_sub(1)?);
        let change = self.period(at).offset - before.offset;
        (change != 0).then_some(change)
    }

    /// How often clocks show what they show at an instant.
    pub fn pass(&self, at: i64) -> Pass {
        let period = self.period(at);
        let shown = at.saturating_add(period.offset);
        let is_again = |end: i64| end.saturating_add(self.period(end).offset) <= shown;
        match period.end {
            _ if shown < period.shown_before => Pass::Second,
            Some(end) if is_again(end) => Pass::First,
            _ => Pass::Only,
        }
    }

    /// The period that an instant is in.
    pub(super) fn period(&self, at: i64) -> Period {
        let place = self.periods.partition_point(|(begin, _)| *begin <= at);
        match self.periods.get(place.saturating_sub(1)) {
            Some((_, period)) if period.end.is_none_or(|end| at < end) => *period,
            _ => self.ask(at),
        }
    }

    fn ask(&self, at: i64) -> Period {
        let at = Timestamp::from_second(at).unwrap_or(match at < 0 {
            true => Timestamp::MIN,
            false => Timestamp::MAX,
        });
        let offset = |at: Timestamp| i64::from(self.zone.to_offset(at).seconds());
        let own = offset(at);
        // Many changes are of the zone's name, or of what is called its standard time.
        let end = self.zone.following(at).map(|change| change.timestamp());
        let end = end.into_iter().find(|end| offset(*end) != own);
        Period {
            offset: own,
            shown_before: self.shown_before(at, own),
            end: end.map(|end| end.as_second()),
        }
    }

    /// What clocks had shown when this period began, if that was more than they then did.
    fn shown_before(&self, at: Timestamp, own: i64) -> i64 {
        let offset = |at: Timestamp| i64::from(self.zone.to_offset(at).seconds());
        // The change at `at` itself is one that has been.
        let now = at.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(at);
        let changes = self.zone.preceding(now).map(|change| change.timestamp());
        let before = |begin: Timestamp| {
            let before = begin.checked_sub(jiff::SignedDuration::from_nanos(1)).ok()?;
            Some(offset(before)).filter(|before| *before != own)
        };
        for begin in changes {
            if let Some(before) = before(begin) {
                return begin.as_second().saturating_add(before);
            }
        }
        i64::MIN
    }
}
