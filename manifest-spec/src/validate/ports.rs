//! Ports: complete, distinct within the app, and with distinct variables.

use super::{App, Slot};
use crate::decode::{At, Field, Findings};
use crate::manifest::{Port, Protocol};
use crate::names::PortName;
use crate::raw::{RawPort, RawService};

/// The ports of a service, the main one first.
pub(super) fn ports(raw: &RawService, slot: &Slot<'_>, findings: &mut Findings<'_>) -> Vec<Port> {
    let mut ports = Vec::new();
    ports.extend(raw.port.get().and_then(|at| port(at, None, findings)));
    let mut variables: Vec<(String, &PortName)> = Vec::new();
    for named in raw.ports.value().into_iter().flat_map(|map| &map.0) {
        let name = &named.name.value;
        ports.extend(named.value.get().and_then(|at| port(at, Some(name), findings)));
        let variable = name.variable();
        match variables.iter().find(|(known, _)| *known == variable) {
            Some((_, other)) => {
                let message = format!("the ports {other} and {name} would share ${variable}");
                findings
                    .add(&named.name.place, slot.key(&format!("ports.{name}")), message)
                    .hint("rename one of them");
            }
            None => variables.push((variable, name)),
        }
    }
    ports
}

fn port(at: &At<RawPort>, name: Option<&PortName>, findings: &mut Findings<'_>) -> Option<Port> {
    let raw = &at.value;
    if raw.port.is_absent() {
        super::missing(at, "port", "port = 8080", findings);
    }
    let fixed = raw.fixed.value().copied().unwrap_or(false);
    let activate = raw.activate.value().copied().unwrap_or(false);
    if fixed && activate {
        findings
            .add(&at.place, at.key.clone(), "a port is either fixed or handed over as a socket")
            .hint("drop fixed: a program that takes a socket needs no rewritten bind");
    }
    check_listen(raw, activate, findings);
    Some(Port {
        name: name.cloned(),
        port: u16::try_from(raw.port.value()?.0).ok()?,
        protocol: raw.protocol.value().copied().unwrap_or(Protocol::Tcp),
        interface: raw.interface.value().map(|interface| interface.0.clone()),
        listen: raw.listen.value().map(|listen| listen.0),
        fixed,
        activate,
    })
}

/// A place that is found by an address alone, by an interface alone, or made by hostctl as it is.
fn check_listen(raw: &RawPort, activate: bool, findings: &mut Findings<'_>) {
    let Field::Given(at) = &raw.listen else { return };
    if activate {
        findings
            .add(&at.place, at.key.clone(), "a port that is handed over is found where it is")
            .hint("drop listen, or activate");
    }
    if at.value.0.address.is_some() && !raw.interface.is_absent() {
        findings
            .add(&at.place, at.key.clone(), "the address says already where the port is found")
            .hint("drop interface, or write listen as a number");
    }
}

/// No two ports of the app may have the same number and protocol.
pub(super) fn check_distinct(app: &App<'_>, findings: &mut Findings<'_>) {
    let mut seen: std::collections::HashMap<(u32, Protocol), &At<RawPort>> = Default::default();
    for raw in app.slots.iter().filter_map(|slot| slot.raw) {
        let further = raw.ports.value().into_iter().flat_map(|map| &map.0);
        let all = raw.port.get().into_iter().chain(further.filter_map(|named| named.value.get()));
        for at in all {
            let Field::Given(number) = &at.value.port else { continue };
            let protocol = at.value.protocol.value().copied().unwrap_or(Protocol::Tcp);
            let Some(first) = seen.get(&(number.value.0, protocol)) else {
                seen.insert((number.value.0, protocol), at);
                continue;
            };
            let message = format!(
                "port {} ({}) is taken by {} at {}",
                number.value.0,
                protocol.as_str(),
                first.key,
                first.value.port.get().map_or(&first.place, |port| &port.place).origin
            );
            findings
                .add(&number.place, number.key.clone(), message)
                .hint("give each port of the app a number of its own");
        }
    }
}
