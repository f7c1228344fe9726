//! Places counted from the end of a file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What is read at once, in bytes.
const BLOCK: u64 = 64 * 1024;

/// Where the last lines of a file begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Here.
    At(u64),
    /// Before this file, which has this many records.
    Before(u64),
}

/// Look from the end of a segment for the place that has `count` records after it. Its first line
/// is its header, and a line that has no end yet does not count.
pub(super) fn last_lines(file: &File, count: u64) -> io::Result<Found> {
    let mut block = vec![0; BLOCK as usize];
    let mut start = file.metadata()?.len();
    let mut ends = 0;
    while start > 0 {
        let length = start.min(BLOCK);
        start -= length;
        let read = &mut block[..length as usize];
        match file.read_exact_at(read, start) {
            // It was cut meanwhile: what is after its end now is not looked at.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            result => result?,
        }
        for place in memchr::memrchr_iter(b'\n', read) {
            ends += 1;
            if ends > count {
                return Ok(Found::At(start + place as u64 + 1));
            }
        }
    }
    Ok(Found::Before(ends.saturating_sub(1)))
}
