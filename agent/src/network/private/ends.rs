//! The pair of devices: the host's end and the instance's.
//!
//! Invariant: neither end is up before the table is in force and its settings hold; the pair is
//! gone when the host's end is dropped. Never asks for or answers with a hardware address, nor
//! listens to a router.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};

use host_sys::namespace;

use super::forwarding::Internet;
use super::settings::{self, set};
use super::{GATEWAY, GATEWAY6, Layout, PrivateError, device_name};
use crate::network::link::{End, Links, Mac, Route};

/// The instance's end, as its program sees it.
const INSIDE: &str = "eth0";

/// The host's end.
#[derive(Debug)]
pub(super) struct Host {
    links: Links,
    index: u32,
    /// Its name.
    pub(super) device: String,
    /// Whether the pair speaks IPv6.
    pub(super) ipv6: bool,
    localnet: bool,
}

impl Host {
    /// Make the pair, both ends down, the other in `namespace`.
    pub(super) fn create(layout: &Layout, namespace: &OwnedFd) -> Result<Host, PrivateError> {
        let links = Links::open()?;
        let device = device_name(layout.address);
        // The address is a lease of ours: a device of its name is what a kill left, on its way out
        // with the dead instance's namespace.
        if let Some(left) = links.index(&device)? {
            links.delete(left)?;
        }
        let host = End { name: &device, mac: host_mac(layout.address) };
        let peer = End { name: INSIDE, mac: peer_mac(layout.address) };
        links.create_pair(host, peer, namespace.as_fd())?;
        let Some(index) = links.index(&device)? else {
            return Err(PrivateError::Vanished(device));
        };
        let own_clients = |interface: &Option<String>| interface.as_ref().is_none_or(|i| i == "lo");
        let local = layout.forwards.iter().any(|forward| own_clients(&forward.interface));
        let localnet = local || !layout.inward.is_empty();
        Ok(Host { links, index, device, ipv6: settings::has_ipv6(), localnet })
    }

    /// Settings of the end, while it is down.
    pub(super) fn settle(&self, internet: Internet) -> Result<(), PrivateError> {
        let ipv4 = |key| settings::ipv4(&self.device, key);
        set(ipv4("forwarding"), "1")?;
        set(ipv4("accept_redirects"), "0")?;
        set(ipv4("send_redirects"), "0")?;
        set(ipv4("rp_filter"), "1")?;
        if self.localnet {
            // For clients of the host by 127.0.0.1, and for services on it: the kernel otherwise
            // refuses such addresses on any device but lo. What the instance itself may send to
            // them is the table's matter.
            set(ipv4("route_localnet"), "1")?;
        }
        if self.ipv6 {
            let ipv6 = |key| settings::ipv6(&self.device, key);
            for key in ["accept_ra", "autoconf", "accept_redirects"] {
                set(ipv6(key), "0")?;
            }
            set(ipv6("addr_gen_mode"), "1")?; // no link-local address but the gateway's
            if internet == Internet::Ipv6Switched {
                set(ipv6("force_forwarding"), "1")?;
            }
        }
        Ok(())
    }

    /// Bring the end up, with the way to the instance.
    pub(super) fn connect(&self, layout: &Layout) -> Result<(), PrivateError> {
        let Host { links, index, .. } = self;
        links.set_up(*index)?;
        links.add_address(*index, GATEWAY.into())?;
        let mac = peer_mac(layout.address);
        let to = IpAddr::from(layout.address);
        let source = Some(GATEWAY.into());
        links.add_neighbour(*index, to, mac)?;
        links.add_route(*index, Route { to: (to, 32), gateway: None, source })?;
        if self.ipv6 {
            let to = IpAddr::from(layout.address6);
            links.add_address(*index, GATEWAY6.into())?;
            links.add_neighbour(*index, to, mac)?;
            links.add_route(*index, Route { to: (to, 128), gateway: None, source: None })?;
        }
        Ok(())
    }
}

impl Host {
    /// Remove the pair.
    pub(super) fn disconnect(&self) {
        // Nobody is left to tell: the kernel removes the pair with the namespace anyway.
        let _ = self.links.delete(self.index);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.disconnect();
    }
}

/// The instance's end.
#[derive(Debug)]
pub(super) struct Inside {
    links: Links,
}

impl Inside {
    /// Prepare a new namespace: its settings, its loopback device.
    pub(super) fn open(namespace: &OwnedFd) -> Result<Inside, PrivateError> {
        let prepare = || {
            for device in ["all", "default"] {
                set(settings::ipv4(device, "accept_redirects"), "0")?;
                if settings::has_ipv6() {
                    set(settings::ipv6(device, "accept_redirects"), "0")?;
                    set(settings::ipv6(device, "accept_ra"), "0")?;
                }
            }
            if settings::has_ipv6() {
                set(settings::ipv6("default", "addr_gen_mode"), "1")?;
            }
            // All its ports are the instance's own.
            set("/proc/sys/net/ipv4/ip_unprivileged_port_start".into(), "0")?;
            let links = Links::open()?;
            if let Some(lo) = links.index("lo")? {
                links.set_up(lo)?;
            }
            Ok(Inside { links })
        };
        namespace::visit(namespace, prepare).map_err(PrivateError::Namespace)?
    }

    /// Bring the end up, with the way to everything else.
    pub(super) fn connect(&self, layout: &Layout, ipv6: bool) -> Result<(), PrivateError> {
        let links = &self.links;
        let Some(index) = links.index(INSIDE)? else {
            return Err(PrivateError::Vanished(INSIDE.to_owned()));
        };
        links.set_up(index)?;
        let mac = door_mac(layout.address);
        let connect = |own: IpAddr, any: IpAddr, gateway: IpAddr| {
            links.add_address(index, own)?;
            links.add_neighbour(index, gateway, mac)?;
            let source = own.is_ipv4().then_some(own);
            links.add_route(index, Route { to: (any, 0), gateway: Some(gateway), source })
        };
        connect(layout.address.into(), Ipv4Addr::UNSPECIFIED.into(), GATEWAY.into())?;
        if ipv6 {
            connect(layout.address6.into(), Ipv6Addr::UNSPECIFIED.into(), GATEWAY6.into())?;
        }
        Ok(())
    }
}

impl Inside {
    /// Let the end send, now that both are up.
    pub(super) fn settle(&self) -> Result<(), PrivateError> {
        match self.links.index(INSIDE)? {
            Some(index) => Ok(self.links.settle(index)?),
            None => Err(PrivateError::Vanished(INSIDE.to_owned())),
        }
    }
}

/// Locally administered (IEEE 802, bit 1 of the first byte), unique like the address in it.
fn host_mac(address: Ipv4Addr) -> Mac {
    mac(0x02, address)
}

/// Nobody's: see [`door`](super::door).
fn door_mac(address: Ipv4Addr) -> Mac {
    mac(0x0a, address)
}

fn peer_mac(address: Ipv4Addr) -> Mac {
    mac(0x06, address)
}

fn mac(first: u8, address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    [first, 0, a, b, c, d]
}
