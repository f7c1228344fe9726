//! `metrics.json`: how the pipeline does.
//!
//! Invariant: replaced as a whole, at most once a second, and only when something has changed.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use manifest_spec::log::metrics::PipelineMetrics;
use tokio::sync::watch;
use tokio::time::sleep;

use super::cursor::replace;
use super::router::Pulse;
use super::shared::{Counters, Shared};

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
            sleep(SELDOM).await;
            let mut pulse = self.pulse.clone();
            tokio::select! {
                () = self.shared.changed.notified() => {}
                Ok(()) = pulse.changed() => {}
            }
            self.pulse.borrow_and_update();
        }
    }

    pub(super) fn write(&self) -> PipelineMetrics {
        let last = self.pulse.borrow().last;
        let metrics = self.shared.snapshot(&self.counters, last);
        // Without them everything goes on, only nobody sees it.
        let _ = replace(&self.run, METRICS, &metrics);
        metrics
    }
}
