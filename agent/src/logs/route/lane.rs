//! The way to one sink: gather, deliver, note, rest.
//!
//! Invariant: a cursor passes a record only when the sink has it, or the record is parked, or the
//! sink does not want it. At most one batch is held. Whatever is awaited can be given up: the record
//! is then delivered again by the next one that goes this way.
//!
//! | module | owns |
//! | --- | --- |
//! | [`deliver`] | what is asked of a sink |
//! | [`notes`] | what is written down on the way |

mod deliver;
mod notes;
#[cfg(test)]
mod tests;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use manifest_spec::log::metrics::SinkState;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::batch::Part;
use super::cursor::Cursor;
use super::delivery::{Delivery, Next};
use super::gather::{Filled, Gatherer, Pause};
use super::log::Log;
use super::router::Pulse;
use super::shared::Shared;
use crate::logs::sink::Answer;
use deliver::Deliver;

/// How long an answer that is awaited may still take when nobody wants to go on.
const GRACE: Duration = Duration::from_secs(2);
/// How long a log that can't be read is left alone.
const UNREADABLE: Duration = Duration::from_secs(1);
/// How often it is noted that nothing was wanted, at most.
const SELDOM: Duration = Duration::from_secs(1);
/// How often what was written to a disk of this host is synced, at most.
const SYNCING: Duration = Duration::from_secs(5);

/// Nobody wants this way to be gone on with.
struct Stopped;

/// One sink's way. `open` opens the log anew, for a record that is to be parked.
pub(super) struct Lane<L, S> {
    id: String,
    sink: S,
    gatherer: Gatherer<L>,
    delivery: Delivery,
    shared: Rc<Shared>,
    pulse: watch::Receiver<Pulse>,
    stop: watch::Receiver<bool>,
    open: Rc<dyn Fn() -> io::Result<L>>,
    /// What was noted last.
    noted: Cursor,
    noted_at: Instant,
    /// What the disk may not have yet, since when.
    unsynced: Option<Instant>,
}

/// What a lane needs.
pub(super) struct Parts<L, S> {
    pub(super) id: String,
    pub(super) sink: S,
    pub(super) gatherer: Gatherer<L>,
    pub(super) delivery: Delivery,
    pub(super) pulse: watch::Receiver<Pulse>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) open: Rc<dyn Fn() -> io::Result<L>>,
}

impl<L: Log, S: Deliver> Lane<L, S> {
    pub(super) fn new(parts: Parts<L, S>, shared: Rc<Shared>) -> Self {
        let Parts { id, sink, gatherer, delivery, pulse, stop, open } = parts;
        let (noted, now) = (gatherer.cursor(), Instant::now());
        Lane {
            id,
            sink,
            gatherer,
            delivery,
            shared,
            pulse,
            stop,
            open,
            noted,
            noted_at: now,
            unsynced: None,
        }
    }

    /// Go on until the log has ended and the sink has everything, or nobody wants it any more.
    pub(super) async fn run(mut self) {
        let ended = self.go().await;
        self.sync(true);
        self.sink.close().await;
        if ended.is_ok() {
            self.state(SinkState::Done);
        }
    }

    async fn go(&mut self) -> Result<(), Stopped> {
        let mut begun = None;
        loop {
            let ended = self.pulse.borrow_and_update().ended;
            let pause = match self.gatherer.fill() {
                Ok(pause) => pause,
                Err(error) => {
                    self.fail(format!("the log can't be read: {error}"));
                    self.unless_stopped(sleep(UNREADABLE)).await?;
                    continue;
                }
            };
            self.count();
            match pause {
                Pause::Turn => self.unless_stopped(tokio::task::yield_now()).await?,
                Pause::Full => {
                    begun = None;
                    self.deliver().await?;
                }
                Pause::End if self.gatherer.is_empty() => {
                    self.rest(ended);
                    if ended {
                        return Ok(());
                    }
                    self.wait_for_more().await?;
                }
                Pause::End => {
                    let end = *begun.get_or_insert_with(Instant::now) + self.sink.linger();
                    if ended || Instant::now() >= end {
                        begun = None;
                        self.deliver().await?;
                    } else {
                        self.linger(end).await?;
                    }
                }
            }
        }
    }

    /// Wait for more to come into the batch.
    async fn linger(&mut self, end: Instant) -> Result<(), Stopped> {
        let mut pulse = self.pulse.clone();
        let ended = async move { drop(pulse.wait_for(|pulse| pulse.ended).await) };
        self.unless_stopped(async {
            tokio::select! {
                () = sleep_until(end) => {}
                () = ended => {}
            }
        })
        .await
    }

    async fn wait_for_more(&mut self) -> Result<(), Stopped> {
        let synced = self.unsynced.map(|since| since + SYNCING);
        let noted = self.has_moved().then_some(self.noted_at + SELDOM);
        let due = [synced, noted].into_iter().flatten().min();
        let mut pulse = self.pulse.clone();
        let more = async move {
            if pulse.changed().await.is_err() {
                // Nobody writes any more, and nobody has said that this is the end.
                std::future::pending::<()>().await;
            }
        };
        self.unless_stopped(async {
            tokio::select! {
                () = more => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        })
        .await
    }

    /// Send what was gathered, until all of it is off.
    async fn deliver(&mut self) -> Result<(), Stopped> {
        let Some(Filled { batch, tail }) = self.gatherer.close() else { return Ok(()) };
        let records = batch.pieces().len();
        let (mut off, mut said) = (0, String::new());
        let mut next = self.delivery.begin(records);
        self.state(SinkState::Sending);
        loop {
            next = match next {
                Next::Finish => break,
                Next::Send(count) => {
                    let part = batch.part(off..off + count);
                    let answer = self.send(&part).await?;
                    let jitter = self.shared.jitter();
                    let next = self.delivery.answered(&answer, jitter);
                    self.heard(&answer, records - self.delivery.left() - off);
                    said = answer.said;
                    next
                }
                Next::Park => {
                    let parked = self.park(&batch, off, &said);
                    self.delivery.parked(parked, self.shared.jitter())
                }
                Next::Wait(wait) => {
                    self.state(SinkState::Waiting);
                    self.unless_stopped(sleep(wait)).await?;
                    self.state(SinkState::Sending);
                    self.delivery.rested()
                }
            };
            let now_off = records - self.delivery.left();
            if now_off > off {
                off = now_off;
                self.pass(&batch, off, tail);
            }
        }
        Ok(())
    }

    async fn send(&mut self, part: &Part<'_>) -> Result<Answer, Stopped> {
        if self.sink.knows_batches() {
            let until = Some(part.last_seq());
            self.note(Cursor { until, ..self.noted });
        }
        let mut stop = self.stop.clone();
        let given_up = async move {
            wait_for_stop(&mut stop).await;
            sleep(GRACE).await;
        };
        tokio::select! {
            answer = self.sink.deliver(part) => Ok(answer),
            () = given_up => Err(Stopped),
        }
    }

    async fn unless_stopped(&self, work: impl Future<Output = ()>) -> Result<(), Stopped> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            () = wait_for_stop(&mut stop) => Err(Stopped),
            () = work => Ok(()),
        }
    }
}

/// Until somebody says so, or nobody is left who could.
async fn wait_for_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
