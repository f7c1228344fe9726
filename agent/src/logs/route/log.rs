//! The log as the router reads it.

use std::io;
use std::sync::Arc;

use manifest_spec::log::{LogRecord, Resource};
use serde::{Deserialize, Serialize};

/// A place in a log: which segment, and how far in it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Place {
    /// Number of the segment's first record.
    pub segment: u64,
    /// Bytes from the segment's start.
    pub offset: u64,
    /// The number of the record that is expected there; 0 where it is not known.
    pub seq: u64,
}

/// A record of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where its line begins.
    pub place: Place,
    /// Where the next one begins.
    pub next: Place,
    /// What it belongs to.
    pub resource: Arc<Resource>,
    /// The record.
    pub record: LogRecord,
    /// Its sealed line, without the line's end.
    pub text: Vec<u8>,
}

/// What comes next in a log.
#[derive(Debug, Clone)]
pub enum Step {
    /// A record.
    Entry(Box<Entry>),
    /// Records were deleted before they were read.
    Missing {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// Lines that are damaged.
    Damaged {
        /// Where they begin.
        place: Place,
        /// How many.
        lines: u64,
    },
    /// Nothing yet.
    End,
}

/// A log that is read from one end to the other while it grows. Opened, it begins with what it has.
pub trait Log {
    /// Go on at a place that an entry told.
    ///
    /// # Errors
    /// When a file can't be read.
    fn seek(&mut self, place: Place) -> io::Result<()>;

    /// Go on at the record with this number, or at the first one after it.
    ///
    /// # Errors
    /// When a file can't be read.
    fn seek_seq(&mut self, seq: u64) -> io::Result<()>;

    /// What comes next.
    ///
    /// # Errors
    /// When a file can't be read; the next call tries again.
    fn next(&mut self) -> io::Result<Step>;
}
