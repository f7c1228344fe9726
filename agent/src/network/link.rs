//! Network devices, their addresses, routes and neighbours (rtnetlink(7)).
//!
//! Owns the requests and what a refusal of one is called. Invariant: a [`Links`] speaks to the
//! network namespace it was opened in, wherever its thread is. Never decides which device gets
//! what, and never changes one it was not told of.

mod message;
mod monitor;

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use host_sys::Errno;
use host_sys::netlink::{Family, Netlink, Refusal};
use netlink_packet_core::Parseable;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};

use message::Verb;
pub use monitor::LinkMonitor;

/// What was asked of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Open a socket.
    Open,
    /// Hear of changes.
    Watch,
    /// Find a device by its name or number.
    Find(String),
    /// Make a device of this name that leads nowhere.
    CreateDummy(String),
    /// Make a pair of connected devices, the first of this name.
    CreatePair(String),
    /// Remove the device with this number.
    Delete(u32),
    /// Bring the device with this number up.
    SetUp(u32),
    /// Give a device this address.
    AddAddress(IpAddr),
    /// Take this address from a device.
    RemoveAddress(IpAddr),
    /// Add a route to this address with so many bits.
    AddRoute(IpAddr, u8),
    /// Say which hardware address this one has.
    AddNeighbour(IpAddr),
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkError {
    /// What was asked.
    pub operation: Operation,
    /// What the kernel said.
    pub refusal: Refusal,
}

impl std::fmt::Display for LinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.operation {
            Operation::Open => f.write_str("open a socket for routes"),
            Operation::Watch => f.write_str("watch network devices"),
            Operation::Find(device) => write!(f, "find network device {device}"),
            Operation::CreateDummy(name) => write!(f, "create dummy device {name}"),
            Operation::CreatePair(name) => write!(f, "create device pair {name}"),
            Operation::Delete(index) => write!(f, "delete network device {index}"),
            Operation::SetUp(index) => write!(f, "bring network device {index} up"),
            Operation::AddAddress(address) => write!(f, "add address {address}"),
            Operation::RemoveAddress(address) => write!(f, "remove address {address}"),
            Operation::AddRoute(to, prefix) => write!(f, "add route to {to}/{prefix}"),
            Operation::AddNeighbour(address) => write!(f, "add neighbour {address}"),
        }?;
        write!(f, ": {}", self.refusal)
    }
}

impl std::error::Error for LinkError {}

/// A hardware address of Ethernet.
pub type Mac = [u8; 6];

/// One end of a new pair.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// Its name, at most 15 bytes.
    pub name: &'a str,
    /// Its hardware address.
    pub mac: Mac,
}

/// A route in the main table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where to: an address, and how many of its bits count.
    pub to: (IpAddr, u8),
    /// The next hop, taken to be on the link whatever the addresses say; `None`: the destination
    /// itself is.
    pub gateway: Option<IpAddr>,
    /// The source address packets get that have none yet.
    pub source: Option<IpAddr>,
}

/// The devices of one network namespace.
#[derive(Debug)]
pub struct Links {
    netlink: Netlink,
}

impl Links {
    /// Those of the network namespace this thread is in.
    ///
    /// # Errors
    /// When the socket can't be opened.
    pub fn open() -> Result<Links, LinkError> {
        let opened = Netlink::open(Family::Route).map_err(Refusal::from);
        let netlink =
            opened.map_err(|refusal| LinkError { operation: Operation::Open, refusal })?;
        Ok(Links { netlink })
    }

    /// The number of the device with this name, if there is one.
    ///
    /// # Errors
    /// When the kernel can't be asked.
    pub fn index(&self, name: &str) -> Result<Option<u32>, LinkError> {
        let mut wanted = LinkMessage::default();
        wanted.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let found = self.find(wanted, || Operation::Find(name.to_owned()))?;
        Ok(found.map(|link| link.header.index))
    }

    /// The name of the device with this number, if there is one.
    ///
    /// # Errors
    /// When the kernel can't be asked.
    pub fn name(&self, index: u32) -> Result<Option<String>, LinkError> {
        let mut wanted = LinkMessage::default();
        wanted.header.index = index;
        let found = self.find(wanted, || Operation::Find(index.to_string()))?;
        Ok(found.and_then(|link| {
            link.attributes.into_iter().find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(name),
                _ => None,
            })
        }))
    }

    /// Make a device that leads nowhere (dummy). It is down.
    ///
    /// # Errors
    /// `EEXIST` when the name is taken; `EOPNOTSUPP` where the kernel has no such devices; `EPERM`
    /// without CAP_NET_ADMIN.
    pub fn create_dummy(&self, name: &str) -> Result<(), LinkError> {
        self.send(message::dummy(name), Verb::Create, || Operation::CreateDummy(name.to_owned()))
    }

    /// Make a pair of connected Ethernet devices (veth(4)): `host` here, `peer` in the network
    /// namespace of this descriptor. Both are down.
    ///
    /// # Errors
    /// `EEXIST` when a name is taken; `EPERM` without CAP_NET_ADMIN in both.
    pub fn create_pair(
        &self,
        host: End<'_>,
        peer: End<'_>,
        namespace: BorrowedFd<'_>,
    ) -> Result<(), LinkError> {
        let message = message::pair(host, peer, namespace.as_raw_fd());
        self.send(message, Verb::Create, || Operation::CreatePair(host.name.to_owned()))
    }

    /// Remove a device; one that is gone is no error. A pair goes whole.
    ///
    /// # Errors
    /// What rtnetlink(7) says.
    pub fn delete(&self, index: u32) -> Result<(), LinkError> {
        let deleted = self.send(message::delete(index), Verb::Change, || Operation::Delete(index));
        tolerate(deleted, Errno::ENODEV)
    }

    /// Bring a device up.
    ///
    /// # Errors
    /// `ENODEV` when it is gone; `EPERM` without CAP_NET_ADMIN.
    pub fn set_up(&self, index: u32) -> Result<(), LinkError> {
        self.send(message::up(index), Verb::Change, || Operation::SetUp(index))
    }

    /// Let a device send at once. Its other end came up after it, which the kernel takes in within
    /// moments, and until then drops what is sent; asked for the device, it does so now (6.8).
    ///
    /// # Errors
    /// When the kernel can't be asked.
    pub fn settle(&self, index: u32) -> Result<(), LinkError> {
        self.name(index).map(|_| ())
    }

    /// Give a device an address, alone in its network (/32 or /128), usable at once (IPv6: without
    /// looking for duplicates). One it already has is no error.
    ///
    /// # Errors
    /// `ENODEV` when the device is gone; `EPERM` without CAP_NET_ADMIN; `EACCES` or `EINVAL` for
    /// IPv6 where that is switched off.
    pub fn add_address(&self, index: u32, address: IpAddr) -> Result<(), LinkError> {
        let message = RouteNetlinkMessage::NewAddress(message::address(index, address));
        let added = self.send(message, Verb::Create, || Operation::AddAddress(address));
        tolerate(added, Errno::EEXIST)
    }

    /// Take an address from a device; one it has not got is no error, nor is a missing device.
    ///
    /// # Errors
    /// What rtnetlink(7) says.
    pub fn remove_address(&self, index: u32, address: IpAddr) -> Result<(), LinkError> {
        let message = RouteNetlinkMessage::DelAddress(message::address(index, address));
        let removed = self.send(message, Verb::Change, || Operation::RemoveAddress(address));
        tolerate(tolerate(removed, Errno::EADDRNOTAVAIL), Errno::ENODEV)
    }

    /// Add a route by a device that is up.
    ///
    /// # Errors
    /// `EEXIST` when there is one to the same destination; `ENETDOWN` when the device is down;
    /// `EINVAL` for a source address that is not of this network namespace.
    pub fn add_route(&self, index: u32, route: Route) -> Result<(), LinkError> {
        let (to, prefix) = route.to;
        self.send(message::route(index, route), Verb::Create, || Operation::AddRoute(to, prefix))
    }

    /// Say for good which hardware address an address has on a device's link, so that nobody is
    /// asked.
    ///
    /// # Errors
    /// `ENETDOWN` when the device is down.
    pub fn add_neighbour(&self, index: u32, address: IpAddr, mac: Mac) -> Result<(), LinkError> {
        let message = message::neighbour(index, address, mac);
        self.send(message, Verb::Create, || Operation::AddNeighbour(address))
    }

    fn find(
        &self,
        wanted: LinkMessage,
        operation: impl Fn() -> Operation,
    ) -> Result<Option<LinkMessage>, LinkError> {
        let request = message::bytes(RouteNetlinkMessage::GetLink(wanted), Verb::Change);
        let mut found = None;
        let asked = self.netlink.ask(&request, |answer| {
            found = LinkMessage::parse(answer.body).ok();
        });
        let asked = asked.map_err(|refusal| LinkError { operation: operation(), refusal });
        tolerate(asked, Errno::ENODEV)?;
        Ok(found)
    }

    fn send(
        &self,
        message: RouteNetlinkMessage,
        verb: Verb,
        operation: impl Fn() -> Operation,
    ) -> Result<(), LinkError> {
        let sent = self.netlink.request(&message::bytes(message, verb));
        sent.map_err(|refusal| LinkError { operation: operation(), refusal })
    }
}

fn tolerate(result: Result<(), LinkError>, errno: Errno) -> Result<(), LinkError> {
    match result {
        Err(error) if error.refusal.errno == errno => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
