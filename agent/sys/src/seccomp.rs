//! Seccomp filters and their notifications (seccomp(2), seccomp_unotify(2)).
//!
//! Invariant: a notified call is never let through; it can only be answered with an error.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::raw::{check, descriptor};
use crate::{Errno, Result};

/// One instruction of a filter: struct sock_filter of linux/filter.h.
pub type Instruction = libc::sock_filter;

/// An instruction from its parts.
pub fn instruction(code: u16, jump_true: u8, jump_false: u8, operand: u32) -> Instruction {
    Instruction { code, jt: jump_true, jf: jump_false, k: operand }
}

/// Whether the kernel can hand denied calls to a supervisor (SECCOMP_RET_USER_NOTIF, kernel 5.0).
pub fn can_notify() -> bool {
    let action: u32 = libc::SECCOMP_RET_USER_NOTIF;
    let action = &raw const action;
    // SAFETY: SECCOMP_GET_ACTION_AVAIL reads one u32.
    let value =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, action) };
    check(value).is_ok()
}

/// Install a filter on this thread and what it starts; needs no_new_privs. With `notify` the
/// answer is a listener for calls whose action is "notify".
///
/// # Errors
/// `EBUSY` when a listener is already installed (a sandbox in a sandbox), `EINVAL` for a filter
/// the kernel rejects.
pub fn install(program: &[Instruction], notify: bool) -> Result<Option<Listener>> {
    let length = u16::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    // The kernel only reads the filter; the pointer is mutable in C's declaration alone.
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    let flags = if notify { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
    let (operation, program) = (libc::SECCOMP_SET_MODE_FILTER, &raw const program);
    // SAFETY: `program` describes `len` valid instructions that outlive the call.
    let value = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, program) };
    if !notify {
        return check(value).map(|_| None);
    }
    // SAFETY: with NEW_LISTENER the call returns a new descriptor, close-on-exec.
    unsafe { descriptor(value) }.map(|fd| Some(Listener { fd }))
}

/// Receives denied calls.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
}

/// A denied call that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub struct Denied {
    id: u64,
    /// The calling thread, in the receiver's pid namespace.
    pub thread: i32,
    /// The call's number.
    pub number: i32,
}

#[allow(missing_docs)] // the macros make public functions; the names are the kernel's
mod ioctl {
    nix::ioctl_readwrite!(notif_recv, b'!', 0, libc::seccomp_notif);
    nix::ioctl_readwrite!(notif_send, b'!', 1, libc::seccomp_notif_resp);
    nix::ioctl_write_ptr!(notif_id_valid, b'!', 2, u64);
}

impl Listener {
    /// Take the next denied call; `None` when its caller died meanwhile.
    ///
    /// # Errors
    /// What ioctl(2) says.
    pub fn receive(&self) -> Result<Option<Denied>> {
        // SAFETY: seccomp_notif is plain data, and the kernel demands that it is zeroed.
        let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the call fills a seccomp_notif, which `call` is.
        match unsafe { ioctl::notif_recv(self.fd.as_raw_fd(), &raw mut call) } {
            Ok(_) => {
                Ok(Some(Denied { id: call.id, thread: call.pid as i32, number: call.data.nr }))
            }
            Err(Errno::ENOENT | Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Whether the caller still waits, so that its thread number is still its own.
    pub fn is_waiting(&self, denied: &Denied) -> bool {
        // SAFETY: the call reads one u64.
        unsafe { ioctl::notif_id_valid(self.fd.as_raw_fd(), &raw const denied.id) }.is_ok()
    }

    /// Answer the call with `EPERM`.
    ///
    /// # Errors
    /// `ENOENT` when the caller died meanwhile.
    pub fn refuse(&self, denied: &Denied) -> Result<()> {
        let mut answer =
            libc::seccomp_notif_resp { id: denied.id, val: 0, error: -libc::EPERM, flags: 0 };
        // SAFETY: the call reads a seccomp_notif_resp, which `answer` is.
        unsafe { ioctl::notif_send(self.fd.as_raw_fd(), &raw mut answer) }?;
        Ok(())
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
