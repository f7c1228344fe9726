//! What a writer finds: where the last segment ends that somebody may have been writing when he was
//! killed, or the power failed.
//!
//! Invariant: whatever the file holds, what is in it up to the end of its last whole line stays.

use std::fs::File;
use std::io;
use std::path::Path;

use manifest_spec::log::{Header, LogRecord};

use super::lines::{Lines, Piece};
use crate::logs::shape::line::{self, Line};

/// A segment up to its last whole line.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Its length, in bytes.
    pub(super) length: u64,
    /// Its header, if that is whole.
    pub(super) header: Option<Header>,
    /// Its last record.
    pub(super) last: Option<LogRecord>,
}

/// Look through a segment; changes nothing.
pub(super) fn examine(path: &Path) -> io::Result<Found> {
    let mut lines = Lines::new(File::open(path)?, 0);
    let mut found = Found::default();
    // Only the last one is taken apart.
    let mut last = Vec::new();
    loop {
        match lines.next()? {
            Piece::Line(range) => {
                let text = lines.get(range);
                if line::check(text).is_err() {
                    continue;
                }
                if found.length == 0
                    && let Ok(Line::Header(header)) = line::read(text)
                {
                    found.header = Some(header);
                } else {
                    last.clear();
                    last.extend_from_slice(text);
                }
                found.length = lines.offset();
            }
            Piece::TooLong => {}
            Piece::Unfinished | Piece::End => break,
        }
    }
    if let Ok(Line::Record(record)) = line::read(&last) {
        found.last = Some(record);
    }
    Ok(found)
}
