//! What is written now and then: `metrics.json`, which says how the pipeline does, and the cursors
//! beside the log.
//!
//! Invariant: replaced as wholes, at most once a second, and only when something has changed.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use manifest_spec::log::metrics::PipelineMetrics;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::router::Pulse;
use super::shared::{Counters, Shared};
use crate::store;

/// How often metrics are written, at most.
const SELDOM: Duration = Duration::from_secs(1);
/// The file they are in.
pub const METRICS: &str = "metrics.json";

/// Writes metrics when they change.
pub(super) struct Reporter {
    pub(super) run: PathBuf,
    pub(super) shared: Rc<Shared>,
    pub(super) counters: Arc<Counters>,
    pub(super) pulse: watch::Receiver<Pulse>,
}

impl Reporter {
    pub(super) async fn run(mut self) {
        loop {
            self.write();
            if self.shared.due().is_some_and(|due| due <= Instant::now()) {
                self.shared.keep();
            }
            sleep(SELDOM).await;
            let mut pulse = self.pulse.clone();
            let due = self.shared.due();
            tokio::select! {
                () = self.shared.changed.notified() => {}
                Ok(()) = pulse.changed() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            self.pulse.borrow_and_update();
        }
    }

    pub(super) fn write(&self) -> PipelineMetrics {
        let last = self.pulse.borrow().last;
        let metrics = self.shared.snapshot(&self.counters, last);
        // Without them everything goes on, only nobody sees it.
        let _ = store::replace(&self.run, METRICS, &metrics);
        metrics
    }
}
