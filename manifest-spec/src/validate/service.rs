//! One service: what it must say, and what its keys must agree on.

use super::{App, Slot, access, lifecycle, ports, variables};
use crate::decode::{At, Field, Findings};
use crate::limits;
use crate::manifest::{Limits, Port, Service};
use crate::names::PolicyName;
use crate::quantity::Span;
use crate::raw::{RawLimits, RawService};
use crate::suggest::did_you_mean;

pub(super) fn service(
    slot: &Slot<'_>,
    app: &App<'_>,
    findings: &mut Findings<'_>,
) -> Option<Service> {
    let raw = slot.raw?;
    if raw.run.is_absent() {
        let message = "the service has no program to run";
        let one = match slot.prefix.is_empty() {
            true => findings.add_whole(slot.place, slot.key("run"), message),
            false => findings.add(slot.place, slot.key("run"), message),
        };
        one.hint("add a command such as run = \"./server --port $PORT\"");
    }
    let ports = ports::ports(raw, slot, findings);
    let health = raw.health.get().and_then(|at| lifecycle::health(at, raw, findings));
    let ready = raw.ready.get().and_then(|at| lifecycle::ready(at, raw, findings));
    check_port_users(raw, findings);
    check_policy(raw.policy.get(), app, findings);
    check_affinity(raw.affinity.get(), findings);
    let access = raw.access.value().map(|raw| access::access(raw, findings)).unwrap_or_default();
    check_interfaces(&ports, raw, findings);
    variables::check_service(raw, app, findings);
    Some(Service {
        name: slot.name.clone(),
        dir: raw.dir.value().map(|dir| dir.0.clone()),
        run: raw.run.value()?.clone(),
        ports,
        route: raw.route.value().map(|route| route.0.clone()),
        health,
        ready,
        stop: raw.stop.value().map(lifecycle::stop).unwrap_or_default(),
        count: raw.count.value().map(|count| count.0),
        needs: raw.needs.value().into_iter().flatten().map(|need| need.value.clone()).collect(),
        policy: raw.policy.value().cloned(),
        affinity: raw.affinity.value().copied(),
        drain: raw.drain.value().copied(),
        unserved: raw.unserved.value().copied(),
        idle: raw.idle.value().copied(),
        access,
        limits: raw.limits.value().map(limits_of).unwrap_or_default(),
        env: env(raw, app, slot, findings),
    })
}

fn limits_of(raw: &RawLimits) -> Limits {
    Limits {
        memory: raw.memory.value().copied(),
        cpu: raw.cpu.value().copied(),
        processes: raw.processes.value().map(|count| count.0),
        files: raw.files.value().map(|count| count.0),
        io: raw.io.value().and_then(|weight| u16::try_from(weight.0).ok()),
        core: raw.core.value().copied(),
    }
}

/// The shared variables, each overridden in place by the service's own, then its further ones.
fn env(
    raw: &RawService,
    app: &App<'_>,
    slot: &Slot<'_>,
    findings: &mut Findings<'_>,
) -> Vec<(String, String)> {
    let own = raw.env.value().into_iter().flat_map(|map| &map.0);
    let shared = app.shared_env.into_iter().flat_map(|map| &map.0);
    let mut merged: Vec<(String, String)> = Vec::new();
    for named in shared.chain(own) {
        let name = &named.name.value.0;
        let Some(value) = named.value.value() else { continue };
        match merged.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.clone_from(&value.text),
            None => merged.push((name.clone(), value.text.clone())),
        }
    }
    if merged.len() > limits::ENTRIES {
        let message = format!("more than {} variables with the shared ones", limits::ENTRIES);
        findings.add(slot.place, slot.key("env"), message);
    }
    merged
}

/// What makes no sense for a service nobody can connect to.
fn check_port_users(raw: &RawService, findings: &mut Findings<'_>) {
    if !raw.port.is_absent() {
        return;
    }
    let hint = "add port = 8080";
    if let Field::Given(at) = &raw.route {
        findings.add(&at.place, at.key.clone(), "a route needs a port to lead to").hint(hint);
    }
    if let Field::Given(at) = &raw.idle {
        let message = "a service without a port would never be started again";
        findings.add(&at.place, at.key.clone(), message).hint(hint);
    }
}

fn check_policy(policy: Option<&At<PolicyName>>, app: &App<'_>, findings: &mut Findings<'_>) {
    let Some(at) = policy else { return };
    let own = app.raw.app.policies.value().into_iter().flat_map(|map| &map.0);
    let own: Vec<&str> = own.map(|named| named.name.value.as_str()).collect();
    if at.value.is_built_in() || own.contains(&at.value.as_str()) {
        return;
    }
    let names = PolicyName::BUILT_IN.into_iter().chain(own.iter().copied());
    let hint = did_you_mean(at.value.as_str(), names.clone()).unwrap_or_else(|| {
        let names: Vec<&str> = names.collect();
        format!("the policies are {}; add others as [policies.NAME]", names.join(", "))
    });
    let message = format!("there is no policy \"{}\"", at.value);
    findings.add(&at.place, at.key.clone(), message).hint(hint);
}

/// What the balancer's table can remember.
fn check_affinity(affinity: Option<&At<Span>>, findings: &mut Findings<'_>) {
    let Some(at) = affinity else { return };
    let seconds = at.value.0.as_secs_f64();
    if !(1.0..=f64::from(limits::AFFINITY_SECONDS)).contains(&seconds) {
        findings
            .add(&at.place, at.key.clone(), "a client stays for a second to a day")
            .hint("write affinity = \"10m\"");
    }
}

/// A port bound to an interface that traffic may not pass could never be reached.
fn check_interfaces(ports: &[Port], raw: &RawService, findings: &mut Findings<'_>) {
    let Some(allowed) = raw.access.value().and_then(|access| access.interfaces.get()) else {
        return;
    };
    for port in ports {
        let Some(interface) = &port.interface else { continue };
        if !allowed.value.iter().any(|at| at.value.0 == *interface) {
            let message = format!("port {} needs the interface \"{interface}\"", port.port);
            findings
                .add(&allowed.place, allowed.key.clone(), message)
                .hint(format!("add \"{interface}\" to the list"));
        }
    }
}
