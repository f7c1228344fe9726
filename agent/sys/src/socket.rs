//! Sockets: pairs between parent and child that carry whole messages with descriptors on board
//! (unix(7)), and bound ones for programs that get theirs from others (ip(7)).
//!
//! Invariant: a message arrives whole or not at all (SOCK_SEQPACKET), and every descriptor is
//! close-on-exec.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, SockaddrLike,
    SockaddrStorage, UnixAddr, accept4, bind, connect, getsockname, getsockopt, listen, sendmsg,
    setsockopt, socket, socketpair, sockopt,
};

use crate::diag::Transport;
use crate::raw::check;
use crate::{Errno, Result};

/// Connections that may wait to be accepted; the kernel takes `net.core.somaxconn` if that is less.
const BACKLOG: i32 = 4096;

/// Connections of this host that may wait to be accepted.
const LOCAL_BACKLOG: i32 = 16;

/// A bound socket: for TCP one that listens. On the unspecified IPv6 address it takes IPv4 too.
/// `interface` is the only one it is reachable through (SO_BINDTODEVICE).
///
/// # Errors
/// What bind(2) says; `ENODEV` without such an interface.
pub fn bound(
    transport: Transport,
    address: SocketAddr,
    interface: Option<&str>,
) -> Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = match transport {
        Transport::Tcp => SockType::Stream,
        Transport::Udp => SockType::Datagram,
    };
    let made = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    if let Some(interface) = interface {
        setsockopt(&made, sockopt::BindToDevice, &interface.into())?;
    }
    if address.is_ipv6() {
        setsockopt(&made, sockopt::Ipv6V6Only, &false)?;
    }
    if transport == Transport::Tcp {
        // Connections of the last run that are closing are in nobody's way.
        setsockopt(&made, sockopt::ReuseAddr, &true)?;
    }
    bind(made.as_raw_fd(), &SockaddrStorage::from(address))?;
    if transport == Transport::Tcp {
        listen(&made, Backlog::new(BACKLOG)?)?;
    }
    Ok(made)
}

/// Whether this is a socket by which more can be reached than its peer: any but a connected one of
/// the host's own (unix(7)). One of TCP can be disconnected and connected anew.
pub fn leads_elsewhere(fd: BorrowedFd<'_>) -> bool {
    let Ok(name) = getsockname::<SockaddrStorage>(fd.as_raw_fd()) else { return false };
    let kind = getsockopt(&fd, sockopt::SockType);
    let lasting = matches!(kind, Ok(SockType::Stream | SockType::SeqPacket));
    !(name.family() == Some(AddressFamily::Unix) && lasting)
}

/// The protocol and port of a bound internet socket that can serve: for TCP one that listens.
pub fn serves(fd: BorrowedFd<'_>) -> Option<(Transport, u16)> {
    let name = getsockname::<SockaddrStorage>(fd.as_raw_fd()).ok()?;
    let port = match (name.as_sockaddr_in(), name.as_sockaddr_in6()) {
        (Some(v4), _) => v4.port(),
        (_, Some(v6)) => v6.port(),
        _ => return None,
    };
    match getsockopt(&fd, sockopt::SockType).ok()? {
        SockType::Stream => {
            getsockopt(&fd, sockopt::AcceptConn).ok()?.then_some((Transport::Tcp, port))
        }
        SockType::Datagram => (port != 0).then_some((Transport::Udp, port)),
        _ => None,
    }
}

/// Bytes that were written to a connected stream and that the other side does not have yet: for TCP
/// its system, for a socket of this host its program (SIOCOUTQ, tcp(7), unix(7)).
///
/// # Errors
/// What ioctl(2) says.
pub fn unsent(stream: BorrowedFd<'_>) -> Result<usize> {
    waiting(stream, libc::TIOCOUTQ)
}

/// Bytes that are in a pipe, asked at either end (FIONREAD, pipe(7)).
///
/// # Errors
/// What ioctl(2) says.
pub fn unread(pipe: BorrowedFd<'_>) -> Result<usize> {
    waiting(pipe, libc::FIONREAD)
}

fn waiting(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: both requests write one int to the address given, which is that of `bytes`.
    check(libc::c_long::from(unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut bytes) }))?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// The supplementary groups of whoever made a connection (SO_PEERGROUPS, kernel 4.13), as they were
/// then.
///
/// # Errors
/// What getsockopt(2) says.
pub fn peer_groups(connection: BorrowedFd<'_>) -> Result<Vec<u32>> {
    // No process has more (NGROUPS_MAX of limits.h).
    let mut groups = vec![0_u32; 65_536];
    let mut bytes = size_of_val(groups.as_slice()) as libc::socklen_t;
    // SAFETY: the kernel writes at most `bytes` bytes of numbers to the vector, which is that long,
    // and then how many it wrote to `bytes`.
    let done = unsafe {
        libc::getsockopt(
            connection.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    check(libc::c_long::from(done))?;
    groups.truncate(bytes as usize / size_of::<u32>());
    Ok(groups)
}

/// A pair of connected sockets.
///
/// # Errors
/// What socketpair(2) says.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// A socket at a path that takes connections of whole messages (unix(7)). The path must be free.
///
/// # Errors
/// What bind(2) says.
pub fn listen_at(path: &Path) -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    bind(made.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&made, Backlog::new(LOCAL_BACKLOG)?)?;
    Ok(made)
}

/// Connect to a socket made by [`listen_at`].
///
/// # Errors
/// What connect(2) says: `ENOENT` when there is none, `ECONNREFUSED` when nobody listens.
pub fn connect_to(path: &Path) -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let made = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    connect(made.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(made)
}

/// Take a connection that waits.
///
/// # Errors
/// `EAGAIN` when none does; else what accept4(2) says.
pub fn accept(listener: BorrowedFd<'_>) -> Result<OwnedFd> {
    let made = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: accept4(2) returned a new descriptor that this process owns.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

/// Most descriptors of one message that are received.
const PASSED: usize = 3;

/// Send one message, with descriptors. Unless `wait`, a full socket is an error.
///
/// # Errors
/// `EPIPE` when nobody can receive it (never as a signal); `EAGAIN` when the socket is full;
/// `EMSGSIZE` for a message that could never fit; else what sendmsg(2) says.
pub fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    wait: bool,
) -> Result<()> {
    let fds: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let control = if fds.is_empty() { &[][..] } else { &rights[..] };
    let slices = [IoSlice::new(bytes)];
    let mut flags = MsgFlags::MSG_NOSIGNAL;
    flags.set(MsgFlags::MSG_DONTWAIT, !wait);
    loop {
        match sendmsg::<UnixAddr>(socket.as_raw_fd(), &slices, control, flags, None) {
            Err(Errno::EINTR) => {}
            result => return result.map(|_| ()),
        }
    }
}

/// A message that was received.
#[derive(Debug)]
pub struct Received {
    /// Bytes of the buffer that it takes.
    pub length: usize,
    /// What came with it, in the sender's order.
    pub descriptors: Vec<OwnedFd>,
    /// More descriptors were sent than a message may have, or than this process may open: none of
    /// them is kept.
    pub stripped: bool,
}

/// Receive one message of at most `buffer.len()` bytes. `Ok(None)` when the other side is closed.
///
/// # Errors
/// `EMSGSIZE` for a message that was too long; `EAGAIN` if none is there and `wait` is false.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], wait: bool) -> Result<Option<Received>> {
    let mut control = Control::default();
    let mut slice = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let flags = libc::MSG_CMSG_CLOEXEC | if wait { 0 } else { libc::MSG_DONTWAIT };
    let (length, header) = loop {
        // SAFETY: all fields of a msghdr may be zero: no name, no slices, no control buffer.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut slice;
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut control).cast();
        header.msg_controllen = size_of::<Control>();
        // SAFETY: the header's one slice is `buffer`, its control buffer `control`; both outlive
        // the call and are borrowed for it alone.
        let read = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
        match check(read as libc::c_long) {
            Err(Errno::EINTR) => {}
            length => break (length? as usize, header),
        }
    };
    // Before anything is refused: what is here has to be closed.
    let mut descriptors = descriptors(&header);
    if header.msg_flags & libc::MSG_TRUNC != 0 {
        return Err(Errno::EMSGSIZE);
    }
    let stripped = header.msg_flags & libc::MSG_CTRUNC != 0 || descriptors.len() > PASSED;
    if stripped {
        descriptors.clear();
    }
    let something = length > 0 || stripped || !descriptors.is_empty();
    Ok(something.then_some(Received { length, descriptors, stripped }))
}

/// Room for the descriptors of one message, aligned as cmsg(3) wants it.
#[repr(C, align(8))]
#[derive(Default)]
struct Control([u8; CONTROL]);

// SAFETY: CMSG_SPACE only computes with its argument.
const CONTROL: usize = unsafe { libc::CMSG_SPACE((PASSED * size_of::<i32>()) as u32) } as usize;

/// The descriptors that a call of recvmsg(2) has put beside its message.
fn descriptors(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut taken = Vec::new();
    // SAFETY: the kernel has filled the control buffer, which is alive as long as `header`'s owner,
    // with whole messages as far as `msg_controllen`, and each descriptor in it is new, owned by
    // this process, and taken over exactly once.
    unsafe {
        let mut item = libc::CMSG_FIRSTHDR(header);
        while !item.is_null() {
            if (*item).cmsg_level == libc::SOL_SOCKET && (*item).cmsg_type == libc::SCM_RIGHTS {
                let bytes = (*item).cmsg_len - libc::CMSG_LEN(0) as usize;
                let first = libc::CMSG_DATA(item).cast::<i32>();
                for index in 0..bytes / size_of::<i32>() {
                    taken.push(OwnedFd::from_raw_fd(first.add(index).read_unaligned()));
                }
            }
            item = libc::CMSG_NXTHDR(header, item);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    /// How many descriptors of this process lead to the same object as this one.
    fn open_like(fd: &OwnedFd) -> usize {
        let name = |number: &str| std::fs::read_link(format!("/proc/self/fd/{number}")).ok();
        let wanted = name(&fd.as_raw_fd().to_string());
        let all = std::fs::read_dir("/proc/self/fd").unwrap();
        all.filter(|entry| name(entry.as_ref().unwrap().file_name().to_str().unwrap()) == wanted)
            .count()
    }

    #[test]
    fn descriptors_arrive_whole_or_are_closed() {
        let (ours, theirs) = pair().unwrap();
        let (pipe, _writer) = crate::file::pipe().unwrap();
        // The other end has the same name.
        let before = open_like(&pipe);
        for count in [0, 1, 3, 4, 20, 253] {
            send(ours.as_fd(), b"x", &vec![pipe.as_fd(); count], true).unwrap();
            let received = receive(theirs.as_fd(), &mut [0; 8], true).unwrap().unwrap();
            assert_eq!((received.length, received.stripped), (1, count > PASSED), "{count}");
            let kept = if count > PASSED { 0 } else { count };
            assert_eq!(received.descriptors.len(), kept);
            for fd in &received.descriptors {
                let flags = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFD).unwrap();
                assert_eq!(flags, libc::FD_CLOEXEC);
            }
            assert_eq!(open_like(&pipe), before + kept);
        }
        send(ours.as_fd(), b"too long", &[pipe.as_fd()], true).unwrap();
        let error = receive(theirs.as_fd(), &mut [0; 4], true).unwrap_err();
        assert_eq!((error, open_like(&pipe)), (Errno::EMSGSIZE, before));
        drop(ours);
        assert!(receive(theirs.as_fd(), &mut [0; 4], true).unwrap().is_none());
    }

    #[test]
    fn a_full_socket_makes_nobody_wait_who_does_not_want_to() {
        let (ours, theirs) = pair().unwrap();
        let mut sent = 0;
        while send(ours.as_fd(), &[0; 4096], &[], false).is_ok() {
            sent += 1;
        }
        let again = send(ours.as_fd(), &[0; 4096], &[], false);
        assert_eq!(again, Err(Errno::EAGAIN));
        let empty = (0..sent).all(|_| receive(theirs.as_fd(), &mut [0; 4096], false).is_ok());
        assert!(empty && sent > 0);
        assert_eq!(receive(theirs.as_fd(), &mut [0; 4], false).unwrap_err(), Errno::EAGAIN);
    }
}
