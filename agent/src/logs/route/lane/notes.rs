//! What is written down on a lane's way: answers, cursors, records that are not wanted.
//!
//! Invariant: the cursor on the file system never passes a record that is not off.

use manifest_spec::log::metrics::SinkState;
use tokio::time::Instant;

use super::deliver::Deliver;
use super::{Lane, SELDOM, SYNCING};
use crate::logs::route::batch::Batch;
use crate::logs::route::cursor::Cursor;
use crate::logs::route::log::{Log, Step};
use crate::logs::route::park::{Parked, park};
use crate::logs::sink::{Answer, Verdict};

impl<L: Log, S: Deliver> Lane<L, S> {
    /// Take an answer into the metrics; so many records have gone by it.
    pub(super) fn heard(&mut self, answer: &Answer, off: usize) {
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
    pub(super) fn park(&mut self, batch: &Batch, index: usize, said: &str) -> bool {
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
    pub(super) fn pass(&mut self, batch: &Batch, off: usize, tail: Cursor) {
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

    pub(super) fn note(&mut self, cursor: Cursor) {
        (self.noted, self.noted_at) = (cursor, Instant::now());
        self.shared.note(&self.id, cursor);
    }

    /// Everything that was gathered is off: note what was left out, and see to the disk.
    pub(super) fn rest(&mut self, at_once: bool) {
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
    pub(super) fn has_moved(&self) -> bool {
        let read = self.gatherer.cursor();
        (read.seq, read.place) != (self.noted.seq, self.noted.place)
    }

    pub(super) fn sync(&mut self, at_once: bool) {
        let Some(since) = self.unsynced else { return };
        if !at_once && since.elapsed() < SYNCING {
            return;
        }
        self.unsynced = None;
        match self.sink.sync() {
            Ok(true) => self.shared.synced(&self.id),
            Ok(false) => {}
            Err(error) => self.fail(format!("it can't be synced: {error}")),
        }
    }

    pub(super) fn count(&mut self) {
        let counts = self.gatherer.counts();
        let oldest = self.gatherer.oldest();
        self.shared.watch(&self.id, |watched| {
            watched.metrics.filtered += counts.filtered;
            watched.metrics.missed += counts.missed;
            watched.oldest = watched.oldest.or(oldest);
        });
    }

    pub(super) fn state(&self, state: SinkState) {
        self.shared.watch(&self.id, |watched| watched.metrics.state = state);
    }

    pub(super) fn fail(&self, said: String) {
        let error = self.shared.error(said);
        self.shared.watch(&self.id, |watched| watched.metrics.last_error = Some(error));
    }
}
