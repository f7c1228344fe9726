//! `network = "private"`: a network namespace of an instance's own, and the way in and out.
//!
//! Owns the namespace, the pair of devices between it and the host, two nftables tables, and the
//! forwarding switched on for it. Invariant: nothing passes between the instance and anything else
//! before the tables are in force or after they are gone. What was made is undone by [`Drop`] or,
//! after a kill, by the kernel and the next [`sweep`]. Never touches a table, a device or a rule
//! that it did not make; a firewall of somebody else that drops stays in force. Never decides which
//! destinations are granted: programs on the instance's cgroup do, in any namespace.
//!
//! Addresses belong to one device each (/32, /128), so there is no subnet and no broadcast; the
//! gateway is the host's end of the pair, the same for every instance, and each end knows the
//! other's hardware address from the start, so nobody is ever asked for one.

mod ends;
mod error;
mod flows;
mod forwarding;
mod ruleset;
mod settings;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use host_sys::namespace;
use host_sys::netlink::{Family, Netlink, Refusal};
use loadbalancer::nft::{Batch, Device};
use manifest_spec::manifest::Protocol;

use crate::plan::Directories;
use crate::store;
use ends::{Host, Inside};
pub use error::PrivateError;
use forwarding::{Forwarding, Internet, Switch};
pub use ruleset::{GATEWAY, GATEWAY6, device_name, door, table};

/// What an instance gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The instance: its table is `hostctl-NAME`.
    pub name: String,
    /// Its address, which no other instance has: a lease.
    pub address: Ipv4Addr,
    /// Its address, unique local (RFC 4193).
    pub address6: Ipv6Addr,
    /// Ports of the host that lead to it.
    pub forwards: Vec<Forward>,
    /// Whether a balancer leads there instead of the tables of the instance.
    pub balanced: bool,
    /// Interfaces it may send through; `None`: any, as the host's routes have it.
    pub egress: Option<Vec<String>>,
    /// Ports of its gateway that lead to the host's loopback addresses.
    pub inward: Vec<Inward>,
    /// Whether a balancer leads from the gateway's address to services that it needs.
    pub balanced_needs: bool,
}

/// A leased port, on every local address of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port on the host.
    pub outside: u16,
    /// The port in the instance.
    pub inside: u16,
    /// The interface clients come by; `lo`: the host's own clients only; `None`: all of both.
    pub interface: Option<String>,
}

/// A service on the host's loopback device that the instance may use, by the gateway's address.
/// One that has bound itself to the device (SO_BINDTODEVICE), as systemd-resolved's stub on
/// 127.0.0.53 has, is not reached this way: packets come by the pair, whatever their destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inward {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port on the gateway's address.
    pub port: u16,
    /// Where it leads.
    pub to: SocketAddrV4,
}

/// An instance's network, as long as this value lives. It must end in the network namespace it was
/// built in, and no other process may have its descriptors, or the table outlives it.
#[derive(Debug)]
pub struct PrivateNetwork {
    host: Host,
    /// The socket the tables go with.
    table: Option<Netlink>,
    forwarding: Forwarding,
    namespace: OwnedFd,
    layout: Layout,
    ipv6_egress: bool,
}

/// Forwarding for clients that are sent to backends elsewhere, as long as this value lives.
#[derive(Debug)]
pub struct Routes(Forwarding);

impl Routes {
    /// None yet. Restores first what a killed hostctl left switched on.
    ///
    /// # Errors
    /// As [`sweep`].
    pub fn open(directories: &Directories) -> Result<Routes, PrivateError> {
        let records = records(directories)?;
        forwarding::sweep(&records)?;
        Ok(Routes(Forwarding::none(records)))
    }

    /// Have every interface of the host forward what was redirected, those that came since among
    /// them.
    ///
    /// # Errors
    /// When forwarding can't be switched on an interface.
    pub fn refresh(&mut self) -> Result<(), PrivateError> {
        let wanted = switches(settings::interfaces()?, settings::has_ipv6());
        self.0.refresh(wanted)
    }
}

/// Make an instance's network. Restores first what a killed hostctl left switched on.
///
/// # Errors
/// What could not be made; then nothing of it is left.
pub fn build(layout: &Layout, directories: &Directories) -> Result<PrivateNetwork, PrivateError> {
    validate(layout)?;
    let records = records(directories)?;
    forwarding::sweep(&records)?;
    let namespace = namespace::new_network().map_err(PrivateError::Namespace)?;
    let inside = Inside::open(&namespace)?;
    let host = Host::create(layout, &namespace)?;
    let internet = Internet::of_host();
    host.settle(internet)?;
    let table = Some(load(layout)?);
    inside.connect(layout, host.ipv6)?;
    host.connect(layout)?;
    inside.settle()?;
    let ipv6_egress = forwards_ipv6();
    let forwarding = Forwarding::none(records);
    let layout = layout.clone();
    let mut network = PrivateNetwork { host, table, forwarding, namespace, layout, ipv6_egress };
    network.refresh()?;
    flows::forget(&network.layout)?;
    Ok(network)
}

/// Restore what nobody uses any more: the forwarding that a killed hostctl left switched on.
///
/// # Errors
/// When a record can't be read, or what it says can't be undone.
pub fn sweep(directories: &Directories) -> Result<(), PrivateError> {
    forwarding::sweep(&records(directories)?)
}

/// Whether IPv6 would get out of an instance and back: where the host forwards it on all interfaces
/// anyway, or the kernel can switch it on for one (`force_forwarding`, kernel 6.17). Switching it
/// on for all would end what router advertisements configure (Documentation/networking/ip-sysctl).
pub fn forwards_ipv6() -> bool {
    settings::has_ipv6() && Internet::of_host() != Internet::Ipv4Only
}

impl PrivateNetwork {
    /// The instance's network namespace.
    pub fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// The name of the host's end of the pair.
    pub fn device(&self) -> &str {
        &self.host.device
    }

    /// What [`forwards_ipv6`] said when this was built.
    pub fn ipv6_egress(&self) -> bool {
        self.ipv6_egress
    }

    /// Take in that interfaces came or went, or that somebody else now forwards. To be called when
    /// a [`LinkMonitor`](super::link::LinkMonitor) tells of changes; without any it does nothing.
    ///
    /// # Errors
    /// When forwarding can't be switched on an interface.
    pub fn refresh(&mut self) -> Result<(), PrivateError> {
        let wanted = self.wanted()?;
        self.forwarding.refresh(wanted)
    }

    /// What must forward for packets to pass: the interfaces they come in by from outside, replies
    /// to the instance among them.
    fn wanted(&self) -> Result<Vec<Switch>, PrivateError> {
        let Layout { forwards, egress, .. } = &self.layout;
        let named = forwards.iter().filter_map(|forward| forward.interface.as_ref());
        let mut interfaces: Vec<String> =
            named.chain(egress.iter().flatten()).filter(|name| *name != "lo").cloned().collect();
        if egress.is_none() || forwards.iter().any(|forward| forward.interface.is_none()) {
            interfaces.extend(settings::interfaces()?);
        }
        interfaces.sort_unstable();
        interfaces.dedup();
        Ok(switches(interfaces, self.host.ipv6))
    }
}

/// Every protocol that is switched, on each of these.
fn switches(interfaces: Vec<String>, ipv6: bool) -> Vec<Switch> {
    let families = Internet::of_host().switched(ipv6);
    let of = |interface: String| {
        families.iter().map(move |family| Switch::new(*family, interface.clone()))
    };
    interfaces.into_iter().flat_map(of).collect()
}

impl Drop for PrivateNetwork {
    fn drop(&mut self) {
        // The pair first: without it nothing passes that the table would stop. What is forgotten
        // while the table still redirects would be learnt anew.
        self.host.disconnect();
        self.table = None;
        let _ = flows::forget(&self.layout);
    }
}

fn validate(layout: &Layout) -> Result<(), PrivateError> {
    let named = layout.forwards.iter().filter_map(|forward| forward.interface.as_ref());
    for name in named.chain(layout.egress.iter().flatten()) {
        if !Device::valid(name) {
            return Err(PrivateError::Interface(name.clone()));
        }
    }
    match layout.inward.iter().find(|inward| !inward.to.ip().is_loopback()) {
        Some(inward) => Err(PrivateError::Inward(inward.to)),
        None => Ok(()),
    }
}

fn records(directories: &Directories) -> Result<PathBuf, PrivateError> {
    store::open(&directories.run, &["forwarding"]).map_err(PrivateError::Records)?;
    Ok(directories.run.join("forwarding"))
}

/// Load the instance's tables. They go with the socket in the answer.
fn load(layout: &Layout) -> Result<Netlink, PrivateError> {
    let table = table(layout);
    let netlink = Netlink::open(Family::Netfilter)
        .map_err(|errno| PrivateError::Rules(format!("table {}", table.name), errno.into()))?;
    // The kernel removes them in this order: the door closes first.
    commit(&netlink, &Batch::default().create(&door(layout)).create(&table))?;
    Ok(netlink)
}

fn commit(netlink: &Netlink, batch: &Batch) -> Result<(), PrivateError> {
    let encoded = batch.encode();
    netlink.request(&encoded.bytes).map_err(|refusal: Refusal| {
        PrivateError::Rules(encoded.object(refusal.sequence).to_owned(), refusal)
    })
}
