//! The output of a program: as records in files, and its last lines.
//!
//! Owns the pipes behind the program's standard output and error when somebody wants its output, the
//! record each line becomes, and the last lines of both. Invariant: what the program wrote is shown
//! as it was and recorded line by line, or the loss is counted. Only file sinks yet; the pipeline
//! with its write-ahead log comes with the logging layer.

pub mod choice;
pub mod crash;
mod file;
pub mod read;
mod record;
pub mod route;
pub mod segment;
pub mod shape;
pub mod sink;
mod tail;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use host_sys::{Errno, Result, file as sys};

pub use file::{LogFiles, OpenError};
use record::Lines;
pub use record::stamp;
pub use tail::{Source, Tail, TailLine};

/// What a program may write before it waits for us, in bytes: it is not to stand still because this
/// process has something else to do for a moment.
const ROOM: i32 = 1024 * 1024;

/// Both output streams of a program, read by us.
#[derive(Debug)]
pub struct Capture {
    streams: [Stream; 2],
    files: LogFiles,
    tail: Option<Tail>,
}

/// One captured stream.
#[derive(Debug)]
struct Stream {
    source: Source,
    pipe: Option<OwnedFd>,
    shown: Option<OwnedFd>,
    lines: Lines,
}

/// The program's ends of the captured streams: standard output and error.
#[derive(Debug)]
pub struct CapturedEnds {
    /// Standard output.
    pub output: OwnedFd,
    /// Standard error.
    pub error: OwnedFd,
}

impl Capture {
    /// Pipes for both streams. What comes is recorded in `files`, and if so wished shown on `shown`
    /// and kept in `tail`.
    ///
    /// # Errors
    /// What pipe2(2) says.
    pub fn new(
        files: LogFiles,
        shown: Option<[BorrowedFd<'_>; 2]>,
        tail: Option<Tail>,
    ) -> Result<(Capture, CapturedEnds)> {
        let stream = |source: Source| -> Result<_> {
            let (pipe, end) = sys::pipe()?;
            // Without more room everything works as well, only not as smoothly.
            let _ = sys::widen_pipe(pipe.as_fd(), ROOM);
            let shown = shown.map(|shown| sys::duplicate(shown[source as usize])).transpose()?;
            let lines = Lines::new(source.name());
            Ok((Stream { source, pipe: Some(pipe), shown, lines }, end))
        };
        let (of_output, output) = stream(Source::Output)?;
        let (of_error, error) = stream(Source::Error)?;
        let capture = Capture { streams: [of_output, of_error], files, tail };
        Ok((capture, CapturedEnds { output, error }))
    }

    /// The pipes that are still open, by index.
    pub fn sources(&self) -> impl Iterator<Item = Option<BorrowedFd<'_>>> {
        self.streams.iter().map(|stream| stream.pipe.as_ref().map(AsFd::as_fd))
    }

    /// Read once from the stream of this index; `false` when there is nothing to read now.
    pub fn take(&mut self, index: usize) -> bool {
        let Some(stream) = self.streams.get_mut(index) else { return false };
        let Some(pipe) = &stream.pipe else { return false };
        let mut buffer = [0; 16 * 1024];
        match sys::read(pipe.as_fd(), &mut buffer) {
            Ok(count) if count > 0 => {
                let bytes = &buffer[..count];
                if let Some(shown) = &stream.shown {
                    // The log is kept even when nobody looks (a closed terminal, a broken pipe).
                    let _ = sys::write_all(shown.as_fd(), bytes);
                }
                if let Some(tail) = &self.tail {
                    tail.push(stream.source, bytes);
                }
                if !self.files.are_none() {
                    for record in stream.lines.push(bytes) {
                        self.files.write(record);
                    }
                }
                true
            }
            Err(Errno::EAGAIN | Errno::EINTR) => false,
            Ok(_) | Err(_) => {
                stream.pipe = None;
                if let Some(record) = stream.lines.end() {
                    self.files.write(record);
                }
                false
            }
        }
    }

    /// Record what is left and close; the losses, file by file.
    pub fn finish(mut self) -> Vec<(PathBuf, u64)> {
        for index in 0..self.streams.len() {
            while self.take(index) {}
        }
        self.files.losses()
    }
}
