//! Connections the kernel still remembers from before (ctnetlink,
//! linux/netfilter/nfnetlink_conntrack.h).
//!
//! Owns nothing. A rule that rewrites addresses is asked about the first packet of a connection
//! only, and to UDP a client that never pauses is one connection for ever: without forgetting it,
//! it would miss an instance that starts, and be sent to one that has ended. TCP has beginnings.
//! Invariant: nothing is forgotten but UDP by a leased port or with an instance's address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use host_sys::Errno;
use host_sys::netlink::{Family, Message, Netlink, Refusal};
use manifest_spec::manifest::Protocol;

use super::{Layout, PrivateError};

/// NFNL_SUBSYS_CTNETLINK with IPCTNL_MSG_CT_GET and IPCTNL_MSG_CT_DELETE.
const GET: u16 = 0x101;
const DELETE: u16 = 0x102;
/// NLM_F_REQUEST with NLM_F_DUMP and NLM_F_ACK.
const REQUEST_DUMP: u16 = 0x301;
const REQUEST_ACK: u16 = 0x005;
/// CTA_*: both directions, and what tells an entry from a later one with the same addresses.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
/// Sizes of nlmsghdr and nfgenmsg.
const HEADER: usize = 16;
const GENERIC: usize = 4;
/// IPPROTO_UDP.
const UDP: u8 = 17;

/// Forget the datagrams that went to an instance or by its ports, if it has ports of UDP.
pub(super) fn forget(layout: &Layout) -> Result<(), PrivateError> {
    if !layout.forwards.iter().any(|forward| forward.protocol == Protocol::Udp) {
        return Ok(());
    }
    let failed = |refusal| PrivateError::Rules("tracked connections".to_owned(), refusal);
    let netlink = Netlink::open(Family::Netfilter).map_err(|errno| failed(errno.into()))?;
    let mut stale = Vec::new();
    let dump = message(GET, REQUEST_DUMP, &[0; GENERIC]);
    let asked = netlink.ask(&dump, |entry| stale.extend(deletion(entry, layout)));
    tolerate(asked, Errno::EINVAL).map_err(failed)?; // a kernel that has none to tell
    for request in stale {
        tolerate(netlink.request(&request), Errno::ENOENT).map_err(failed)?;
    }
    Ok(())
}

fn tolerate(result: Result<(), Refusal>, errno: Errno) -> Result<(), Refusal> {
    match result {
        Err(refusal) if refusal.errno == errno => Ok(()),
        result => result,
    }
}

/// The request to delete an entry, if it is one to forget.
fn deletion(entry: &Message<'_>, layout: &Layout) -> Option<Vec<u8>> {
    let (generic, attributes) = entry.body.split_at_checked(GENERIC)?;
    let original = Tuple::parse(find(attributes, ORIGINAL)?)?;
    let reply = Tuple::parse(find(attributes, REPLY)?)?;
    let leased = layout.forwards.iter().any(|forward| {
        forward.protocol == Protocol::Udp && forward.outside == original.destination_port
    });
    let own = [IpAddr::from(layout.address), IpAddr::from(layout.address6)];
    if original.protocol != UDP || !(leased || own.contains(&reply.source)) {
        return None;
    }
    let mut body = generic.to_vec();
    for (kind, whole, _) in attributes_of(attributes) {
        if matches!(kind, ORIGINAL | ID | ZONE) {
            body.extend(whole);
            body.resize(body.len().next_multiple_of(4), 0);
        }
    }
    Some(message(DELETE, REQUEST_ACK, &body))
}

/// One direction of a connection.
struct Tuple {
    source: IpAddr,
    protocol: u8,
    destination_port: u16,
}

impl Tuple {
    /// From CTA_TUPLE_IP and CTA_TUPLE_PROTO.
    fn parse(tuple: &[u8]) -> Option<Tuple> {
        let (addresses, protocol) = (find(tuple, 1)?, find(tuple, 2)?);
        let source = match (find(addresses, 1), find(addresses, 3)) {
            (Some(bytes), _) => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
            (None, Some(bytes)) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
            (None, None) => return None,
        };
        let port = find(protocol, 3)?.try_into().ok()?;
        let protocol = *find(protocol, 1)?.first()?;
        Some(Tuple { source, protocol, destination_port: u16::from_be_bytes(port) })
    }
}

/// Attributes as kind, whole and value, up to the first that is malformed.
fn attributes_of(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (head, _) = bytes.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        // Without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
        let kind = u16::from_ne_bytes([head[2], head[3]]) & 0x3fff;
        let (whole, value) = (bytes.get(..length)?, bytes.get(4..length)?);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, whole, value))
    })
}

fn find(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes_of(bytes).find(|(kind, ..)| *kind == wanted).map(|(.., value)| value)
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]); // sequence, sender
    bytes.extend(body);
    bytes
}
