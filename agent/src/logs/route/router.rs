//! All sinks of an instance: which there are, when each begins and ends, and how they do.
//!
//! Invariant: a sink that is wanted has one way to it, one that is not has none, and no cursor. What
//! happens to one sink concerns no other.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use manifest_spec::log::metrics::{PipelineMetrics, SinkState};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet};

use super::batch::Bounds;
use super::cursor::{Cursor, Cursors};
use super::delivery::Delivery;
use super::gather::Gatherer;
use super::lane::{Lane, Parts};
use super::log::Log;
use super::pause::Pauses;
use super::report::Reporter;
use super::shared::{Counters, Shared};
use crate::logs::sink::{Sink, Surroundings};
use crate::plan::PlannedSink;

/// A sink that is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// The sink.
    pub sink: PlannedSink,
    /// It was added beside the manifest: if it is new, it gets what is written from now on, and not
    /// from the instance's start on.
    #[serde(default)]
    pub added: bool,
    /// If it is new while the instance runs: whether it gets what the log has already.
    #[serde(default)]
    pub from_beginning: bool,
}

/// How far the log is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pulse {
    /// The number of its last record; 0 when it has none.
    pub last: u64,
    /// Nothing more will be written to it.
    pub ended: bool,
}

/// The instance whose log is routed.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Where its log is, and its cursors.
    pub folder: PathBuf,
    /// Where its metrics go.
    pub run: PathBuf,
    /// This boot of the host.
    pub boot_id: String,
    /// The number of the last record that was in the log before this start of the instance: sinks
    /// that the start brings with it begin behind it.
    pub before: u64,
}

/// What is told to the router while it runs.
#[derive(Debug)]
pub struct Orders {
    /// The sinks. The first list is what the instance was started with, and complete.
    pub wanted: watch::Receiver<Vec<Wanted>>,
    /// How far the log is: true from the beginning on.
    pub pulse: watch::Receiver<Pulse>,
    /// End as soon as nothing is on its way.
    pub stop: watch::Receiver<bool>,
}

/// Route the log that `open` opens, until it has ended and every sink has everything, or until
/// [`Orders::stop`]. Runs on a current-thread runtime of tokio with time and I/O. The answer is how
/// it did.
pub async fn run<L: Log + 'static>(
    instance: Instance,
    open: impl Fn() -> io::Result<L> + 'static,
    orders: Orders,
    counters: Arc<Counters>,
    around: Surroundings,
) -> PipelineMetrics {
    let last = orders.pulse.borrow().last;
    let cursors = Cursors::open(&instance.folder, &instance.run, &instance.boot_id, last);
    let shared = Rc::new(Shared::new(instance.folder.clone(), cursors, around.clock));
    let router = Router {
        instance,
        open: Rc::new(open),
        around,
        counters,
        pulse: orders.pulse.clone(),
        shared,
        lanes: BTreeMap::new(),
    };
    LocalSet::new().run_until(router.run(orders)).await
}

struct Router<L> {
    instance: Instance,
    open: Rc<dyn Fn() -> io::Result<L>>,
    around: Surroundings,
    counters: Arc<Counters>,
    pulse: watch::Receiver<Pulse>,
    shared: Rc<Shared>,
    lanes: BTreeMap<String, Running>,
}

/// A lane at work.
struct Running {
    wanted: Wanted,
    stop: watch::Sender<bool>,
    /// None for a sink that can't be used.
    task: Option<JoinHandle<()>>,
}

impl<L: Log + 'static> Router<L> {
    async fn run(mut self, mut orders: Orders) -> PipelineMetrics {
        let list = orders.wanted.borrow_and_update().clone();
        self.apply(list, true).await;
        let reporter = tokio::task::spawn_local(self.reporter().run());
        let mut more = true;
        loop {
            tokio::select! {
                _ = orders.stop.wait_for(|stop| *stop) => break,
                changed = orders.wanted.changed(), if more => match changed {
                    Ok(()) => {
                        let list = orders.wanted.borrow_and_update().clone();
                        self.apply(list, false).await;
                    }
                    Err(_) => more = false,
                },
                () = Self::all_done(&mut self.lanes, orders.pulse.clone()) => break,
            }
        }
        for lane in self.lanes.values() {
            lane.stop.send_replace(true);
        }
        for lane in self.lanes.values_mut() {
            if let Some(task) = lane.task.take() {
                let _ = task.await;
            }
        }
        reporter.abort();
        self.shared.keep();
        self.reporter().write()
    }

    fn reporter(&self) -> Reporter {
        Reporter {
            run: self.instance.run.clone(),
            shared: Rc::clone(&self.shared),
            counters: Arc::clone(&self.counters),
            pulse: self.pulse.clone(),
        }
    }

    /// Until the log has ended and every lane with it.
    async fn all_done(lanes: &mut BTreeMap<String, Running>, mut pulse: watch::Receiver<Pulse>) {
        if pulse.wait_for(|pulse| pulse.ended).await.is_err() {
            // Nobody is left who could say so; what is left to do is to be stopped.
            std::future::pending::<()>().await;
        }
        for lane in lanes.values_mut() {
            if let Some(task) = &mut lane.task {
                let _ = task.await;
                lane.task = None;
            }
        }
    }

    /// Have exactly these sinks.
    async fn apply(&mut self, list: Vec<Wanted>, first: bool) {
        let mut wanted: Vec<(String, Wanted)> = Vec::new();
        for one in list {
            let id = one.sink.id();
            if !wanted.iter().any(|(known, _)| *known == id) {
                wanted.push((id, one));
            }
        }
        let same = |id: &String, lane: &Running| {
            wanted.iter().any(|(known, one)| known == id && one.sink == lane.wanted.sink)
        };
        let over: Vec<String> = self
            .lanes
            .iter()
            .filter(|(id, lane)| !same(id, lane))
            .map(|(id, _)| id.clone())
            .collect();
        for id in over {
            self.end(&id).await;
        }
        let ids: Vec<String> = wanted.iter().map(|(id, _)| id.clone()).collect();
        for (id, one) in wanted {
            if !self.lanes.contains_key(&id) {
                self.begin(id, one, first);
            }
        }
        self.shared.retain(&ids);
    }

    async fn end(&mut self, id: &str) {
        let Some(lane) = self.lanes.remove(id) else { return };
        lane.stop.send_replace(true);
        if let Some(task) = lane.task {
            let _ = task.await;
        }
    }

    fn begin(&mut self, id: String, wanted: Wanted, first: bool) {
        self.shared.watch(&id, |watched| {
            watched.metrics.to = wanted.sink.to.to_string();
            watched.metrics.when = wanted.sink.when.as_ref().map(ToString::to_string);
        });
        let (stop, stopped) = watch::channel(false);
        let task = match self.lane(&id, &wanted, first, stopped) {
            Ok(lane) => Some(tokio::task::spawn_local(lane.run())),
            Err(said) => {
                let error = self.shared.error(said);
                self.shared.watch(&id, |watched| {
                    watched.metrics.state = SinkState::Unusable;
                    watched.metrics.last_error = Some(error);
                });
                None
            }
        };
        self.lanes.insert(id, Running { wanted, stop, task });
    }

    fn lane(
        &self,
        id: &str,
        wanted: &Wanted,
        first: bool,
        stop: watch::Receiver<bool>,
    ) -> Result<Lane<L, Sink>, String> {
        let mut sink = Sink::open(&wanted.sink, &self.around)?;
        let last = self.pulse.borrow().last;
        let cursor = match self.shared.cursor(id) {
            Some(cursor) => {
                sink.resume(cursor.file, last);
                cursor
            }
            None if self.shared.were_damaged() && first => {
                sink.resume(None, last);
                Cursor::default()
            }
            None => {
                sink.begin();
                let declared = first && !wanted.added;
                let present = if declared { self.instance.before } else { last };
                let seq = (!wanted.from_beginning || declared).then_some(present);
                Cursor { seq, file: sink.mark(), ..Cursor::default() }
            }
        };
        // Before anything is delivered: what a kill makes unknown is looked for from here on.
        self.shared.note(id, cursor);
        self.shared.watch(id, |watched| watched.seq = cursor.seq.unwrap_or(0));
        let unreadable = |error: io::Error| format!("the log can't be read: {error}");
        let log = (self.open)().map_err(unreadable)?;
        let filter = wanted.sink.when.clone();
        let gatherer = Gatherer::new(log, sink.codec(), filter, Bounds::default(), cursor)
            .map_err(unreadable)?;
        let parts = Parts {
            id: id.to_owned(),
            sink,
            gatherer,
            delivery: Delivery::new(Pauses::default()),
            pulse: self.pulse.clone(),
            stop,
            open: Rc::clone(&self.open),
        };
        Ok(Lane::new(parts, Rc::clone(&self.shared)))
    }
}
