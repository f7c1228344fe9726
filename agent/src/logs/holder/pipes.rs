//! What an output stream goes through before it is in the log.
//!
//! Invariant: the ends to be read are open as long as the holder is. Never reads.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use host_sys::poll::{Interest, wait};
use host_sys::{Result, file, socket};

use super::super::collect::{self, ROOM};
use super::super::shape::Stream;

/// One stream's pipes.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stream: Stream,
    pub(super) front: OwnedFd,
    pub(super) back: [OwnedFd; 2],
    /// Nothing is in them, and nobody can write any more.
    pub(super) is_ended: bool,
}

/// Whether nothing waits to be read, not even an end.
pub(super) fn is_quiet(fd: &OwnedFd) -> bool {
    let interest = [Interest { fd: fd.as_fd(), write: false }];
    !wait(&interest, Some(Duration::ZERO)).is_ok_and(|ready| ready[0])
}

impl Pipes {
    /// Whether nobody can write any more, and everything was collected.
    pub(super) fn has_ended(&self, run: &Path) -> bool {
        // One that is ready, and has nothing, has ended.
        !is_quiet(&self.front) && self.is_empty(run)
    }

    /// Whether there is nothing to collect for now. What is unfinished stays until more comes, or
    /// the end.
    pub(super) fn is_empty(&self, run: &Path) -> bool {
        let holds = |pipe: &OwnedFd| socket::unread(pipe.as_fd()).unwrap_or(0) > 0;
        let has_unfinished = || holds(&self.back[0]) || collect::is_aside(run, self.stream);
        !holds(&self.front) && (is_quiet(&self.front) || !has_unfinished())
    }
}

/// A stream's pipes, and the end that the program writes to.
pub(super) fn pipes(stream: Stream) -> Result<(Pipes, OwnedFd)> {
    let (front, end) = file::pipe()?;
    let (reader, writer) = file::pipe()?;
    for pipe in [&front, &reader] {
        // Without more room everything works as well, only not as smoothly.
        let _ = file::widen_pipe(pipe.as_fd(), ROOM);
    }
    Ok((Pipes { stream, front, back: [reader, writer], is_ended: false }, end))
}
