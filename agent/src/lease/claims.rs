//! What one planned instance needs to have for itself, at any port offset.
//!
//! Invariant: pure; the claims at an offset are those of the plan that is resolved with it.

use std::path::{Path, PathBuf};

use manifest_spec::manifest::{Network, Protocol};
use manifest_spec::policy::{HostPolicy, PortRange};

use super::holder::{Holder, Process};
use super::key::Key;
use crate::network::pool::Pool;
use crate::network::rules::OwnAddress;
use crate::plan::{Directories, GrantKind, Maker, Plan, PlannedAddress};

/// The keys of an instance, as a function of the offset.
#[derive(Debug, Clone)]
pub struct Claims {
    app: String,
    offset: u16,
    service: String,
    instance: u32,
    ports: Vec<Port>,
    data: Vec<PathBuf>,
    addresses: Option<Pool>,
    /// Whether the address of its own is where the ports are; else they lead there from the host's.
    on_own: bool,
    range: PortRange,
    directories: Directories,
}

#[derive(Debug, Clone, Copy)]
struct Port {
    protocol: Protocol,
    number: u16,
    /// Whether the holder has a socket on it already.
    ours: bool,
    /// Whether instances of the service share it, each with the same socket.
    shared: bool,
}

impl Claims {
    /// Of a plan that was resolved with this offset and policy.
    pub fn new(plan: &Plan, directories: &Directories, offset: u16, policy: &HostPolicy) -> Claims {
        let app = plan.app.split('+').next().unwrap_or_default().to_owned();
        // In an empty network only a socket that is handed over has the host's port.
        let on_host = plan
            .ports
            .iter()
            .filter(|port| plan.network != Network::None || port.maker != Maker::Program)
            // Of a balanced one the service holds them, for all of its instances.
            .filter(|port| plan.balanced.is_none() || port.maker != Maker::Program)
            .map(|port| Port {
                protocol: port.protocol,
                number: port.port,
                ours: matches!(port.maker, Maker::Caller(_)),
                shared: plan.shares_sockets && port.maker != Maker::Program,
            });
        let own = matches!(plan.address, PlannedAddress::Own(_));
        let managed = plan.grants.iter().filter(|grant| grant.kind == GrantKind::Managed);
        Claims {
            app,
            offset,
            service: plan.service.clone(),
            instance: plan.instance,
            ports: on_host.collect(),
            on_own: plan.network == Network::Host,
            addresses: own.then_some(Pool(policy.addresses)),
            range: policy.ports,
            data: managed.map(|grant| grant.source.clone()).collect(),
            directories: directories.clone(),
        }
    }

    /// The offset of the plan.
    pub fn offset(&self) -> u16 {
        self.offset
    }

    /// Where ports of instances come from on this host.
    pub fn range(&self) -> PortRange {
        self.range
    }

    /// Where an address of its own comes from, if it needs one.
    pub fn addresses(&self) -> Option<Pool> {
        self.addresses
    }

    /// Who holds them at an offset.
    pub fn holder(&self, offset: u16, process: Process) -> Holder {
        let (service, instance) = (self.service.clone(), self.instance);
        Holder { app: self.moved(offset), service, instance, process }
    }

    /// The keys at an offset and with this address, `None` past the last port. Without a port or a
    /// directory two copies share nothing, so then the name is not claimed either.
    pub fn keys(&self, offset: u16, own: Option<OwnAddress>) -> Option<Vec<Key>> {
        let mut keys = Vec::new();
        for port in &self.ports {
            let number = u32::from(port.number) + u32::from(offset);
            let number = number.checked_sub(u32::from(self.offset))?;
            let number = u16::try_from(number).ok()?;
            let protocol = port.protocol;
            match own.filter(|_| self.on_own) {
                // A program binds all addresses, whichever interface the port is reachable through.
                None => keys.push(Key::port(protocol, number)),
                Some(own) => {
                    let addresses = [own.v4.into(), own.v6.into()];
                    keys.extend(addresses.map(|address| Key::Port { protocol, address, number }));
                }
            }
        }
        keys.extend(own.map(|own| Key::Address(own.v4.into())));
        let (from, to) = (self.directories.data(&self.moved(self.offset)), self.moved(offset));
        let to = self.directories.data(&to);
        keys.extend(self.data.iter().map(|path| Key::Data(rebased(path, &from, &to))));
        if !keys.is_empty() {
            let app = self.moved(offset);
            keys.push(Key::Name(format!("{app}.{}.{}", self.service, self.instance)));
        }
        Some(keys)
    }

    /// Whether another holder of this key is no hindrance: an instance of the same service, with
    /// which the port is shared.
    pub fn shares(&self, key: &Key, other: &Holder) -> bool {
        let Key::Port { protocol, number, .. } = key else { return false };
        let same = other.app == self.moved(self.offset) && other.service == self.service;
        let shared = |one: &Port| one.shared && (one.protocol, one.number) == (*protocol, *number);
        same && self.ports.iter().any(shared)
    }

    /// Whether the one who claims has a socket on this port already, so that trying it out would
    /// show it in use.
    pub fn has_socket(&self, key: &Key) -> bool {
        let Key::Port { protocol, number, .. } = key else { return false };
        self.ports.iter().any(|one| one.ours && (one.protocol, one.number) == (*protocol, *number))
    }

    fn moved(&self, offset: u16) -> String {
        if offset == 0 { self.app.clone() } else { format!("{}+{offset}", self.app) }
    }
}

fn rebased(path: &Path, from: &Path, to: &Path) -> PathBuf {
    path.strip_prefix(from).map_or_else(|_| path.to_owned(), |rest| to.join(rest))
}
