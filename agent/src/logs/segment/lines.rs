//! The lines of one file, from a place on.
//!
//! Invariant: bounded memory, whatever is in the file; and what has no line end yet is read anew
//! each time, because its writer may cut it off and write something else there.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// What is read at once, in bytes.
const BLOCK: usize = 64 * 1024;
/// A line that is longer is none of ours, in bytes. The longest text of a record becomes six times
/// as long if each of its bytes must be escaped, and has every byte in two digits beside that.
pub(super) const LONGEST: usize = 2 * 1024 * 1024;

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A line, without its end: see [`Lines::get`].
    Line(Range<usize>),
    /// A line that is too long; it was passed over.
    TooLong,
    /// The beginning of a line; the place stays before it.
    Unfinished,
    /// Nothing.
    End,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Lines {
    file: File,
    buffer: Vec<u8>,
    /// What of the buffer was read and not yet handed out.
    filled: Range<usize>,
    /// Where in the file `filled` begins.
    offset: u64,
}

impl Lines {
    pub(super) fn new(file: File, offset: u64) -> Lines {
        Lines { file, buffer: Vec::new(), filled: 0..0, offset }
    }

    /// Where the next line begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Go to where a line begins.
    pub(super) fn seek(&mut self, offset: u64) {
        self.offset = offset;
        self.filled = 0..0;
    }

    /// The bytes of the line that was found last.
    pub(super) fn get(&self, line: Range<usize>) -> &[u8] {
        &self.buffer[line]
    }

    pub(super) fn next(&mut self) -> io::Result<Piece> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.filled.clone()];
            if let Some(length) = memchr::memchr(b'\n', &unread[searched..]) {
                let line = self.filled.start..self.filled.start + searched + length;
                self.pass(line.len() + 1);
                return Ok(Piece::Line(line));
            }
            searched = unread.len();
            if searched > LONGEST {
                return self.pass_over();
            }
            if !self.fill()? {
                self.filled = 0..0;
                return Ok(if searched == 0 { Piece::End } else { Piece::Unfinished });
            }
        }
    }

    /// Go on behind the end of a line that is too long, or stay before it if it has none yet.
    fn pass_over(&mut self) -> io::Result<Piece> {
        let start = self.offset;
        loop {
            let unread = &self.buffer[self.filled.clone()];
            match memchr::memchr(b'\n', unread) {
                Some(length) => {
                    self.pass(length + 1);
                    return Ok(Piece::TooLong);
                }
                None => self.pass(unread.len()),
            }
            if !self.fill()? {
                self.seek(start);
                return Ok(Piece::Unfinished);
            }
        }
    }

    fn pass(&mut self, count: usize) {
        self.filled.start += count;
        self.offset += count as u64;
    }

    /// Read more; whether there was any.
    fn fill(&mut self) -> io::Result<bool> {
        let held = self.filled.len();
        self.buffer.copy_within(self.filled.clone(), 0);
        self.filled = 0..held;
        // As little as holds what is there and as much again: a long line was the exception.
        self.buffer.resize((2 * held).max(BLOCK), 0);
        self.buffer.shrink_to(BLOCK);
        let count = loop {
            match self.file.read_at(&mut self.buffer[held..], self.offset + held as u64) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.filled.end += count;
        Ok(count > 0)
    }
}
