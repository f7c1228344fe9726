//! When schedules are due: instants of what clocks on walls show.
//!
//! Owns what a zone's clock does to an expression. Invariant: the next instant is after the one asked
//! about, for every expression, zone and instant; the same question has the same answer whatever zone
//! this process is in. Pure: a zone is the bytes of its file (RFC 8536), and nothing here reads a clock.
//!
//! What happens once a day happens once on every day: a time that clocks skip is made up for at the
//! first instant after the gap, several of them at once; of a time that clocks show twice the first
//! one counts. What happens every so often ([`Expression::follows_clock`]) goes by the clock alone.

mod zone;

pub use zone::{Pass, Zone, ZoneError};

use std::sync::Arc;

use manifest_spec::schedule::Expression;

/// An expression, by the clocks of a zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    expression: Expression,
    zone: Arc<Zone>,
}

impl Schedule {
    /// This expression in this zone.
    pub fn new(expression: Expression, zone: Arc<Zone>) -> Schedule {
        Schedule { expression, zone }
    }

    /// The zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The expression.
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// The first instant after this one, both in seconds since 1970; `None` for what happens when the
    /// host starts, and after the year 9999.
    pub fn next(&self, after: i64) -> Option<i64> {
        let mut period = self.zone.period(after);
        // What clocks showed up to here has been. A clock that was put back shows some of it again.
        let mut from = after.checked_add(period.offset)?.checked_add(1)?;
        if !self.expression.follows_clock() {
            from = from.max(period.shown_before);
        }
        loop {
            let shown = self.expression.next_shown(from)?;
            let end = period.end.unwrap_or(i64::MAX);
            let at = shown.checked_sub(period.offset)?;
            if at < end {
                return Some(at);
            }
            let next = self.zone.period(end);
            let begin = end.checked_add(next.offset)?;
            from = begin;
            if !self.expression.follows_clock() {
                if shown < begin {
                    // Clocks skip it.
                    return Some(end);
                }
                from = from.max(next.shown_before);
            }
            period = next;
        }
    }
}
