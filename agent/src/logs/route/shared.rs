//! What the sinks of an instance share: its cursors, its metrics, chance and time.
//!
//! Invariant: belongs to one thread. Cursors are below RUN before anybody goes on, and beside the log
//! soon; that, and metrics, are for [`super::report`] to see to.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use manifest_spec::log::metrics::{self, PipelineMetrics, SinkError, SinkMetrics};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::cursor::{Cursor, Cursors};
use crate::logs::stamp;

/// How much older than those below RUN the cursors beside the log may be.
const KEEPING: Duration = Duration::from_secs(5);

/// What the process that writes the log counts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records written to the log.
    pub lines_in: AtomicU64,
    /// Records lost before the log had them.
    pub lines_dropped: AtomicU64,
    /// How often the program had to wait.
    pub stalls: AtomicU64,
    /// How long, in milliseconds.
    pub stalled_ms: AtomicU64,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) clock: fn() -> Duration,
    pub(super) changed: Notify,
    cursors: RefCell<Cursors>,
    /// Since when the cursors beside the log are older than those below RUN.
    unkept: Cell<Option<Instant>>,
    sinks: RefCell<Vec<(String, Watched)>>,
    chance: Cell<u64>,
}

/// What is known of one sink.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) metrics: SinkMetrics,
    /// The last record that it was told, or that it does not want.
    pub(super) seq: u64,
    /// When the oldest record was written that waits to be sent, nanoseconds since 1970.
    pub(super) oldest: Option<u64>,
}

impl Shared {
    pub(super) fn new(folder: PathBuf, cursors: Cursors, clock: fn() -> Duration) -> Shared {
        Shared {
            folder,
            clock,
            changed: Notify::new(),
            cursors: RefCell::new(cursors),
            unkept: Cell::new(None),
            sinks: RefCell::new(Vec::new()),
            // Zero would stay zero.
            chance: Cell::new(clock().as_nanos() as u64 | 1),
        }
    }

    /// Anything from 0 to 1, so that what failed together is not tried again together. Nobody has
    /// to be kept from guessing it (xorshift64).
    pub(super) fn jitter(&self) -> f64 {
        let mut chance = self.chance.get();
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        self.chance.set(chance);
        (chance >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The time as records have it.
    pub(super) fn now(&self) -> String {
        stamp((self.clock)())
    }

    pub(super) fn cursor(&self, id: &str) -> Option<Cursor> {
        self.cursors.borrow().of(id)
    }

    pub(super) fn were_damaged(&self) -> bool {
        self.cursors.borrow().were_damaged()
    }

    /// Note how far a sink is, for whoever goes on after a kill.
    pub(super) fn note(&self, id: &str, cursor: Cursor) {
        self.cursors.borrow_mut().set(id, cursor);
        let saved = self.cursors.borrow().save();
        self.tell(id, saved);
        self.unkept.set(self.unkept.get().or(Some(Instant::now())));
    }

    /// Note that what a sink has is on the disk.
    pub(super) fn synced(&self, id: &str) {
        self.cursors.borrow_mut().synced(id);
        self.unkept.set(self.unkept.get().or(Some(Instant::now())));
    }

    /// When the cursors beside the log should be written; `None` if they are as they should be.
    pub(super) fn due(&self) -> Option<Instant> {
        self.unkept.get().map(|since| since + KEEPING)
    }

    /// Write the cursors beside the log, for whoever goes on after the boot.
    pub(super) fn keep(&self) {
        self.unkept.set(None);
        let kept = self.cursors.borrow().keep();
        let ids: Vec<String> = self.sinks.borrow().iter().map(|(id, _)| id.clone()).collect();
        if let (Err(error), Some(id)) = (kept, ids.first()) {
            self.tell(id, Err(error));
        }
    }

    fn tell(&self, id: &str, written: std::io::Result<()>) {
        if let Err(error) = written {
            // Delivery goes on: at worst, what a kill makes unknown is delivered again.
            let said = format!("its cursor can't be written: {error}");
            self.watch(id, |watched| watched.metrics.last_error = Some(self.error(said)));
        }
    }

    /// Forget every sink but these; they are in this order from now on.
    pub(super) fn retain(&self, wanted: &[String]) {
        self.cursors.borrow_mut().retain(|id| wanted.iter().any(|wanted| wanted == id));
        let place = |id: &String| wanted.iter().position(|wanted| wanted == id);
        let mut sinks = self.sinks.borrow_mut();
        sinks.retain(|(id, _)| place(id).is_some());
        sinks.sort_by_key(|(id, _)| place(id));
        drop(sinks);
        // Should this fail, the cursor of a sink that nobody wants is forgotten later.
        let _ = self.cursors.borrow().save();
        // New ones, too, are there after a power cut: without a cursor they would begin anew.
        self.keep();
        self.changed.notify_one();
    }

    /// Change what is known of a sink.
    pub(super) fn watch(&self, id: &str, change: impl FnOnce(&mut Watched)) {
        let mut sinks = self.sinks.borrow_mut();
        if !sinks.iter().any(|(known, _)| known == id) {
            sinks.push((id.to_owned(), Watched::default()));
        }
        if let Some((_, watched)) = sinks.iter_mut().find(|(known, _)| known == id) {
            change(watched);
        }
        self.changed.notify_one();
    }

    /// Words about something that went wrong.
    pub(super) fn error(&self, said: String) -> SinkError {
        SinkError { at: self.now(), said }
    }

    /// How the pipeline does.
    pub(super) fn snapshot(&self, counters: &Counters, last_seq: u64) -> PipelineMetrics {
        let now = (self.clock)();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let sinks = self.sinks.borrow();
        let sinks: Vec<SinkMetrics> = sinks
            .iter()
            .map(|(_, watched)| SinkMetrics {
                lag_records: last_seq.saturating_sub(watched.seq),
                lag_seconds: watched.oldest.map_or(0.0, |oldest| {
                    now.saturating_sub(Duration::from_nanos(oldest)).as_secs_f64()
                }),
                ..watched.metrics.clone()
            })
            .collect();
        PipelineMetrics {
            v: metrics::VERSION,
            at: stamp(now),
            lines_in: count(&counters.lines_in),
            lines_out: sinks.iter().map(|sink| sink.delivered).sum(),
            lines_dropped: count(&counters.lines_dropped),
            stalls: count(&counters.stalls),
            stalled_ms: count(&counters.stalled_ms),
            last_seq,
            sinks,
        }
    }
}
