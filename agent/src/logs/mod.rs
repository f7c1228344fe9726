//! The output of a program as records in files.
//!
//! Owns the pipes behind the program's standard output and error when a sink is declared, and the
//! record each line becomes. Invariant: what the program wrote is shown as it was and recorded line
//! by line, or the loss is counted. Only file sinks yet; the pipeline with its write-ahead log comes
//! with the logging layer.

mod file;
mod record;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use host_sys::{Errno, Result, file as sys};

pub use file::{LogFiles, OpenError};
use record::Lines;

/// Both output streams of a program, read by us.
#[derive(Debug)]
pub struct Capture {
    streams: [Stream; 2],
    files: LogFiles,
}

/// One captured stream.
#[derive(Debug)]
struct Stream {
    pipe: Option<OwnedFd>,
    shown: OwnedFd,
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
    /// Pipes for both streams; what comes is shown on `shown` and recorded in `files`.
    ///
    /// # Errors
    /// What pipe2(2) says.
    pub fn new(files: LogFiles, shown: [BorrowedFd<'_>; 2]) -> Result<(Capture, CapturedEnds)> {
        let (output_pipe, output) = sys::pipe()?;
        let (error_pipe, error) = sys::pipe()?;
        let stream = |pipe, shown, name| -> Result<Stream> {
            Ok(Stream { pipe: Some(pipe), shown: sys::duplicate(shown)?, lines: Lines::new(name) })
        };
        let streams =
            [stream(output_pipe, shown[0], "stdout")?, stream(error_pipe, shown[1], "stderr")?];
        Ok((Capture { streams, files }, CapturedEnds { output, error }))
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
                // The log is kept even when nobody looks (a closed terminal, a broken pipe).
                let _ = sys::write_all(stream.shown.as_fd(), bytes);
                for record in stream.lines.push(bytes) {
                    self.files.write(record);
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
