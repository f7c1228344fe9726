//! Records on their way into one sink, in the sink's own form.
//!
//! Invariant: all records of a batch belong to one resource, and their numbers rise. A batch has its
//! bytes once: parts of it are views.

use std::ops::Range;
use std::sync::Arc;

use hyper::body::Bytes;
use manifest_spec::log::Resource;

use super::log::Place;

/// How large a batch may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Records.
    pub records: usize,
    /// Bytes in the sink's form. One record is taken whatever its size.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        // With what a vector may have in reserve, and what a request adds: below 2 MiB.
        Bounds { records: 4096, bytes: 512 * 1024 }
    }
}

/// One record of a batch, or one that stands for lost ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Piece {
    /// Its number; of a gap, that of the first lost record.
    pub first: u64,
    /// Its number; of a gap, that of the last lost record.
    pub seq: u64,
    /// Where its bytes end.
    pub end: usize,
    /// Where it is in the log; `None` for what is in no log.
    pub place: Option<Place>,
    /// Where the log goes on behind it; `None` when that is not known.
    pub next: Option<Place>,
    /// What the encoder must know to go on behind it.
    pub mark: u64,
    /// Its time, nanoseconds since 1970.
    pub time: u64,
}

/// Records that are being gathered.
#[derive(Debug, Default)]
pub struct Gathering {
    /// The bytes of all pieces.
    pub bytes: Vec<u8>,
    /// One after the other.
    pub pieces: Vec<Piece>,
}

impl Gathering {
    /// Whether no more should be put in.
    pub fn is_full(&self, bounds: Bounds) -> bool {
        self.pieces.len() >= bounds.records || self.bytes.len() >= bounds.bytes
    }

    /// The batch.
    pub fn close(self, resource: Arc<Resource>) -> Batch {
        Batch { resource, bytes: self.bytes.into(), pieces: self.pieces }
    }
}

/// A batch.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What its records belong to.
    pub resource: Arc<Resource>,
    bytes: Bytes,
    pieces: Vec<Piece>,
}

impl Batch {
    /// The records.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Some of the records.
    pub fn part(&self, range: Range<usize>) -> Part<'_> {
        Part { batch: self, range }
    }
}

/// Some records of a batch, at least one.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    batch: &'a Batch,
    range: Range<usize>,
}

impl Part<'_> {
    /// What they belong to.
    pub fn resource(&self) -> &Arc<Resource> {
        &self.batch.resource
    }

    /// The records.
    pub fn pieces(&self) -> &[Piece] {
        &self.batch.pieces[self.range.clone()]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.range.len()
    }

    /// Number of the first, a lost one if it stands for such.
    pub fn first_seq(&self) -> u64 {
        self.pieces().first().map_or(0, |piece| piece.first)
    }

    /// Number of the last.
    pub fn last_seq(&self) -> u64 {
        self.pieces().last().map_or(0, |piece| piece.seq)
    }

    /// Their bytes, without a copy.
    pub fn bytes(&self) -> Bytes {
        self.batch.bytes.slice(self.start(self.range.start)..self.start(self.range.end))
    }

    /// The bytes of one of them after the other.
    pub fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.range.clone().map(|index| &self.batch.bytes[self.start(index)..self.start(index + 1)])
    }

    /// The same without the first ones.
    #[must_use]
    pub fn without(&self, first: usize) -> Self {
        let start = (self.range.start + first).min(self.range.end);
        Part { batch: self.batch, range: start..self.range.end }
    }

    /// The first ones alone.
    #[must_use]
    pub fn only(&self, first: usize) -> Self {
        let end = (self.range.start + first).min(self.range.end);
        Part { batch: self.batch, range: self.range.start..end }
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).and_then(|index| self.batch.pieces.get(index)).map_or(0, |p| p.end)
    }
}
