//! What one planned instance needs to have for itself, at any port offset.
//!
//! Invariant: pure; the claims at an offset are those of the plan that is resolved with it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use manifest_spec::manifest::{Network, Protocol};

use super::holder::{Holder, Process};
use super::key::Key;
use crate::plan::{Directories, GrantKind, Plan};

/// The interface whose addresses are known without asking.
const LOOPBACK: &str = "lo";

/// The keys of an instance, as a function of the offset.
#[derive(Debug, Clone)]
pub struct Claims {
    app: String,
    offset: u16,
    service: String,
    instance: u32,
    ports: Vec<Port>,
    data: Vec<PathBuf>,
    directories: Directories,
}

#[derive(Debug, Clone, Copy)]
struct Port {
    protocol: Protocol,
    loopback: bool,
    number: u16,
}

impl Claims {
    /// Of a plan that was resolved with this offset. Ports of a network of its own are nobody
    /// else's anyway.
    pub fn new(plan: &Plan, directories: &Directories, offset: u16) -> Claims {
        let app = plan.app.split('+').next().unwrap_or_default().to_owned();
        let port = |port: &crate::plan::PlannedPort| Port {
            protocol: port.protocol,
            loopback: port.interface.as_deref() == Some(LOOPBACK),
            number: port.port,
        };
        let on_host = plan.network == Network::Host;
        let managed = plan.grants.iter().filter(|grant| grant.kind == GrantKind::Managed);
        Claims {
            app,
            offset,
            service: plan.service.clone(),
            instance: plan.instance,
            ports: plan.ports.iter().filter(|_| on_host).map(port).collect(),
            data: managed.map(|grant| grant.source.clone()).collect(),
            directories: directories.clone(),
        }
    }

    /// The offset of the plan.
    pub fn offset(&self) -> u16 {
        self.offset
    }

    /// Who holds them at an offset.
    pub fn holder(&self, offset: u16, process: Process) -> Holder {
        let (service, instance) = (self.service.clone(), self.instance);
        Holder { app: self.moved(offset), service, instance, process }
    }

    /// The keys at an offset, `None` past the last port. Without a port or a directory two copies
    /// share nothing, so then the name is not claimed either.
    pub fn keys(&self, offset: u16) -> Option<Vec<Key>> {
        let mut keys = Vec::new();
        for port in &self.ports {
            let number = u32::from(port.number) + u32::from(offset);
            let number = number.checked_sub(u32::from(self.offset))?;
            let number = u16::try_from(number).ok()?;
            let protocol = port.protocol;
            if port.loopback {
                let addresses = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                keys.extend(addresses.map(|address| Key::Port { protocol, address, number }));
            } else {
                keys.push(Key::port(protocol, number));
            }
        }
        let (from, to) = (self.directories.data(&self.moved(self.offset)), self.moved(offset));
        let to = self.directories.data(&to);
        keys.extend(self.data.iter().map(|path| Key::Data(rebased(path, &from, &to))));
        if !keys.is_empty() {
            let app = self.moved(offset);
            keys.push(Key::Name(format!("{app}.{}.{}", self.service, self.instance)));
        }
        Some(keys)
    }

    fn moved(&self, offset: u16) -> String {
        if offset == 0 { self.app.clone() } else { format!("{}+{offset}", self.app) }
    }
}

fn rebased(path: &Path, from: &Path, to: &Path) -> PathBuf {
    path.strip_prefix(from).map_or_else(|_| path.to_owned(), |rest| to.join(rest))
}
