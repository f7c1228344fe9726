//! Bytes from pipe to pipe without a copy (tee(2), splice(2)), and how many wait in one.
//!
//! Invariant: nothing here waits; what a call took from a pipe it tells, and no byte is ever in
//! neither place.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::fcntl::{SpliceFFlags, splice, tee};

use crate::Result;
use crate::raw::check;

/// Show what waits in one pipe to another, at most `count` bytes: it stays where it is and is in the
/// other as well. 0 when nothing waits and nobody can write any more.
///
/// # Errors
/// `EAGAIN` when nothing waits, or the other is full; else what tee(2) says.
pub fn show(from: BorrowedFd<'_>, to: BorrowedFd<'_>, count: usize) -> Result<usize> {
    tee(from, to, count, SpliceFFlags::SPLICE_F_NONBLOCK)
}

/// Move what waits in one pipe to another, at most `count` bytes. 0 when nothing waits and nobody
/// can write any more.
///
/// # Errors
/// `EAGAIN` when nothing waits, or the other is full; else what splice(2) says.
pub fn shift(from: BorrowedFd<'_>, to: BorrowedFd<'_>, count: usize) -> Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
    splice(from, None, to, None, count, flags)
}

/// How many bytes wait in a pipe or as the next datagram of a socket (FIONREAD, pipe(7)).
///
/// # Errors
/// What ioctl(2) says.
pub fn waiting(pipe: BorrowedFd<'_>) -> Result<u64> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD stores one int, which `count` is.
    check(libc::c_long::from(unsafe {
        libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count)
    }))?;
    Ok(u64::try_from(count).unwrap_or(0))
}
