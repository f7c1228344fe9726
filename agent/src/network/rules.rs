//! What an instance may do on the network, as values: the meaning that [`super::program`] gives to
//! the kernel.
//!
//! Invariant: pure. What no rule allows is refused. An IPv4 address that comes mapped into IPv6
//! (RFC 4291, 2.5.5.2) is judged as the IPv4 address it is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use manifest_spec::manifest::Protocol;

/// Everything an instance is held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Leased ports.
    pub ports: Vec<PortRule>,
    /// The address that is this instance's alone.
    pub own: Option<OwnAddress>,
    /// Whether it has all addresses for itself too, as in a network of its own: binding them all
    /// then means no other.
    pub alone: bool,
    /// Where it may connect and send to.
    pub reach: Reach,
    /// Indexes of the only interfaces that packets may pass; `None` for any.
    pub interfaces: Option<Vec<u32>>,
    /// Whether it makes packets itself (CAP_NET_RAW), which no rule on ports can judge.
    pub raw: bool,
}

/// A leased port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRule {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Number that the program binds and sees.
    pub inside: u16,
    /// Number that the host sees.
    pub outside: u16,
    /// Index of the only interface it is reachable through; 0 while that does not exist.
    pub interface: Option<u32>,
}

/// Addresses on the loopback interface that one instance has for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OwnAddress {
    /// IPv4.
    pub v4: Ipv4Addr,
    /// IPv6.
    pub v6: Ipv6Addr,
}

/// Destinations beside an instance's own ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All there are.
    Anywhere,
    /// These.
    Only(Vec<Destination>),
}

/// A network and a port of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    /// Network address, host bits zero.
    pub network: IpAddr,
    /// Prefix length in bits.
    pub prefix: u8,
    /// Port, `None` for any.
    pub port: Option<u16>,
}

impl Destination {
    /// One address.
    pub fn host(address: IpAddr, port: Option<u16>) -> Destination {
        let network = address.to_canonical();
        let prefix = if network.is_ipv4() { 32 } else { 128 };
        Destination { network, prefix, port }
    }

    /// Whether some address is in both networks.
    pub fn overlaps(&self, other: &Destination) -> bool {
        let (wide, narrow) =
            if self.prefix <= other.prefix { (self, other) } else { (other, self) };
        Destination { port: None, ..*wide }.holds(Protocol::Tcp, SocketAddr::new(narrow.network, 0))
    }

    /// Port 0 of UDP leads nowhere, and getaddrinfo(3) connects to it to learn which of a name's
    /// addresses is nearest.
    fn holds(&self, protocol: Protocol, to: SocketAddr) -> bool {
        let inside = match (self.network, to.ip()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                let bits = network.to_bits() ^ address.to_bits();
                bits.checked_shr(shift).is_none_or(|bits| bits == 0)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                let bits = network.to_bits() ^ address.to_bits();
                bits.checked_shr(shift).is_none_or(|bits| bits == 0)
            }
            _ => false,
        };
        let asks = protocol == Protocol::Udp && to.port() == 0;
        inside && self.port.is_none_or(|port| asks || port == to.port())
    }
}

impl Rules {
    /// Where a bind to `at` goes; `None`: it is refused.
    pub fn bind(&self, protocol: Protocol, at: SocketAddr) -> Option<SocketAddr> {
        let at = canonical(at);
        let Some(rule) = self.port(protocol, at.port()) else {
            // A client that names its end before it connects. What then arrives is judged by itself.
            return (at.port() == 0 && self.reaches_something()).then_some(at);
        };
        match self.own {
            Some(_) if self.alone && at.ip().is_unspecified() => {
                Some(SocketAddr::new(at.ip(), rule.outside))
            }
            Some(own) if own.covers(at.ip()) => {
                Some(SocketAddr::new(own.like(at.ip()), rule.outside))
            }
            Some(_) => None,
            None => Some(SocketAddr::new(at.ip(), rule.outside)),
        }
    }

    /// Where a connection or a datagram to `to` goes; `None`: it is refused.
    pub fn connect(&self, protocol: Protocol, to: SocketAddr) -> Option<SocketAddr> {
        let to = canonical(to);
        let local =
            is_this_host(to.ip()) || self.own.is_some_and(|own| own.like(to.ip()) == to.ip());
        if let Some(rule) = self.port(protocol, to.port()).filter(|_| local) {
            let address = self.own.map_or(to.ip(), |own| own.like(to.ip()));
            return Some(SocketAddr::new(address, rule.outside));
        }
        let reached = match &self.reach {
            Reach::Anywhere => true,
            Reach::Only(destinations) => destinations.iter().any(|one| one.holds(protocol, to)),
        };
        reached.then_some(to)
    }

    /// Whether anything but its own ports can be reached.
    pub fn reaches_something(&self) -> bool {
        self.reach != Reach::Only(Vec::new())
    }

    fn port(&self, protocol: Protocol, inside: u16) -> Option<&PortRule> {
        self.ports.iter().find(|rule| rule.protocol == protocol && rule.inside == inside)
    }
}

impl OwnAddress {
    /// Whether binding `address` means this one: all addresses, the loopback ones, itself.
    fn covers(&self, address: IpAddr) -> bool {
        is_this_host(address) || self.like(address) == address
    }

    /// The one of the same family.
    pub fn like(&self, address: IpAddr) -> IpAddr {
        if address.is_ipv4() { self.v4.into() } else { self.v6.into() }
    }
}

/// Whether connecting to `address` never leaves the host: loopback, and the unspecified address,
/// which connect(2) takes for it.
fn is_this_host(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.map_or("*".to_owned(), |port| port.to_string());
        match self.network {
            IpAddr::V4(network) => write!(f, "{network}/{}:{port}", self.prefix),
            IpAddr::V6(network) => write!(f, "[{network}]/{}:{port}", self.prefix),
        }
    }
}
