//! The thread in which sinks are served.
//!
//! Invariant: what is said to it is never waited for, and it never makes the thread that collects
//! wait; when it has ended, a pipe says so to whoever polls.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use host_sys::file;
use host_sys::poll::{Interest, wait};
use manifest_spec::log::metrics::{PipelineMetrics, SinkMetrics, SinkState};
use tokio::sync::watch;

use crate::logs::route::{self, Counters, Instance, Orders, Pulse, Wanted};
use crate::logs::segment::Reader;
use crate::logs::sink::Surroundings;
use crate::logs::wire::Undelivered;

/// Room of the thread's stack, in bytes.
const STACK: usize = 512 * 1024;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Routing {
    pulse: watch::Sender<Pulse>,
    stop: watch::Sender<bool>,
    wanted: watch::Sender<Vec<Wanted>>,
    thread: JoinHandle<Option<PipelineMetrics>>,
    done: OwnedFd,
}

impl Routing {
    /// Serve these sinks; the log has records up to number `last`.
    pub(super) fn start(
        instance: Instance,
        sinks: Vec<Wanted>,
        last: u64,
        counters: Arc<Counters>,
        around: Surroundings,
    ) -> io::Result<Routing> {
        let (pulse, heard) = watch::channel(Pulse { last, ended: false });
        let (stop, stopped) = watch::channel(false);
        let (wanted, chosen) = watch::channel(sinks);
        let orders = Orders { wanted: chosen, pulse: heard, stop: stopped };
        let (done, working) = file::pipe()?;
        let work = move || {
            let _working = working;
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            let folder = instance.folder.clone();
            let open = move || Reader::open(&folder);
            Some(runtime.block_on(route::run(instance, open, orders, counters, around)))
        };
        let thread =
            std::thread::Builder::new().name("router".into()).stack_size(STACK).spawn(work)?;
        Ok(Routing { pulse, stop, wanted, thread, done })
    }

    /// These are the sinks from now on.
    pub(super) fn want(&self, sinks: Vec<Wanted>) {
        self.wanted.send_replace(sinks);
    }

    /// The log has records up to this number.
    pub(super) fn pulse(&self, last: u64) {
        self.pulse.send_if_modified(|pulse| {
            let is_new = pulse.last != last;
            pulse.last = last;
            is_new
        });
    }

    /// The log has ended.
    pub(super) fn end(&self) {
        self.pulse.send_modify(|pulse| pulse.ended = true);
    }

    /// Nobody wants to wait for sinks any more.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(super) fn is_done(&self) -> bool {
        let interest = [Interest { fd: self.done(), write: false }];
        wait(&interest, Some(Duration::ZERO)).is_ok_and(|ready| ready[0])
    }

    /// Readable when it has ended.
    pub(super) fn done(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }

    /// Wait for its end, which somebody has asked for; the sinks that have not got everything.
    pub(super) fn join(self) -> Vec<Undelivered> {
        let metrics = self.thread.join().ok().flatten().unwrap_or_default();
        let waiting = metrics.sinks.into_iter().filter(|sink| sink.lag_records > 0);
        let is_over = |state| !matches!(state, SinkState::Waiting | SinkState::Unusable);
        let left = |sink: SinkMetrics| Undelivered {
            said: sink.last_error.filter(|_| !is_over(sink.state)).map(|error| error.said),
            to: sink.to,
            records: sink.lag_records,
        };
        waiting.map(left).collect()
    }
}
