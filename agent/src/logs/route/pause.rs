//! How long is waited before a sink is tried again.
//!
//! Invariant: a wait is never shorter than half of what it is named after, and never longer than
//! that; chance is an argument.

use std::time::Duration;

/// The waits of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// After the first failure. It doubles with each one in a row.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(60) }
    }
}

impl Pauses {
    /// The wait after so many failures in a row, with `jitter` in [0, 1).
    ///
    /// Half of it is chance, so that what lost the same peer does not come back to it at once.
    pub fn after(&self, failures: u32, jitter: f64) -> Duration {
        // 2^31 first waits are longer than any longest wait.
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        // Not a number counts as none: mul_f64 would panic.
        let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
        whole / 2 + (whole / 2).mul_f64(jitter)
    }
}
