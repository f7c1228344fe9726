//! What a rule is made of, as nft(8) spells it.

use std::net::{IpAddr, SocketAddr};

/// A match or an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// `iifname` (source) or `oifname` (destination): the device a packet came in by or leaves by.
    Device(Side, Relation, Device),
    /// `meta nfproto`: the network protocol.
    Family(Family),
    /// `ip saddr` and its like.
    Address(Side, Relation, Network),
    /// `tcp dport` and its like.
    Port(Transport, Side, u16),
    /// `fib … type local`: an address of this host, whichever device has it.
    Local(Side),
    /// `ct state`: one of these.
    State(Vec<State>),
    /// `ct status dnat`: the destination of the connection was rewritten, here or by another table.
    Redirected,
    /// `meta pkttype set host`: take it for this host's, whichever hardware address it was for.
    ForHost,
    /// `counter`.
    Counter,
    /// `dnat`: rewrite the destination.
    Dnat(SocketAddr),
    /// `snat`: rewrite the source address.
    Snat(IpAddr),
    /// `masquerade`: rewrite the source address to the one of the device it leaves by.
    Masquerade,
    /// `accept`.
    Accept,
    /// `drop`.
    Drop,
    /// `return`.
    Return,
    /// `jump` to a chain of the same table.
    Jump(String),
}

/// Which end of a packet's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// How a value compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It is this.
    Is,
    /// It is anything else.
    Not,
}

/// A network protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The one an address belongs to.
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }
}

/// A transport protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// States of a connection (linux/netfilter/nf_conntrack_common.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Both sides have spoken.
    Established,
    /// About another connection: an ICMP error.
    Related,
    /// Not to be made sense of.
    Invalid,
    /// The first packet.
    New,
}

/// Network devices by name, so that one which comes later or again is meant too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// The one with this name.
    Named(String),
    /// All whose names begin so.
    Beginning(String),
}

impl Device {
    /// Whether the kernel would let a device have this name, 1 to 15 bytes (dev_valid_name).
    pub fn valid(name: &str) -> bool {
        let length = (1..=15).contains(&name.len());
        let odd = |c: char| c.is_whitespace() || matches!(c, '/' | ':' | '\0' | '"' | '*');
        length && name != "." && name != ".." && !name.contains(odd)
    }
}

/// An address, or all that share its first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Any address of it.
    pub address: IpAddr,
    /// How many bits they share: at most 32 or 128.
    pub prefix: u8,
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Network { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }
}
