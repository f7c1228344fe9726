//! The one place where the time of day is read.

use std::time::Duration;

/// Time since 1970-01-01 in UTC; zero for a clock that is set before that.
#[allow(clippy::disallowed_methods)] // the edge where the clock is read
pub fn since_epoch() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}
