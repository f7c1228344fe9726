//! Where clients find the ports of services, and what is leased for that.
//!
//! Invariant: a place is leased before it is served, by one service, with hostd as the holder; a
//! lease goes when nobody wants the place any more. Who listens there without one is named.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::time::Duration;

use loadbalancer::nft::Transport;
use loadbalancer::registry::{At, Listen};
use manifest_spec::manifest::Protocol;
use manifest_spec::policy::PortRange;

use crate::daemon::services::ServicePort;
use crate::lease::conflict::{Conflict, Refusal};
use crate::lease::key::Key;
use crate::lease::probe::Owner;
use crate::lease::{Held, LeaseError, probe};
use crate::plan::Directories;

/// What is leased, by what it is, with the app and the service that have it.
#[derive(Debug, Default)]
pub(super) struct Places {
    held: BTreeMap<Key, (Holder, Held)>,
}

/// An app and one of its services.
pub(super) type Holder = (String, String);

/// What a place needs beside its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) directories: &'a Directories,
    pub(super) range: PortRange,
    pub(super) clock: fn() -> Duration,
}

impl Places {
    /// Give back what nobody wants; whether something is missing then.
    pub(super) fn give_back(&mut self, wanted: &BTreeMap<Holder, BTreeSet<Key>>) -> bool {
        self.held
            .retain(|key, (holder, _)| wanted.get(holder).is_some_and(|keys| keys.contains(key)));
        wanted.iter().any(|(holder, keys)| keys.iter().any(|key| !self.has(holder, key)))
    }

    /// Lease what a service has not yet.
    pub(super) fn lease(
        &mut self,
        holder: &Holder,
        keys: &BTreeSet<Key>,
        around: Surroundings<'_>,
    ) -> Result<(), LeaseError> {
        let missing: Vec<&Key> = keys.iter().filter(|key| !self.has(holder, key)).collect();
        for key in missing {
            let name = (holder.0.as_str(), holder.1.as_str());
            let Surroundings { directories, range, clock } = around;
            let held = Held::serve(std::slice::from_ref(key), name, range, directories, clock)?;
            self.held.insert(key.clone(), (holder.clone(), held));
        }
        Ok(())
    }

    fn has(&self, holder: &Holder, key: &Key) -> bool {
        self.held.get(key).is_some_and(|(has, _)| has == holder)
    }

    /// Who else has one of these places, if others than this app's own instances do: an earlier
    /// version may have them still.
    pub(super) fn is_foreign(error: &LeaseError, app: &str) -> bool {
        let LeaseError::Refused(refusal) = error else { return true };
        let own = |name: &str| name.split('.').next() == Some(app);
        !refusal.conflicts.iter().all(|conflict| match conflict {
            Conflict::Held(_, occupants) => occupants.iter().all(|one| own(&one.name)),
            Conflict::Foreign(..) | Conflict::Stray(..) => false,
        })
    }
}

/// Somebody who listens at a place of a service and is no instance: it gets no new clients there.
pub(super) fn stranger(key: &Key, is_instance: &dyn Fn(IpAddr) -> bool) -> Option<Option<Owner>> {
    let Key::Port { protocol, address, number } = key else { return None };
    let there = |at: IpAddr| {
        !is_instance(at) && (at.is_unspecified() || address.is_unspecified() || at == *address)
    };
    probe::listener(*protocol, *number, there)
}

/// The refusal that a stranger is.
pub(super) fn in_use(key: &Key, owner: Option<Owner>) -> LeaseError {
    let conflicts = vec![Conflict::Foreign(key.clone(), owner)];
    LeaseError::Refused(Box::new(Refusal { conflicts, next_offset: None }))
}

/// Where clients find a port: every address of the host, or those of an interface, which `look`
/// tells.
pub(super) fn listens(port: &ServicePort, look: &dyn Fn(&str) -> Vec<IpAddr>) -> Vec<Listen> {
    let transport = if port.datagram { Transport::Udp } else { Transport::Tcp };
    let Some(number) = NonZeroU16::new(port.found_as()) else { return Vec::new() };
    let at = |at| Listen { at, transport, port: number };
    if let Some(address) = port.found_at {
        return vec![at(At::Address(address))];
    }
    match port.interface.as_deref() {
        None => vec![at(At::Any)],
        Some("lo") => {
            let own: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            own.map(|address| at(At::Address(address))).into()
        }
        Some(name) => {
            let addresses: BTreeSet<IpAddr> = look(name).into_iter().collect();
            addresses.into_iter().map(|address| at(At::Address(address))).collect()
        }
    }
}

/// What is leased for a port. One of an interface is leased everywhere: its addresses change.
pub(super) fn keys(port: &ServicePort) -> BTreeSet<Key> {
    let protocol = if port.datagram { Protocol::Udp } else { Protocol::Tcp };
    let number = port.found_as();
    if let Some(address) = port.found_at {
        return [Key::Port { protocol, address, number }].into();
    }
    match port.interface.as_deref() {
        Some("lo") => {
            let own: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            own.map(|address| Key::Port { protocol, address, number }).into()
        }
        _ => [Key::port(protocol, number)].into(),
    }
}
