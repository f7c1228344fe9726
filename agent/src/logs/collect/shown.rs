//! A stream as it is shown to whoever runs the program: as it was written.
//!
//! Invariant: what is offered is written in order, each byte once, and never waited for: what is not
//! taken now waits here, and whoever offers takes no more until it is gone. A stream that nobody
//! reads any more is as good as shown.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use host_sys::file::{self, Kind};
use host_sys::poll::{Interest, wait};

/// What can be written to a pipe that has room without waiting (PIPE_BUF, pipe(7)).
const PIECE: usize = 4096;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Shown {
    stream: OwnedFd,
    /// A file takes everything at once.
    is_file: bool,
    /// Offset of the first byte that was not offered.
    offered: u64,
    waiting: Vec<u8>,
    /// How much of `waiting` was written.
    done: usize,
    is_gone: bool,
}

impl Shown {
    pub(super) fn new(stream: OwnedFd) -> Shown {
        let is_file = file::status(stream.as_fd()).is_ok_and(|status| status.kind == Kind::File);
        Shown { stream, is_file, offered: 0, waiting: Vec::new(), done: 0, is_gone: false }
    }

    /// Go on behind what was shown.
    pub(super) fn resume(&mut self, offset: u64) {
        self.offered = offset;
    }

    /// Offset of the first byte that was not shown.
    pub(super) fn offset(&self) -> u64 {
        if self.is_gone { u64::MAX } else { self.offered - (self.waiting.len() - self.done) as u64 }
    }

    /// Whether something is waiting to be taken.
    pub(super) fn is_waiting(&self) -> bool {
        self.done < self.waiting.len()
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Bytes from this offset on; what of them was offered before is left out.
    pub(super) fn show(&mut self, bytes: &[u8], offset: u64) {
        let known = usize::try_from(self.offered.saturating_sub(offset)).unwrap_or(usize::MAX);
        let fresh = bytes.get(known..).unwrap_or_default();
        if self.is_gone || fresh.is_empty() {
            return;
        }
        self.offered += fresh.len() as u64;
        let taken = self.write(fresh);
        self.waiting.clear();
        self.waiting.extend_from_slice(&fresh[taken..]);
        self.done = 0;
    }

    /// Write what waits, as far as it is taken.
    pub(super) fn go_on(&mut self) {
        if self.is_waiting() {
            let waiting = std::mem::take(&mut self.waiting);
            self.done += self.write(&waiting[self.done..]);
            self.waiting = waiting;
        }
    }

    /// Write as much as is taken; how much that was.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let piece = if self.is_file { bytes.len() } else { PIECE.min(bytes.len() - done) };
            if !self.is_file && !self.has_room() {
                break;
            }
            match file::write(self.stream.as_fd(), &bytes[done..(done + piece).min(bytes.len())]) {
                Ok(count) => done += count,
                Err(host_sys::Errno::EAGAIN) => break,
                Err(host_sys::Errno::EINTR) => {}
                Err(_) => {
                    // The log is kept even when nobody looks (a closed terminal, a broken pipe).
                    self.is_gone = true;
                    return bytes.len();
                }
            }
        }
        done
    }

    fn has_room(&self) -> bool {
        let interest = [Interest { fd: self.stream.as_fd(), write: true }];
        wait(&interest, Some(Duration::ZERO)).is_ok_and(|ready| ready[0])
    }
}
