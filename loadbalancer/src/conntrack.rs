//! Connections that the kernel tracks: how many a backend has, and how they are ended (ctnetlink,
//! linux/netfilter/nfnetlink_conntrack.h).
//!
//! Owns what is asked of the kernel's table of connections, and what its answers mean. A rule that
//! rewrites addresses sees the first packet of a connection only: what is told apart by the table
//! afterwards is nobody's but the kernel's, so who counts connections or ends them asks here.
//! Invariant: one dump tells the counts of all backends, whatever their number; only what a caller
//! names is ended. Never opens a socket (it is lent a [`Kernel`]), and starts no process.

mod flow;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use crate::nft::Transport;
use crate::writer::{Answer, Kernel};

pub use flow::Flow;

/// errno(3).
const ENOENT: i32 = 2;
const EINVAL: i32 = 22;
/// So many bytes of requests go in one message to the kernel.
const BATCH: usize = 16 * 1024;
/// How often flows are looked for anew that were there before they were named.
const ROUNDS: usize = 3;

/// How many live connections each backend has, by where it is reached. Who has none is not in it.
pub type Counts = BTreeMap<(Transport, SocketAddr), u64>;

/// Why connections are not known, or not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackError {
    /// The kernel has no ctnetlink to ask (CONFIG_NF_CT_NETLINK).
    Absent,
    /// The kernel does not tell.
    Unread(Answer),
    /// The kernel does not end them.
    Kept(Answer),
}

impl fmt::Display for TrackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrackError::Absent => {
                f.write_str("this kernel does not tell its connections (nf_conntrack_netlink)")
            }
            TrackError::Unread(answer) => {
                write!(f, "the kernel does not tell its connections: {answer}")
            }
            TrackError::Kept(answer) => {
                write!(f, "the kernel does not end tracked connections: {answer}")
            }
        }
    }
}

impl std::error::Error for TrackError {}

/// The kernel's table of connections, of the network namespace its socket was opened in.
#[derive(Debug)]
pub struct Tracker<K> {
    kernel: K,
}

impl<K: Kernel> Tracker<K> {
    /// Ask by this socket.
    pub fn new(kernel: K) -> Tracker<K> {
        Tracker { kernel }
    }

    /// Count what lives and was redirected, by where it was redirected to: TCP from the first
    /// packet until both sides have said their last, UDP for as long as the kernel remembers it.
    ///
    /// A dump is no snapshot: a connection that begins or ends meanwhile may be in it or not.
    ///
    /// # Errors
    /// [`TrackError`].
    pub fn count(&mut self) -> Result<Counts, TrackError> {
        let mut counts = Counts::new();
        self.each(true, |flow| {
            if flow.redirected() && flow.alive {
                *counts.entry((flow.transport, flow.target)).or_default() += 1;
            }
        })?;
        Ok(counts)
    }

    /// End all connections of these backends: what is left at the deadline of draining.
    ///
    /// A connection that is forgotten ends when its client sends next: that packet goes to another
    /// backend, which resets it. So change the ruleset before; and end a backend of this host's own
    /// before, because the last words of a forgotten connection do not reach the client.
    ///
    /// # Errors
    /// [`TrackError`].
    pub fn end_of(&mut self, targets: &[(Transport, SocketAddr)]) -> Result<u64, TrackError> {
        let doomed = |flow: &Flow<'_>| targets.contains(&(flow.transport, flow.target));
        self.end_among(true, |flow| flow.redirected() && doomed(flow))
    }

    /// Let clients of UDP find the ruleset of now: forget those who were sent to one of `targets`,
    /// and those who asked at one of `places` while nobody was there to send them to. UDP has no
    /// beginnings, so a client that never pauses would stay with who is gone.
    ///
    /// # Errors
    /// [`TrackError`].
    pub fn forget_udp(
        &mut self,
        targets: &[SocketAddr],
        places: impl Fn(SocketAddr) -> bool,
    ) -> Result<u64, TrackError> {
        self.end(|flow| {
            let sent = flow.redirected() && targets.contains(&flow.target);
            let missed = flow.is_plain() && places(flow.asked);
            flow.transport == Transport::Udp && (sent || missed)
        })
    }

    /// Make the kernel forget every flow that `doomed` picks; how many it was told to forget. What
    /// begins meanwhile is looked for again, so that nothing is left that was there before this
    /// call.
    ///
    /// # Errors
    /// [`TrackError`].
    pub fn end(&mut self, doomed: impl Fn(&Flow<'_>) -> bool) -> Result<u64, TrackError> {
        self.end_among(false, doomed)
    }

    fn end_among(
        &mut self,
        redirected: bool,
        doomed: impl Fn(&Flow<'_>) -> bool,
    ) -> Result<u64, TrackError> {
        let mut ended = 0;
        for _ in 0..ROUNDS {
            let mut requests = vec![Vec::new()];
            let mut found = 0;
            self.each(redirected, |flow| {
                if doomed(flow) {
                    found += 1;
                    flow.append_deletion(last(&mut requests));
                }
            })?;
            for batch in requests.iter().filter(|batch| !batch.is_empty()) {
                match self.kernel.commit(batch) {
                    // Over by itself.
                    Err(answer) if answer.errno == ENOENT => {}
                    other => other.map_err(TrackError::Kept)?,
                }
            }
            ended += found;
            if found == 0 {
                break;
            }
        }
        Ok(ended)
    }

    /// Hand every TCP and UDP flow to `look`; only those that were redirected, where the kernel can
    /// tell them apart itself (5.18).
    fn each(
        &mut self,
        redirected: bool,
        mut look: impl FnMut(&Flow<'_>),
    ) -> Result<(), TrackError> {
        let dump = flow::dump_request(redirected);
        let asked = self.kernel.ask(&dump, &mut |body| {
            if let Some(flow) = Flow::read(body) {
                look(&flow);
            }
        });
        asked.map_err(|answer| match answer.errno {
            EINVAL => TrackError::Absent,
            _ => TrackError::Unread(answer),
        })
    }
}

/// The batch that still has room.
fn last(batches: &mut Vec<Vec<u8>>) -> &mut Vec<u8> {
    if batches.last().is_none_or(|batch| batch.len() >= BATCH) {
        batches.push(Vec::new());
    }
    let index = batches.len() - 1;
    &mut batches[index]
}

#[cfg(test)]
mod tests;
