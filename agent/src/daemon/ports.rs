//! Ports of instances of which a service has several: each its own, from the host's range.
//!
//! Invariant: an instance keeps its ports over restarts and reboots as long as nobody else takes
//! them. Whether it may have them, the ledger of leases decides when it starts.

use std::collections::BTreeSet;

use manifest_spec::manifest::Protocol;

use super::services::Service;
use super::world::World;
use crate::keep::assignment::{AssignedPort, Name};
use crate::lease;
use crate::lease::key::Key;
use crate::lease::probe::{Verdict, probe};
use crate::source;

impl World {
    /// Ports of the instance's own, where several instances would need the same ones: those that it
    /// had before, else free ones of the host's range. None where the manifest's are its own.
    pub(super) fn assign_ports(&mut self, name: &Name) -> Vec<AssignedPort> {
        let Some(service) = self.crowded(name) else { return Vec::new() };
        let range = source::policy(&self.directories.policy()).unwrap_or_default().ports;
        let taken: BTreeSet<u16> = self.assigned().chain(self.leased()).collect();
        let Some(app) = self.apps.get_mut(&name.app) else { return Vec::new() };
        let record = app.record.services.entry(name.service.clone()).or_default();
        let kept = record.ports.entry(name.number).or_default();
        let mut free = (range.first..=range.last).filter(|number| !taken.contains(number));
        let ports = service.ports.iter().filter(|port| !port.activate).filter_map(|port| {
            let before = kept.iter().find(|one| one.name == port.name).map(|one| one.number);
            let before = before.filter(|number| is_unused(*number, port.datagram));
            let number =
                before.or_else(|| free.find(|number| is_unused(*number, port.datagram)))?;
            Some(AssignedPort { name: port.name.clone(), number })
        });
        let ports: Vec<AssignedPort> = ports.collect();
        if *kept != ports {
            kept.clone_from(&ports);
            // Should this not be kept, the instance has other ports after the next reboot.
            let _ = self.store.put(&app.record, &[]);
        }
        ports
    }

    /// The service of an instance, if it has several that would need the same ports.
    fn crowded(&self, name: &Name) -> Option<Service> {
        let service = self.service_of(name)?;
        let app = self.apps.get(&name.app)?;
        let alone = service.own_address || service.balanced.is_some();
        (app.count(&service) > 1 && !alone).then_some(service)
    }

    /// Ports that instances have or had.
    fn assigned(&self) -> impl Iterator<Item = u16> {
        let services = self.apps.values().flat_map(|app| app.record.services.values());
        services.flat_map(|service| service.ports.values().flatten().map(|port| port.number))
    }

    /// Ports that somebody holds by a lease. What can't be known shows when the instance starts.
    fn leased(&self) -> impl Iterator<Item = u16> + use<> {
        let ledger = lease::look(&self.directories, self.clock).ok().flatten();
        let rows = ledger.and_then(|ledger| ledger.rows().ok()).unwrap_or_default();
        rows.into_iter().filter_map(|row| match row.key {
            Key::Port { number, .. } => Some(number),
            _ => None,
        })
    }

    /// An instance could not have its ports: it gets others next time.
    pub(super) fn forget_ports(&mut self, name: &Name) {
        let Some(app) = self.apps.get_mut(&name.app) else { return };
        if let Some(record) = app.record.services.get_mut(&name.service)
            && record.ports.remove(&name.number).is_some()
        {
            let _ = self.store.put(&app.record, &[]);
        }
    }
}

/// Whether nobody has a socket on a port now.
fn is_unused(number: u16, datagram: bool) -> bool {
    let protocol = if datagram { Protocol::Udp } else { Protocol::Tcp };
    probe(&Key::port(protocol, number)) == Verdict::Free
}
