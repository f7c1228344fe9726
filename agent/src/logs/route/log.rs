//! The log as the router reads it.

use std::io;

pub use crate::logs::segment::{Entry, Place, Step};

use crate::logs::segment::Reader;

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

impl Log for Reader {
    fn seek(&mut self, place: Place) -> io::Result<()> {
        Reader::seek(self, place)
    }

    fn seek_seq(&mut self, seq: u64) -> io::Result<()> {
        Reader::seek_seq(self, seq)
    }

    fn next(&mut self) -> io::Result<Step> {
        Reader::next(self)
    }
}
