//! The metrics of a log that goes nowhere: how many records were written and lost.
//!
//! Invariant: written once a second at most, and only when something has changed; what can't be
//! written is left out, and the log goes on.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use manifest_spec::log::metrics::{PipelineMetrics, VERSION};

use crate::clock::since_epoch;
use crate::logs::route::{Counters, METRICS};
use crate::logs::stamp;
use crate::store::replace;

/// Between two of them, at least.
const SELDOM: Duration = Duration::from_secs(1);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Report {
    run: PathBuf,
    /// What was written last, without its time.
    written: PipelineMetrics,
    /// When, if ever.
    at: Option<Instant>,
    /// Something has changed since.
    is_late: bool,
}

impl Report {
    pub(super) fn new(run: &Path) -> Report {
        let written = PipelineMetrics::default();
        Report { run: run.to_owned(), written, at: None, is_late: false }
    }

    /// Write them, if they have changed and it is time.
    pub(super) fn look(&mut self, counters: &Counters, last: u64) {
        let metrics = PipelineMetrics {
            v: VERSION,
            lines_in: counters.lines_in.load(Ordering::Relaxed),
            lines_dropped: counters.lines_dropped.load(Ordering::Relaxed),
            stalls: counters.stalls.load(Ordering::Relaxed),
            stalled_ms: counters.stalled_ms.load(Ordering::Relaxed),
            last_seq: last,
            ..PipelineMetrics::default()
        };
        self.is_late = metrics != self.written;
        let is_time = self.at.is_none_or(|at| at.elapsed() >= SELDOM);
        if !(self.is_late && is_time) {
            return;
        }
        let told = PipelineMetrics { at: stamp(since_epoch()), ..metrics.clone() };
        // Without them everything goes on, only nobody sees it.
        let _ = replace(&self.run, METRICS, &told);
        (self.written, self.at, self.is_late) = (metrics, Some(Instant::now()), false);
    }

    /// When something that has changed is to be written.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at.filter(|_| self.is_late).map(|at| at + SELDOM)
    }
}
