//! An instance's own address on the loopback device.
//!
//! Invariant: the address is there from before the program's start until after its end. One that a
//! killed hostctl left is removed by the next that adds one, unless somebody holds its lease. Never
//! touches an address outside of the range that instances have theirs from.

use std::net::IpAddr;
use std::time::Duration;

use super::link::{LinkError, Links};
use super::pool::Pool;
use super::rules::OwnAddress;
use crate::lease::{self, key::Key};
use crate::plan::Directories;

/// Index of the loopback device in every network namespace.
const LOOPBACK: u32 = 1;

/// Addresses on the loopback device, removed when dropped.
#[derive(Debug)]
pub struct Added {
    links: Links,
    own: OwnAddress,
}

impl Added {
    /// Add both addresses. A host without IPv6 gets the one.
    ///
    /// # Errors
    /// When the kernel does not take the IPv4 address.
    pub fn add(own: OwnAddress, pool: Pool, directories: &Directories) -> Result<Self, LinkError> {
        let links = Links::open()?;
        sweep(&links, pool, directories);
        links.add_address(LOOPBACK, own.v4.into())?;
        let added = Added { links, own };
        let _ = added.links.add_address(LOOPBACK, own.v6.into());
        Ok(added)
    }
}

impl Drop for Added {
    fn drop(&mut self) {
        let addresses = [IpAddr::from(self.own.v4), self.own.v6.into()];
        for address in addresses {
            let _ = self.links.remove_address(LOOPBACK, address);
        }
    }
}

/// Remove addresses of the range that nobody holds any more.
fn sweep(links: &Links, pool: Pool, directories: &Directories) {
    let Ok(Some(ledger)) = lease::look(directories, || Duration::ZERO) else { return };
    let Ok(rows) = ledger.rows() else { return };
    let held = |own: OwnAddress| {
        rows.iter().any(|row| row.key == Key::Address(own.v4.into()) && row.is_alive())
    };
    for address in host_sys::net::interface_addresses("lo") {
        let IpAddr::V4(v4) = address else { continue };
        if let Some(own) = pool.with(v4).filter(|own| !held(*own)) {
            let _ = links.remove_address(LOOPBACK, own.v4.into());
            let _ = links.remove_address(LOOPBACK, own.v6.into());
        }
    }
}
