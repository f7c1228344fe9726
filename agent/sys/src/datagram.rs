//! Datagrams that are looked at before they are taken (unix(7)), with the time of their arrival.
//!
//! Invariant: looking changes nothing in the queue; a datagram is gone when [`discard`] said so, and
//! not before.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, bind, setsockopt, socket, sockopt,
};

use crate::Result;
use crate::raw::check;

/// A socket at a path that takes datagrams. The path must be free.
///
/// # Errors
/// What bind(2) says.
pub fn bound_at(path: &Path) -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    bind(made.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(made)
}

/// Have the kernel note when each message arrives (SO_TIMESTAMPNS, socket(7)).
///
/// # Errors
/// What setsockopt(2) says.
pub fn note_arrivals(socket: BorrowedFd<'_>) -> Result<()> {
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)
}

/// The next message of a socket.
#[derive(Debug)]
pub struct Next {
    /// Its length; more than the buffer's if it did not fit.
    pub length: usize,
    /// When it arrived, since 1970, if the kernel notes that.
    pub arrived: Option<Duration>,
    /// A file that came with it, in copy; of several the first.
    pub file: Option<OwnedFd>,
}

/// Look at the next message. Its beginning, or all of it, is then in the buffer. On a socket with a
/// connection a length of 0 says that the other side is closed.
///
/// # Errors
/// `EAGAIN` when there is none; else what recvmsg(2) says.
pub fn look(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Next> {
    let mut control = Control([0; CONTROL]);
    let mut slice = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all fields of a msghdr may be zero: no name, no slices, no control buffer.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = CONTROL;
    let flags = libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header's one slice is `buffer`, its control buffer `control`; both outlive the
    // call and are borrowed for it alone.
    let read = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    let length = check(read as libc::c_long)? as usize;
    let (arrived, file) = beside(&header);
    Ok(Next { length, arrived, file })
}

/// Take the next message out of the queue, whatever it is.
///
/// # Errors
/// `EAGAIN` when there is none; else what recv(2) says.
pub fn discard(socket: BorrowedFd<'_>) -> Result<()> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    // SAFETY: no byte is stored: the buffer's length is 0.
    let read = unsafe { libc::recv(socket.as_raw_fd(), std::ptr::null_mut(), 0, flags) };
    check(read as libc::c_long).map(|_| ())
}

/// Most descriptors of one message (SCM_MAX_FD, unix(7)).
const FILES: usize = 253;

/// Room for what comes beside a message: its files and its time.
// SAFETY: CMSG_SPACE only computes with its argument.
const CONTROL: usize = unsafe {
    libc::CMSG_SPACE((FILES * size_of::<i32>()) as u32)
        + libc::CMSG_SPACE(size_of::<libc::timespec>() as u32)
} as usize;

/// Aligned as cmsg(3) wants it.
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// What a call of recvmsg(2) has put beside its message.
fn beside(header: &libc::msghdr) -> (Option<Duration>, Option<OwnedFd>) {
    let (mut arrived, mut files) = (None, Vec::new());
    // SAFETY: the kernel has filled the control buffer, which is alive as long as `header`'s owner,
    // with whole messages as far as `msg_controllen`; a time is a timespec, and each descriptor is
    // new, owned by this process, and taken over exactly once.
    unsafe {
        let mut item = libc::CMSG_FIRSTHDR(header);
        while !item.is_null() {
            let bytes = (*item).cmsg_len - libc::CMSG_LEN(0) as usize;
            match ((*item).cmsg_level, (*item).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS)
                    if bytes >= size_of::<libc::timespec>() =>
                {
                    let time = libc::CMSG_DATA(item).cast::<libc::timespec>().read_unaligned();
                    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
                    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
                    arrived = Some(Duration::new(seconds, nanos));
                }
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    let first = libc::CMSG_DATA(item).cast::<i32>();
                    for index in 0..bytes / size_of::<i32>() {
                        files.push(OwnedFd::from_raw_fd(first.add(index).read_unaligned()));
                    }
                }
                _ => {}
            }
            item = libc::CMSG_NXTHDR(header, item);
        }
    }
    (arrived, files.into_iter().next())
}
