//! Netlink sockets (netlink(7)): requests with their answers, dumps, multicast groups.
//!
//! Invariant: an answer is matched to its request by sequence number and sender, so what another
//! process sends to the socket is never taken for the kernel's. Message bodies are bytes here:
//! encoding and meaning are the caller's, but for the acknowledgement, which all families share.

mod message;

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvmsg, sendto,
    setsockopt, socket, sockopt,
};

use crate::raw::check;
use crate::{Errno, Result};
pub(crate) use message::array;
pub use message::{Message, messages};

/// The kernel's side of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Links, addresses, routes, neighbours: rtnetlink(7).
    Route,
    /// nf_tables, connection tracking.
    Netfilter,
    /// Sockets: sock_diag(7).
    SocketDiagnosis,
}

/// Why the kernel did not do what a message asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Sequence number of the message that was refused; 0 when none got that far.
    pub sequence: u32,
    /// The kernel's reason.
    pub errno: Errno,
    /// The reason in the kernel's own words, where it has any (NETLINK_EXT_ACK, kernel 4.12).
    pub text: Option<String>,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Refusal { sequence: 0, errno, text: None }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.errno.desc())?;
        self.text.iter().try_for_each(|text| write!(f, " ({text})"))
    }
}

/// A netlink socket. What the kernel ties to it, such as a table with an owner, goes when the last
/// descriptor of it is closed.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
}

/// Room for one datagram of the kernel's: dumps come in pieces of at most 32 KiB.
const DATAGRAM: usize = 64 * 1024;

impl Netlink {
    /// Open a socket to the network namespace this thread is in now; it stays there.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` where the kernel lacks the family; else what socket(2) says.
    pub fn open(family: Family) -> Result<Netlink> {
        let protocol = match family {
            Family::Route => SockProtocol::NetlinkRoute,
            Family::Netfilter => SockProtocol::NetlinkNetFilter,
            Family::SocketDiagnosis => SockProtocol::NetlinkSockDiag,
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        // Without a number of its own a socket that only listens is taken for the speaker, and is
        // told nothing.
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        let netlink = Netlink { fd };
        // Refusals then carry the kernel's words, and do not repeat the request before them.
        netlink.option(libc::NETLINK_EXT_ACK, 1)?;
        netlink.option(libc::NETLINK_CAP_ACK, 1)?;
        Ok(netlink)
    }

    /// Have room for what is sent and for what is received, in bytes, past the host's limits.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_ADMIN.
    pub fn enlarge(&self, send: usize, receive: usize) -> Result<()> {
        setsockopt(&self.fd, sockopt::SndBufForce, &send)?;
        setsockopt(&self.fd, sockopt::RcvBufForce, &receive)
    }

    /// Hear of changes: one of the family's groups, such as RTNLGRP_LINK (rtnetlink(7)).
    ///
    /// # Errors
    /// `EINVAL` for a group the family has not; `EPERM` for one that needs a privilege.
    pub fn join(&self, group: u32) -> Result<()> {
        self.option(libc::NETLINK_ADD_MEMBERSHIP, group as libc::c_int)
    }

    /// Send one message, or several as one batch in one sendmsg(2), and wait until each that asked
    /// for an acknowledgement has got it.
    ///
    /// # Errors
    /// The first refusal; the others of the batch are read and dropped.
    pub fn request(&self, bytes: &[u8]) -> std::result::Result<(), Refusal> {
        let mut waiting: Vec<u32> = messages(bytes)
            .filter(|message| message.wants_acknowledgement())
            .map(|message| message.sequence)
            .collect();
        self.send(bytes)?;
        let mut first = None;
        // The kernel works a request off within sendmsg(2): all answers are already there.
        while let Some(datagram) = self.receive(false)? {
            for message in messages(&datagram) {
                let Some(answer) = message.answer() else { continue };
                waiting.retain(|sequence| *sequence != message.sequence);
                if let Err(refusal) = answer {
                    first.get_or_insert(refusal);
                }
            }
        }
        match first {
            Some(refusal) => Err(refusal),
            None if waiting.is_empty() => Ok(()),
            None => Err(Errno::ENODATA.into()),
        }
    }

    /// Send one request and hand every message of its answer to `each`, to the end of a dump or
    /// the acknowledgement. A dump is no snapshot: what changes meanwhile may be in it or not.
    ///
    /// # Errors
    /// A refusal, also in the middle of a dump.
    pub fn ask(
        &self,
        bytes: &[u8],
        mut each: impl FnMut(&Message<'_>),
    ) -> std::result::Result<(), Refusal> {
        self.send(bytes)?;
        loop {
            let Some(datagram) = self.receive(true)? else { continue };
            for message in messages(&datagram) {
                match message.answer() {
                    Some(answer) => return answer,
                    None => each(&message),
                }
            }
        }
    }

    /// One datagram from the kernel; `None` when none is there and `wait` is false.
    ///
    /// # Errors
    /// `ENOBUFS` when the kernel had to drop messages for a group; `EMSGSIZE` for a datagram
    /// longer than 64 KiB.
    pub fn receive(&self, wait: bool) -> Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; DATAGRAM];
        let flags = if wait { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT };
        loop {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let fd = self.fd.as_raw_fd();
            let (length, flags, sender) = match recvmsg(fd, &mut slices, None, flags) {
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno),
                Ok(read) => (read.bytes, read.flags, read.address),
            };
            // Any process may send to this socket; only the kernel's number is 0.
            if sender.is_some_and(|sender: NetlinkAddr| sender.pid() != 0) {
                continue;
            }
            if flags.contains(MsgFlags::MSG_TRUNC) {
                return Err(Errno::EMSGSIZE);
            }
            buffer.truncate(length);
            return Ok(Some(buffer));
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        let kernel = NetlinkAddr::new(0, 0);
        loop {
            match sendto(self.fd.as_raw_fd(), bytes, &kernel, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                result => return result.map(|_| ()),
            }
        }
    }

    fn option(&self, name: libc::c_int, value: libc::c_int) -> Result<()> {
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        let (fd, level) = (self.fd.as_raw_fd(), libc::SOL_NETLINK);
        // SAFETY: setsockopt(2) reads an int from `value`, which outlives the call.
        check(libc::c_long::from(unsafe {
            libc::setsockopt(fd, level, name, (&raw const value).cast(), length)
        }))?;
        Ok(())
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests;
