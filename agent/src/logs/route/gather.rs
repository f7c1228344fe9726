//! From a log to batches: what a sink wants of it, what is missing in it, where a batch ends.
//!
//! Invariant: what is taken from the log follows what was taken before by number, each once. Where
//! numbers are missing, a record that says so stands in their place, and no filter leaves it out.
//! The same log from the same cursor on gives the same pieces, and the first batch ends where one
//! ended that was on its way. Reads no clock.

use std::io;
use std::sync::Arc;

use manifest_spec::filter::Filter;
use manifest_spec::log::{LogRecord, Resource, Severity, VERSION, attribute};
use serde_json::{Map, Value};

use super::batch::{Batch, Bounds, Gathering, Piece};
use super::cursor::Cursor;
use super::log::{Entry, Log, Place, Step};
use crate::logs::read::when;
use crate::logs::shape::Stream;
use crate::logs::sink::Codec;
use crate::logs::sink::line::Subject;

/// Entries that are read before others have their turn.
const TURN: usize = 1000;

/// Why reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The batch is complete.
    Full,
    /// Others should have their turn.
    Turn,
    /// The log has nothing more for now.
    End,
}

/// A batch, and how far one is when all of it is off.
#[derive(Debug)]
pub struct Filled {
    /// The batch.
    pub batch: Batch,
    /// Behind it, and behind what was left out after its last record.
    pub tail: Cursor,
}

/// What was counted while gathering.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that the filter left out.
    pub filtered: u64,
    /// Records that are missing in the log.
    pub missed: u64,
}

/// Gathers the batches of one sink.
#[derive(Debug)]
pub struct Gatherer<L> {
    log: L,
    codec: Codec,
    filter: Option<Filter>,
    bounds: Bounds,
    cursor: Cursor,
    /// Why numbers are missing, if the log has said so.
    cause: &'static str,
    /// Belongs to the next batch.
    held: Option<Box<Entry>>,
    resource: Option<Arc<Resource>>,
    gathering: Gathering,
    counts: Counts,
}

impl<L: Log> Gatherer<L> {
    /// Gather from the cursor on.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn new(
        mut log: L,
        mut codec: Codec,
        filter: Option<Filter>,
        bounds: Bounds,
        cursor: Cursor,
    ) -> io::Result<Self> {
        codec.resume(cursor.mark);
        match (cursor.place, cursor.seq) {
            (Some(place), _) => log.seek(place)?,
            (None, Some(seq)) => log.seek_seq(seq + 1)?,
            (None, None) => {}
        }
        Ok(Gatherer {
            log,
            codec,
            filter,
            bounds,
            cursor,
            cause: DELETED,
            held: None,
            resource: None,
            gathering: Gathering::default(),
            counts: Counts::default(),
        })
    }

    /// Read until the batch is complete, others should have their turn, or there is nothing more.
    ///
    /// # Errors
    /// When the log can't be read. Nothing is lost by calling it again.
    pub fn fill(&mut self) -> io::Result<Pause> {
        for _ in 0..TURN {
            if self.gathering.is_full(self.bounds) {
                return Ok(Pause::Full);
            }
            let entry = match self.held.take() {
                Some(entry) => entry,
                None => match self.log.next()? {
                    Step::Entry(entry) => entry,
                    // Which they are is told by the next number.
                    Step::Missing { .. } => {
                        self.cause = DELETED;
                        continue;
                    }
                    Step::Damaged { .. } => {
                        self.cause = DAMAGED;
                        continue;
                    }
                    Step::End => return Ok(Pause::End),
                },
            };
            if self.cursor.seq.is_some_and(|seq| entry.record.seq <= seq) {
                continue;
            }
            let missing = self.missing_before(&entry);
            let last = missing.map_or(entry.record.seq, |(_, last)| last);
            if self.ends_before(&entry.resource, last) {
                self.cursor.until = None;
                self.held = Some(entry);
                return Ok(Pause::Full);
            }
            self.resource = Some(Arc::clone(&entry.resource));
            match missing {
                None => self.take(&entry),
                Some(span) => {
                    self.miss(span, &entry);
                    self.held = Some(entry);
                }
            }
        }
        Ok(Pause::Turn)
    }

    /// What was gathered, if there is anything.
    pub fn close(&mut self) -> Option<Filled> {
        let resource = self.resource.clone()?;
        if self.gathering.pieces.is_empty() {
            return None;
        }
        self.cursor.until = None;
        let batch = std::mem::take(&mut self.gathering).close(resource);
        Some(Filled { batch, tail: self.cursor })
    }

    /// Whether nothing was gathered.
    pub fn is_empty(&self) -> bool {
        self.gathering.pieces.is_empty()
    }

    /// The time of the oldest record that was gathered, nanoseconds since 1970.
    pub fn oldest(&self) -> Option<u64> {
        self.gathering.pieces.first().map(|piece| piece.time)
    }

    /// How far the log was read.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// What was counted since this was asked last.
    pub fn counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// Whether a batch that is not empty ends before a record of this resource and number.
    fn ends_before(&self, resource: &Resource, seq: u64) -> bool {
        let other = self.resource.as_ref().is_some_and(|known| **known != *resource);
        let beyond = self.cursor.until.is_some_and(|until| seq > until);
        !self.is_empty() && (other || beyond)
    }

    /// The first and last number that is missing before this entry, if any is.
    fn missing_before(&self, entry: &Entry) -> Option<(u64, u64)> {
        let begins = gap_first(&entry.record).unwrap_or(entry.record.seq);
        let expected = self.cursor.seq? + 1;
        (expected < begins).then_some((expected, begins - 1))
    }

    /// Say what is missing before this entry.
    fn miss(&mut self, (first, last): (u64, u64), entry: &Entry) {
        let gap = gap(first, last, self.cause, &entry.record.ts);
        self.counts.missed += last - first + 1;
        let next = Some(entry.place);
        self.put(&gap, &entry.resource, Piece { first, next, ..Piece::default() }, b"");
        self.pass(last, entry.place);
        self.cause = DELETED;
    }

    fn take(&mut self, entry: &Entry) {
        let record = &entry.record;
        self.cause = DELETED;
        let own = gap_first(record);
        let wanted = self
            .filter
            .as_ref()
            .is_none_or(|filter| own.is_some() || filter.matches(record, &entry.resource));
        if wanted {
            let (place, next) = (Some(entry.place), Some(entry.next));
            let first = own.unwrap_or(record.seq);
            let piece = Piece { first, place, next, ..Piece::default() };
            self.put(record, &entry.resource, piece, &entry.text);
        } else {
            self.counts.filtered += 1;
        }
        self.pass(record.seq, entry.next);
    }

    fn pass(&mut self, seq: u64, next: Place) {
        let (seq, place) = (Some(seq), Some(next));
        self.cursor = Cursor { seq, place, mark: self.codec.mark(), ..self.cursor };
    }

    fn put(&mut self, record: &LogRecord, resource: &Resource, piece: Piece, line: &[u8]) {
        let subject = Subject { resource, record, line };
        self.codec.append(&subject, &mut self.gathering.bytes);
        self.gathering.pieces.push(Piece {
            seq: record.seq,
            end: self.gathering.bytes.len(),
            mark: self.codec.mark(),
            time: when::recorded(&record.ts).unwrap_or(0),
            ..piece
        });
    }
}

const DELETED: &str = "deleted before they were sent";
const DAMAGED: &str = "damaged on the disk";

/// For a record that stands for lost ones, the number of the first of them.
fn gap_first(record: &LogRecord) -> Option<u64> {
    let is_agents = record.attributes.get(attribute::STREAM)? == Stream::Agent.name();
    let first = record.attributes.get(attribute::GAP_FIRST).and_then(Value::as_u64)?;
    is_agents.then_some(first.min(record.seq))
}

/// A record that stands for those from `first` to `last`.
fn gap(first: u64, last: u64, cause: &str, ts: &str) -> LogRecord {
    let count = last - first + 1;
    let mut attributes = Map::new();
    attributes.insert(attribute::STREAM.to_owned(), Stream::Agent.name().into());
    attributes.insert(attribute::GAP.to_owned(), count.into());
    attributes.insert(attribute::GAP_FIRST.to_owned(), first.into());
    attributes.insert(attribute::GAP_CAUSE.to_owned(), cause.into());
    LogRecord {
        v: VERSION,
        seq: last,
        ts: ts.to_owned(),
        severity: Severity::Warn,
        body: match count {
            1 => format!("1 record is missing here: {cause}"),
            count => format!("{count} records are missing here: {cause}"),
        },
        attributes,
        trace_id: None,
        span_id: None,
        at: None,
    }
}

#[cfg(test)]
mod tests;
