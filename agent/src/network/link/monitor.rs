//! Hearing of changes to network devices.
//!
//! Invariant: no change goes unnoticed: when the kernel had to drop messages, that counts as one.

use std::os::fd::{AsFd, BorrowedFd};

use host_sys::Errno;
use host_sys::netlink::{Family, Netlink, Refusal, messages};

use super::{LinkError, Operation};

/// RTNLGRP_LINK and RTNLGRP_IPV4_NETCONF (linux/rtnetlink.h).
const LINK: u32 = 1;
const NETCONF: u32 = 24;

/// Readable when a device of the network namespace it was opened in came, went or changed, or
/// forwarding was switched on one.
#[derive(Debug)]
pub struct LinkMonitor {
    netlink: Netlink,
}

impl LinkMonitor {
    /// Watch the network namespace this thread is in.
    ///
    /// # Errors
    /// When the socket can't be opened.
    pub fn open() -> Result<LinkMonitor, LinkError> {
        let open = || {
            let netlink = Netlink::open(Family::Route)?;
            netlink.join(LINK)?;
            netlink.join(NETCONF)?;
            Ok(LinkMonitor { netlink })
        };
        open().map_err(watching)
    }

    /// Take what has been told; whether it was anything. Does not wait.
    ///
    /// # Errors
    /// What recvmsg(2) says.
    pub fn changed(&self) -> Result<bool, LinkError> {
        let mut changed = false;
        loop {
            match self.netlink.receive(false) {
                Ok(Some(datagram)) => changed |= messages(&datagram).next().is_some(),
                Ok(None) => return Ok(changed),
                Err(Errno::ENOBUFS) => changed = true,
                Err(errno) => return Err(watching(errno)),
            }
        }
    }
}

impl AsFd for LinkMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netlink.as_fd()
    }
}

fn watching(errno: Errno) -> LinkError {
    LinkError { operation: Operation::Watch, refusal: Refusal::from(errno) }
}
