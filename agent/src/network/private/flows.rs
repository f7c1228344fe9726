//! Connections the kernel still remembers from before.
//!
//! Owns nothing. A rule that rewrites addresses is asked about the first packet of a connection
//! only, and to UDP a client that never pauses is one connection for ever: without forgetting it,
//! it would miss an instance that starts, and be sent to one that has ended. TCP has beginnings.
//! Invariant: nothing is forgotten but UDP by a leased port or with an instance's address.

use std::net::IpAddr;

use host_sys::Errno;
use host_sys::netlink::Refusal;
use loadbalancer::conntrack::{Flow, TrackError};
use loadbalancer::nft::Transport;
use manifest_spec::manifest::Protocol;

use super::{Layout, PrivateError};
use crate::balance::conntrack;

/// Forget the datagrams that went to an instance or by its ports, if it has ports of UDP.
pub(super) fn forget(layout: &Layout) -> Result<(), PrivateError> {
    let forwards = layout.forwards.iter();
    let ports: Vec<u16> = forwards
        .filter(|forward| forward.protocol == Protocol::Udp)
        .map(|forward| forward.outside)
        .collect();
    if ports.is_empty() {
        return Ok(());
    }
    let own = [IpAddr::from(layout.address), IpAddr::from(layout.address6)];
    let doomed = |flow: &Flow<'_>| {
        let known = ports.contains(&flow.asked.port()) || own.contains(&flow.target.ip());
        flow.transport == Transport::Udp && known
    };
    let failed = |refusal| PrivateError::Rules("tracked connections".to_owned(), refusal);
    let mut tracker = conntrack::tracker().map_err(|errno| failed(errno.into()))?;
    match tracker.end(doomed) {
        // A kernel that has none to tell.
        Ok(_) | Err(TrackError::Absent) => Ok(()),
        Err(TrackError::Unread(answer) | TrackError::Kept(answer)) => Err(failed(Refusal {
            sequence: answer.sequence,
            errno: Errno::from_raw(answer.errno),
            text: answer.text,
        })),
    }
}
