//! Which descriptors a process has of its parent, and which its program gets.
//!
//! Invariant: nothing is passed over an exec but what was put at its place for it.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::raw::check;
use crate::{Errno, Result};

/// Mark every descriptor from 3 up close-on-exec, whoever left it open (kernel 5.11).
///
/// # Errors
/// What close_range(2) says.
pub fn close_all_on_exec() -> Result<()> {
    close_range(3, libc::CLOSE_RANGE_CLOEXEC)
}

/// Mark descriptors from `first` up close-on-exec, or close them.
fn close_range(first: u32, flags: u32) -> Result<()> {
    // SAFETY: close-on-exec changes no open descriptor's owner; closing is never asked for.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) })?;
    Ok(())
}

/// Close every descriptor from 3 up but these (close_range(2), kernel 5.9): what a child has of its
/// parent and does not need. A socket or lock of the parent's would otherwise outlive it here.
///
/// # Errors
/// What close_range(2) says.
///
/// # Safety of use
/// Whoever owns one of the others in this process must never use or drop it again, which a child
/// that ends by exit(2) keeps to: see [`super::spawn`].
pub fn keep_only(descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    let mut kept: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    kept.push(RawFd::MAX);
    kept.sort_unstable();
    let mut first = FIRST_PASSED;
    for kept in kept.into_iter().filter(|kept| *kept >= FIRST_PASSED) {
        if first < kept {
            // SAFETY: the descriptors in between belong to values that this process has only a copy
            // of and never uses again; the parent's own stay open.
            check(unsafe { libc::syscall(libc::SYS_close_range, first, kept - 1, 0_u32) })?;
        }
        first = kept.saturating_add(1);
    }
    Ok(())
}

/// First descriptor that a program gets besides its standard streams (sd_listen_fds(3)).
pub const FIRST_PASSED: RawFd = 3;

/// Put these descriptors at 3, 4 and so on, open over the exec that must follow at once: whatever
/// was there is closed, for this process alone.
///
/// # Errors
/// `EMFILE` at the limit of open files.
pub fn pass_on(descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    let count = descriptors.len() as RawFd;
    // Out of the way first: one may be at the place of another.
    let lifted =
        descriptors.iter().map(|fd| lift(*fd, FIRST_PASSED + count)).collect::<Result<Vec<_>>>()?;
    for (number, fd) in (FIRST_PASSED..).zip(&lifted) {
        // SAFETY: the caller gives its descriptors up to the program it executes next; until then
        // it uses none below `FIRST_PASSED + count` but the standard streams.
        check(libc::c_long::from(unsafe { libc::dup2(fd.as_raw_fd(), number) }))?;
    }
    Ok(())
}

/// A second descriptor of the same object, at `lowest` or above, close-on-exec.
///
/// # Errors
/// `EMFILE` at the limit of open files.
pub fn lift(fd: BorrowedFd<'_>, lowest: RawFd) -> Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes an integer and returns a new descriptor.
    unsafe {
        crate::raw::descriptor(libc::c_long::from(libc::fcntl(
            fd.as_raw_fd(),
            libc::F_DUPFD_CLOEXEC,
            lowest,
        )))
    }
}

/// Take over the descriptors that this process was started with at 3 and up, `count` of them,
/// close-on-exec from now on.
///
/// # Errors
/// `EBADF` when one is not open.
///
/// # Safety of use
/// Is called once, before anything else of this process opens or closes a descriptor.
pub fn take_passed(count: u32) -> Result<Vec<OwnedFd>> {
    static TAKEN: std::sync::Once = std::sync::Once::new();
    if TAKEN.is_completed() {
        return Err(Errno::EBADF);
    }
    TAKEN.call_once(|| {});
    (FIRST_PASSED..FIRST_PASSED + count as RawFd)
        .map(|number| {
            // SAFETY: F_SETFD takes integers only.
            let done = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
            check(libc::c_long::from(done))?;
            // SAFETY: it is open, and was passed to this process, which has taken no descriptor
            // over from its caller before: the first call only comes this far.
            Ok(unsafe { OwnedFd::from_raw_fd(number) })
        })
        .collect()
}

/// Replace standard input, output or error (0, 1, 2) by another descriptor.
///
/// # Errors
/// `EBADF` for any other number, else what dup2(2) says.
pub fn set_standard(number: RawFd, fd: BorrowedFd<'_>) -> Result<()> {
    if !(0..=2).contains(&number) {
        return Err(Errno::EBADF);
    }
    // SAFETY: 0, 1 and 2 have no owner in this process's types; replacing them is dup2's meaning.
    check(libc::c_long::from(unsafe { libc::dup2(fd.as_raw_fd(), number) }))?;
    Ok(())
}
