//! Waiting for several descriptors (poll(2)).

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::{Errno, Result};

/// What to wait for on one descriptor.
#[derive(Debug, Clone, Copy)]
pub struct Interest<'a> {
    /// The descriptor.
    pub fd: BorrowedFd<'a>,
    /// Wait until it can be written instead of read.
    pub write: bool,
}

/// Which descriptors are ready, in the order given: they have data or room, were closed by the
/// other side, or are broken. All false after `timeout` (`None`: wait for ever).
///
/// # Errors
/// What poll(2) says; an interruption by a signal is not an error but an empty answer.
pub fn wait(interests: &[Interest<'_>], timeout: Option<Duration>) -> Result<Vec<bool>> {
    let flag = |write: bool| if write { PollFlags::POLLOUT } else { PollFlags::POLLIN };
    let mut fds: Vec<PollFd<'_>> =
        interests.iter().map(|interest| PollFd::new(interest.fd, flag(interest.write))).collect();
    let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
        // Rounded up: a wait must not end before the deadline and spin until it.
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
    });
    match nix::poll::poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno),
    }
    Ok(fds.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty())).collect())
}

/// Whether nobody is left to read what is written to this descriptor: the other end of a pipe, a
/// socket or a terminal is closed. A file is always read.
pub fn is_abandoned(fd: BorrowedFd<'_>) -> bool {
    // What is told without being asked for: POLLERR, POLLHUP.
    let mut fds = [PollFd::new(fd, PollFlags::empty())];
    let told = nix::poll::poll(&mut fds, PollTimeout::ZERO).is_ok();
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
    told && fds[0].revents().is_some_and(|events| events.intersects(gone))
}
