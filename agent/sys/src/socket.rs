//! Sockets: pairs between parent and child that carry whole messages with descriptors on board
//! (unix(7)), and bound ones for programs that get theirs from others (ip(7)).
//!
//! Invariant: a message arrives whole or not at all (SOCK_SEQPACKET), and every descriptor is
//! close-on-exec.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::path::Path;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    SockaddrLike, SockaddrStorage, UnixAddr, bind, getsockname, getsockopt, listen, recvmsg,
    accept4, connect, sendmsg, setsockopt, socket, socketpair, sockopt,
};

use crate::diag::Transport;
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
