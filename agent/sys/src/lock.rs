//! Locks on open files (flock(2)).
//!
//! Invariant: a lock lives as long as the open file it is on, and ends with it whatever ends its
//! holder.

use std::os::fd::{AsFd, AsRawFd};

use crate::raw::check;
use crate::{Errno, Result};

/// How a lock is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// With others that share.
    Shared,
    /// With nobody.
    Alone,
}

/// Lock an open file, or change the lock it has, waiting for others.
///
/// # Errors
/// What flock(2) says.
pub fn lock(file: &impl AsFd, share: Share) -> Result<()> {
    loop {
        match flock(file, share, 0) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Lock an open file if nobody is in the way; whether it could be had. A lock that could not be
/// changed is lost.
///
/// # Errors
/// What flock(2) says.
pub fn try_lock(file: &impl AsFd, share: Share) -> Result<bool> {
    match flock(file, share, libc::LOCK_NB) {
        Err(Errno::EWOULDBLOCK) => Ok(false),
        result => result.map(|()| true),
    }
}

fn flock(file: &impl AsFd, share: Share, flags: libc::c_int) -> Result<()> {
    let operation = match share {
        Share::Shared => libc::LOCK_SH,
        Share::Alone => libc::LOCK_EX,
    };
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: flock(2) takes no pointer, and the borrow keeps the descriptor open.
    check(libc::c_long::from(unsafe { libc::flock(fd, operation | flags) }))?;
    Ok(())
}
