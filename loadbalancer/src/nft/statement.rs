//! What a rule is made of, as nft(8) spells it.

use std::net::{IpAddr, SocketAddr};

use super::Field;

/// A match or an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// `iifname` (source) or `oifname` (destination): the device a packet came in by or leaves by.
    Device(Side, Relation, Device),
    /// `meta nfproto`: the network protocol.
    Family(Family),
    /// `meta l4proto`: the transport protocol.
    Transport(Transport),
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
    /// `… @SET`: it is one of a set.
    Member(Vec<Field>, String),
    /// `… vmap @MAP`: go where a map says, on where it says nothing.
    Choose(Vec<Field>, String),
    /// `meta pkttype set host`: take it for this host's, whichever hardware address it was for.
    ForHost,
    /// `counter`.
    Counter,
    /// `dnat`: rewrite the destination.
    Dnat(SocketAddr),
    /// `dnat … to … map @MAP`: rewrite the destination to the address and port a map says, of this
    /// family.
    DnatBy(Family, Vec<Field>, String),
    /// `update @MAP`: add what packets teach, for so many seconds from now.
    Learn {
        /// The map.
        map: String,
        /// The key.
        key: Vec<Field>,
        /// The data, where the key is new.
        data: Vec<Field>,
        /// How long it stays.
        seconds: u32,
    },
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
    /// `goto` a chain of the same table: a jump without a way back.
    Goto(String),
    /// `reject`: drop, and tell who sent it.
    Reject(Rejection),
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    /// Its number (IANA's registry of protocol numbers).
    pub(crate) fn number(self) -> u8 {
        match self {
            Transport::Tcp => 6,
            Transport::Udp => 17,
        }
    }

    /// The one of a number.
    pub(crate) fn of(number: u8) -> Option<Transport> {
        [Transport::Tcp, Transport::Udp].into_iter().find(|transport| transport.number() == number)
    }
}

/// How somebody is told that there is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// `with tcp reset`, for TCP alone.
    Reset,
    /// `with icmpx port-unreachable`: in ICMP or ICMPv6.
    Unreachable,
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
