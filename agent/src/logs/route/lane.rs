//! The way to one sink: gather, deliver, note, rest.
//!
//! Invariant: a cursor passes a record only when the sink has it, or the record is parked, or the
//! sink does not want it. At most one batch is held. Whatever is awaited can be given up: the record
//! is then delivered again by the next one that goes this way.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use manifest_spec::log::metrics::SinkState;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::batch::{Batch, Part};
use super::cursor::Cursor;
use super::delivery::{Delivery, Next};
use super::gather::{Filled, Gatherer, Pause};
use super::log::{Log, Step};
use super::park::{Parked, park};
use super::router::Pulse;
use super::shared::Shared;
use crate::logs::sink::file::Mark;
use crate::logs::sink::{Answer, Sink, Verdict};

/// How long an answer that is awaited may still take when nobody wants to go on.
const GRACE: Duration = Duration::from_secs(2);
/// How long a log that can't be read is left alone.
const UNREADABLE: Duration = Duration::from_secs(1);
/// How often what was written to a disk of this host is synced, at most; and how often it is noted
/// that nothing was wanted, at most.
const SELDOM: Duration = Duration::from_secs(1);

/// What a lane asks of its sink.
pub(super) trait Deliver {
    async fn deliver(&mut self, part: &Part<'_>) -> Answer;
    fn mark(&self) -> Option<Mark>;
    fn sync(&self) -> io::Result<bool>;
    fn linger(&self) -> Duration;
    fn knows_batches(&self) -> bool;
    async fn close(&mut self);
}

impl Deliver for Sink {
    async fn deliver(&mut self, part: &Part<'_>) -> Answer {
        Sink::deliver(self, part).await
    }

    fn mark(&self) -> Option<Mark> {
        Sink::mark(self)
    }

    fn sync(&self) -> io::Result<bool> {
        Sink::sync(self)
    }

    fn linger(&self) -> Duration {
        Sink::linger(self)
    }

    fn knows_batches(&self) -> bool {
        Sink::knows_batches(self)
    }

    async fn close(&mut self) {
        Sink::close(self).await;
    }
}

/// Nobody wants this way to be gone on with.
struct Stopped;

/// One sink's way. `open` opens the log anew, for a record that is to be parked.
pub(super) struct Lane<L, S> {
    pub(super) id: String,
    pub(super) sink: S,
    pub(super) gatherer: Gatherer<L>,
    pub(super) delivery: Delivery,
    pub(super) shared: Rc<Shared>,
    pub(super) pulse: watch::Receiver<Pulse>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) open: Rc<dyn Fn() -> io::Result<L>>,
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
        let due = [self.unsynced, self.has_moved().then_some(self.noted_at)];
        let due = due.into_iter().flatten().min().map(|since| since + SELDOM);
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

    /// Take an answer into the metrics; so many records have gone by it.
    fn heard(&mut self, answer: &Answer, off: usize) {
        let error = (!answer.said.is_empty()).then(|| self.shared.error(answer.said.clone()));
        self.shared.watch(&self.id, |watched| {
            let metrics = &mut watched.metrics;
            metrics.delivered += off as u64 - answer.dropped.min(off as u64);
            metrics.rejected += answer.dropped;
            metrics.retries += u64::from(answer.verdict != Verdict::Taken);
            metrics.last_error = error.or(metrics.last_error.take());
        });
        if off > 0 && self.unsynced.is_none() {
            self.unsynced = Some(Instant::now());
        }
    }

    /// Put a record aside; whether that could be done.
    fn park(&mut self, batch: &Batch, index: usize, said: &str) -> bool {
        let Some(piece) = batch.pieces().get(index) else { return false };
        let line = piece.place.and_then(|place| {
            let mut log = (self.open)().ok()?;
            log.seek(place).ok()?;
            match log.next().ok()? {
                Step::Entry(entry) if entry.record.seq == piece.seq => {
                    Some(String::from_utf8_lossy(&entry.text).into_owned())
                }
                _ => None,
            }
        });
        let parked = Parked {
            parked: self.shared.now(),
            sink: &self.id,
            why: said,
            first: piece.first,
            seq: piece.seq,
            line,
        };
        let done = park(&self.shared.folder, &parked);
        if let Err(error) = &done {
            self.fail(format!("a record that is not wanted can't be put aside: {error}"));
        }
        self.shared.watch(&self.id, |watched| watched.metrics.parked += u64::from(done.is_ok()));
        done.is_ok()
    }

    /// The first records of the batch are off.
    fn pass(&mut self, batch: &Batch, off: usize, tail: Cursor) {
        let cursor = match batch.pieces().get(off) {
            None => tail,
            Some(_) => {
                let last = &batch.pieces()[off - 1];
                Cursor { seq: Some(last.seq), place: last.next, mark: last.mark, ..tail }
            }
        };
        let file = self.sink.mark();
        self.note(Cursor { until: None, file, ..cursor });
        let oldest = batch.pieces().get(off).map(|piece| piece.time);
        self.shared.watch(&self.id, |watched| {
            watched.seq = cursor.seq.unwrap_or(0);
            watched.oldest = oldest;
        });
        self.sync(false);
    }

    fn note(&mut self, cursor: Cursor) {
        (self.noted, self.noted_at) = (cursor, Instant::now());
        self.shared.note(&self.id, cursor);
    }

    /// Everything that was gathered is off: note what was left out, and see to the disk.
    fn rest(&mut self, at_once: bool) {
        self.state(SinkState::Idle);
        let read = self.gatherer.cursor();
        self.shared.watch(&self.id, |watched| {
            watched.seq = read.seq.unwrap_or(0);
            watched.oldest = None;
        });
        if self.has_moved() && (at_once || self.noted_at.elapsed() >= SELDOM) {
            self.note(Cursor { until: None, file: self.noted.file, ..read });
        }
        self.sync(at_once);
    }

    /// Whether more was read, and left out, than was noted.
    fn has_moved(&self) -> bool {
        let read = self.gatherer.cursor();
        (read.seq, read.place) != (self.noted.seq, self.noted.place)
    }

    fn sync(&mut self, at_once: bool) {
        let Some(since) = self.unsynced else { return };
        if !at_once && since.elapsed() < SELDOM {
            return;
        }
        self.unsynced = None;
        match self.sink.sync() {
            Ok(true) => self.shared.synced(&self.id),
            Ok(false) => {}
            Err(error) => self.fail(format!("it can't be synced: {error}")),
        }
    }

    fn count(&mut self) {
        let counts = self.gatherer.counts();
        let oldest = self.gatherer.oldest();
        self.shared.watch(&self.id, |watched| {
            watched.metrics.filtered += counts.filtered;
            watched.metrics.missed += counts.missed;
            watched.oldest = watched.oldest.or(oldest);
        });
    }

    fn state(&self, state: SinkState) {
        self.shared.watch(&self.id, |watched| watched.metrics.state = state);
    }

    fn fail(&self, said: String) {
        let error = self.shared.error(said);
        self.shared.watch(&self.id, |watched| watched.metrics.last_error = Some(error));
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

#[cfg(test)]
mod tests;
