//! One entry of the kernel's table: its bytes, what they say, and the request to forget it.
//!
//! Invariant: pure; no byte outside an entry is read, whatever lengths it claims, and what is not
//! understood is no flow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::netlink::{Attributes, DUMP, REQUEST, attribute, message};
use crate::nft::Transport;

/// NFNL_SUBSYS_CTNETLINK with IPCTNL_MSG_CT_GET and IPCTNL_MSG_CT_DELETE.
const GET: u16 = 0x101;
const DELETE: u16 = 0x102;
/// CTA_*.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const STATUS: u16 = 3;
const PROTOCOL_STATE: u16 = 4;
const ID: u16 = 12;
const ZONE: u16 = 18;
/// IPS_DST_NAT.
const DESTINATION_REWRITTEN: u32 = 1 << 5;
/// Size of nfgenmsg.
const HEADER: usize = 4;
/// States of TCP from the first packet until both sides have said their last: TCP_CONNTRACK_SYN_SENT
/// to TCP_CONNTRACK_CLOSE_WAIT, and both sides' SYN at once (linux/netfilter/nf_conntrack_tcp.h).
const FIRST_LIVING: u8 = 1;
const LAST_LIVING: u8 = 5;
const BOTH_BEGIN: u8 = 9;

/// A connection, or what the kernel takes for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow<'a> {
    /// TCP or UDP.
    pub transport: Transport,
    /// Who began it.
    pub client: SocketAddr,
    /// Where to, as the client sees it.
    pub asked: SocketAddr,
    /// Who answers: the backend, where it was redirected.
    pub target: SocketAddr,
    /// Where answers go: the client, or this host where it stands in for that.
    pub back: SocketAddr,
    /// Whether it can still carry data.
    pub alive: bool,
    /// nfgenmsg and attributes, as the kernel told them.
    body: &'a [u8],
}

/// Ask for all flows; with `redirected` for those alone whose destination was rewritten, which a
/// kernel before 5.18 does not hear.
pub(super) fn dump_request(redirected: bool) -> Vec<u8> {
    let mut attributes = Attributes::default();
    if redirected {
        attributes.number(STATUS, DESTINATION_REWRITTEN);
    }
    let mut bytes = Vec::new();
    message(&mut bytes, GET, REQUEST | DUMP, 1, (0, 0), &attributes);
    bytes
}

impl<'a> Flow<'a> {
    /// The flow in an answer's body, if it is one of TCP or UDP.
    pub fn read(body: &'a [u8]) -> Option<Flow<'a>> {
        let attributes = body.get(HEADER..)?;
        let (transport, client, asked) = tuple(attribute(attributes, ORIGINAL)?)?;
        let (_, target, back) = tuple(attribute(attributes, REPLY)?)?;
        let alive = match transport {
            Transport::Udp => true,
            Transport::Tcp => is_alive(attributes),
        };
        Some(Flow { transport, client, asked, target, back, alive, body })
    }

    /// Whether it goes to somebody else than the client asked.
    pub fn redirected(&self) -> bool {
        self.target != self.asked
    }

    /// Whether no address of it was rewritten.
    pub fn is_plain(&self) -> bool {
        !self.redirected() && self.back == self.client
    }

    /// Add the request to forget it. It asks for no acknowledgement: only a refusal is answered.
    pub(super) fn append_deletion(&self, bytes: &mut Vec<u8>) {
        let mut attributes = Attributes::default();
        let told = self.body.get(HEADER..).unwrap_or_default();
        // The number tells it from a later flow with the same addresses.
        for kind in [ORIGINAL, ID, ZONE] {
            if let Some(value) = attribute(told, kind) {
                match kind {
                    ORIGINAL => attributes.nested(kind, value),
                    _ => attributes.bytes(kind, value),
                }
            }
        }
        let family = self.body.first().copied().unwrap_or_default();
        message(bytes, DELETE, REQUEST, 1, (family, 0), &attributes);
    }
}

/// What a connection of TCP says in CTA_PROTOINFO_TCP about its state.
fn is_alive(attributes: &[u8]) -> bool {
    let state = attribute(attributes, PROTOCOL_STATE).and_then(|info| attribute(info, 1));
    let state = state.and_then(|info| attribute(info, 1)).and_then(|state| state.first());
    // A kernel that tells no state may mean one that lives.
    state.is_none_or(|state| matches!(*state, FIRST_LIVING..=LAST_LIVING | BOTH_BEGIN))
}

/// One direction: CTA_TUPLE_IP and CTA_TUPLE_PROTO.
fn tuple(bytes: &[u8]) -> Option<(Transport, SocketAddr, SocketAddr)> {
    let (addresses, protocol) = (attribute(bytes, 1)?, attribute(bytes, 2)?);
    // CTA_IP_V4_SRC and _DST, CTA_IP_V6_SRC and _DST.
    let address = |v4, v6| match attribute(addresses, v4) {
        Some(bytes) => <[u8; 4]>::try_from(bytes).ok().map(|four| Ipv4Addr::from(four).into()),
        None => {
            let bytes = <[u8; 16]>::try_from(attribute(addresses, v6)?).ok()?;
            Some(IpAddr::from(Ipv6Addr::from(bytes)))
        }
    };
    let port = |kind| attribute(protocol, kind)?.try_into().ok().map(u16::from_be_bytes);
    let transport = Transport::of(*attribute(protocol, 1)?.first()?)?;
    let source = SocketAddr::new(address(1, 3)?, port(2)?);
    let destination = SocketAddr::new(address(2, 4)?, port(3)?);
    Some((transport, source, destination))
}
