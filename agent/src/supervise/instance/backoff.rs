//! How long is waited: for readiness, between starts, and after too many of them.
//!
//! Invariant: a wait is never shorter than half of what it is named after, and never longer than
//! that; chance is an argument.

use std::time::Duration;

/// The times and the one number that an instance is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the start to being ready; later is a failure.
    pub ready_within: Duration,
    /// Serving for so long makes earlier failures forgotten.
    pub steady: Duration,
    /// Clients that stay with it for so long when it is to end are cut off.
    pub drain: Duration,
    /// The wait after the first failure. It doubles with each one in a row.
    pub first_wait: Duration,
    /// The longest of these waits.
    pub longest_wait: Duration,
    /// So many failures in a row are too many.
    pub too_many: u32,
    /// The wait after too many.
    pub breaker_wait: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ready_within: Duration::from_secs(60),
            steady: Duration::from_secs(10),
            drain: Duration::from_secs(30),
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(60),
            too_many: 8,
            breaker_wait: Duration::from_secs(300),
        }
    }
}

impl Timing {
    /// The wait after so many failures in a row, with `jitter` in [0, 1).
    ///
    /// Half of it is certain, so that a crash loop is slow; the other half is chance, so that what
    /// failed together is not tried again together.
    pub fn wait(&self, failures: u32, jitter: f64) -> Duration {
        // 2^31 first waits are longer than any longest wait.
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first_wait.saturating_mul(1 << doublings).min(self.longest_wait);
        // Not a number counts as none: mul_f64 would panic.
        let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
        whole / 2 + (whole / 2).mul_f64(jitter)
    }
}
