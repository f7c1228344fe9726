//! Socket pairs between parent and child: whole messages, with descriptors on board (unix(7)).
//!
//! Invariant: a message arrives whole or not at all (SOCK_SEQPACKET), and received descriptors are
//! close-on-exec.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    recvmsg, sendmsg, socketpair,
};

use crate::{Errno, Result};

/// A pair of connected sockets.
///
/// # Errors
/// What socketpair(2) says.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Send one message, with at most one descriptor.
///
/// # Errors
/// `EPIPE` when nobody can receive it (never as a signal); else what sendmsg(2) says.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> Result<()> {
    let fds: Vec<i32> = fd.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let control = if fds.is_empty() { &[][..] } else { &rights[..] };
    let slices = [IoSlice::new(bytes)];
    loop {
        let flags = MsgFlags::MSG_NOSIGNAL;
        match sendmsg::<UnixAddr>(socket.as_raw_fd(), &slices, control, flags, None) {
            Err(Errno::EINTR) => {}
            result => return result.map(|_| ()),
        }
    }
}

/// Receive one message of at most `buffer.len()` bytes. `Ok(None)` when the other side is closed.
///
/// # Errors
/// `EMSGSIZE` for a message that was too long; `EAGAIN` if none is there and `wait` is false.
pub fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    wait: bool,
) -> Result<Option<(usize, Option<OwnedFd>)>> {
    let mut control = nix::cmsg_space!([i32; 1]);
    let mut flags = MsgFlags::MSG_CMSG_CLOEXEC;
    flags.set(MsgFlags::MSG_DONTWAIT, !wait);
    loop {
        let mut slices = [IoSliceMut::new(buffer)];
        let fd = socket.as_raw_fd();
        let message = match recvmsg::<UnixAddr>(fd, &mut slices, Some(&mut control), flags) {
            Err(Errno::EINTR) => continue,
            result => result?,
        };
        let mut passed = None;
        for item in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(fds) = item {
                for fd in fds {
                    // SAFETY: SCM_RIGHTS delivers new descriptors that this process owns; each is
                    // taken over exactly once.
                    passed = Some(unsafe { OwnedFd::from_raw_fd(fd) });
                }
            }
        }
        if message.flags.contains(MsgFlags::MSG_TRUNC) {
            return Err(Errno::EMSGSIZE);
        }
        let length = message.bytes;
        return Ok((length > 0 || passed.is_some()).then_some((length, passed)));
    }
}
