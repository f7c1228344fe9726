//! Turns raw return values into [`Result`]s. Owns no call itself.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use crate::{Errno, Result};

/// The value of a raw `syscall(2)`, or the error it left in `errno`.
pub(crate) fn check(value: libc::c_long) -> Result<libc::c_long> {
    if value < 0 { Err(Errno::last()) } else { Ok(value) }
}

/// The descriptor a raw `syscall(2)` returned.
///
/// # Safety
/// `value` comes from a call that, when it succeeds, returns a new descriptor nobody else owns.
pub(crate) unsafe fn descriptor(value: libc::c_long) -> Result<OwnedFd> {
    let fd = check(value)? as RawFd;
    // SAFETY: the caller promises that a non-negative value is a fresh descriptor without an owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
