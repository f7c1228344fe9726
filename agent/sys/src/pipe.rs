//! Bytes from pipe to pipe without a copy (tee(2), splice(2)).
//!
//! Invariant: nothing here waits; what a call took from a pipe it tells, and no byte is ever in
//! neither place.

use std::os::fd::BorrowedFd;

use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice, tee};

use crate::Result;

/// Show what waits in one pipe to another, from its front on, at most `count` bytes: it stays where
/// it is and is in the other as well. 0 when nothing waits and nobody can write any more.
///
/// # Errors
/// `EAGAIN` when nothing waits, or the other is full; else what tee(2) says.
pub fn show(from: BorrowedFd<'_>, to: BorrowedFd<'_>, count: usize) -> Result<usize> {
    tee(from, to, count, SpliceFFlags::SPLICE_F_NONBLOCK)
}

/// Move what waits in a pipe, at most `count` bytes, to another pipe or to /dev/null. 0 when nothing
/// waits and nobody can write any more.
///
/// # Errors
/// `EAGAIN` when nothing waits, or the other is full; else what splice(2) says.
pub fn shift(from: BorrowedFd<'_>, to: BorrowedFd<'_>, count: usize) -> Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
    splice(from, None, to, None, count, flags)
}

/// How many bytes a pipe can hold (F_GETPIPE_SZ, fcntl(2)); fewer, if they come in many pieces.
///
/// # Errors
/// `EBADF` for what is no pipe.
pub fn capacity(pipe: BorrowedFd<'_>) -> Result<usize> {
    let size = fcntl(pipe, FcntlArg::F_GETPIPE_SZ)?;
    Ok(usize::try_from(size).unwrap_or(0))
}
