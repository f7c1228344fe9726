//! Connections of backends, as the kernel of this host tracks them.
//!
//! Owns the socket that they are asked by, and how full the kernel's table is. Invariant: counting
//! costs one dump however many backends there are. Never decides who is ended.

use std::path::Path;

use host_sys::Errno;
use loadbalancer::conntrack::Tracker;

use super::Socket;

/// Settings of connection tracking (linux, Documentation/networking/nf_conntrack-sysctl.rst).
const SETTINGS: &str = "/proc/sys/net/netfilter";

/// Ask the kernel by a socket of its own, of the network namespace this thread is in.
///
/// # Errors
/// What socket(2) says.
pub fn tracker() -> Result<Tracker<Socket>, Errno> {
    Socket::open().map(Tracker::new)
}

/// How full the kernel's table of connections is. A full one drops the packets of new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Entries it has.
    pub count: u64,
    /// Entries it can have.
    pub max: u64,
}

impl Fill {
    /// Ask. `None` where nothing is tracked.
    #[must_use]
    pub fn probe() -> Option<Fill> {
        let number = |name| {
            let text = std::fs::read_to_string(Path::new(SETTINGS).join(name)).ok()?;
            text.trim().parse().ok()
        };
        Some(Fill { count: number("nf_conntrack_count")?, max: number("nf_conntrack_max")? })
    }

    /// Whether nine tenths of it are taken: time to say so.
    #[must_use]
    pub fn is_nearly_full(self) -> bool {
        self.count.saturating_mul(10) >= self.max.saturating_mul(9)
    }
}

#[cfg(test)]
mod tests {
    use host_sys::namespace::{new_network, visit};

    use super::*;

    #[test]
    fn a_new_network_has_no_connections() {
        let space = new_network().expect("this test makes a network namespace: run it as root");
        let counts = visit(&space, || tracker().unwrap().count().unwrap()).unwrap();
        assert!(counts.is_empty(), "{counts:?}");
    }

    #[test]
    fn a_table_is_nearly_full_at_nine_tenths() {
        for (count, nearly) in [(0, false), (89, false), (90, true), (100, true)] {
            assert_eq!(Fill { count, max: 100 }.is_nearly_full(), nearly, "{count}");
        }
        let fill = Fill::probe().expect("this kernel tracks connections");
        assert!(fill.count <= fill.max && fill.max > 0, "{fill:?}");
    }
}
