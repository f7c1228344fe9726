//! From a plan's words to rules: what names and interfaces mean on this host right now.
//!
//! Invariant: [`rules`] is pure; a word without an answer grants nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use manifest_spec::manifest::{self, Network, Protocol};

use super::private::{Forward, GATEWAY, Inward, Layout};
use super::rules::{Destination, PortRule, Reach, Rules};
use crate::plan::{Maker, Plan, PlannedAddress, PlannedPort};

/// The port of the domain name system (RFC 1035).
pub const DNS: u16 = 53;
/// Index of the loopback device in every network namespace.
const LOOPBACK: u32 = 1;

/// What the host says to the words of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// Addresses of host names.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// Addresses of the host's resolvers.
    pub resolvers: Vec<IpAddr>,
    /// Indexes of the interfaces that exist.
    pub interfaces: BTreeMap<String, u32>,
}

/// The host names among a plan's destinations.
pub fn names(plan: &Plan) -> Vec<String> {
    let name = |destination: &manifest::Destination| match destination {
        manifest::Destination::Host { name, .. } => Some(name.clone()),
        _ => None,
    };
    let mut names: Vec<_> = plan.connect.iter().filter_map(name).collect();
    names.sort();
    names.dedup();
    names
}

/// The interfaces a plan names, each with the key that names it.
pub fn interfaces(plan: &Plan) -> Vec<(String, String)> {
    let key = format!("{}access.interfaces", plan.key_prefix);
    let granted = plan.interfaces.iter().flatten().map(|name| (name.clone(), key.clone()));
    let of_port = |port: &PlannedPort| Some((port.interface.clone()?, port.key.clone()));
    granted.chain(plan.ports.iter().filter_map(of_port)).collect()
}

/// The network of its own that a plan describes, if it does.
pub fn layout(plan: &Plan, answers: &Answers) -> Option<Layout> {
    let PlannedAddress::Own(Some(own)) = plan.address else { return None };
    if plan.network != Network::Private {
        return None;
    }
    let forward = |port: &PlannedPort| Forward {
        protocol: port.protocol,
        outside: port.port,
        inside: port.inside,
        interface: port.interface.clone(),
    };
    let passed = |port: &&PlannedPort| port.maker == Maker::Program;
    let inward = |protocol, port| Inward {
        protocol,
        port,
        to: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
    };
    // What is balanced is found at the gateway's address as at any other of the host.
    let needs = plan.needs.iter().filter(|need| !need.balanced).filter_map(|need| need.port);
    let mut inwards: Vec<_> = needs.map(|port| inward(Protocol::Tcp, port)).collect();
    if plan.resolver && answers.resolvers.contains(&GATEWAY.into()) {
        inwards.extend([Protocol::Tcp, Protocol::Udp].map(|protocol| inward(protocol, DNS)));
    }
    Some(Layout {
        name: plan.instance_name(),
        address: own.v4,
        address6: own.v6,
        forwards: plan.ports.iter().filter(passed).map(forward).collect(),
        balanced: plan.balanced.is_some(),
        egress: plan.interfaces.clone(),
        inward: inwards,
        balanced_needs: plan.needs.iter().any(|need| need.balanced),
    })
}

/// What a plan grants, given these answers.
pub fn rules(plan: &Plan, answers: &Answers) -> Rules {
    let index = |name: &String| answers.interfaces.get(name).copied();
    let own = match plan.address {
        PlannedAddress::Own(own) => own,
        PlannedAddress::Host => None,
    };
    // In a network of its own the port is moved, and interfaces are judged, on the way there.
    let private = plan.network == Network::Private;
    let port = |port: &PlannedPort| PortRule {
        protocol: port.protocol,
        inside: port.inside,
        outside: if private { port.inside } else { port.port },
        interface: match (&port.interface, own) {
            _ if private => None,
            // Its clients' packets come by any interface that the balancer serves.
            _ if plan.balanced.is_some() => None,
            (Some(name), _) => Some(index(name).unwrap_or(0)),
            // No other host knows this address, so nothing for it comes from outside.
            (None, Some(_)) => Some(LOOPBACK),
            (None, None) => None,
        },
    };
    Rules {
        ports: plan.ports.iter().map(port).collect(),
        own,
        alone: private,
        reach: reach(plan, answers),
        interfaces: plan
            .interfaces
            .as_ref()
            .filter(|_| !private)
            .map(|all| all.iter().filter_map(index).collect()),
        raw: plan.capabilities.iter().any(|name| name == "CAP_NET_RAW"),
    }
}

fn reach(plan: &Plan, answers: &Answers) -> Reach {
    let mut all = Vec::new();
    for destination in &plan.connect {
        match destination {
            manifest::Destination::Anywhere => return Reach::Anywhere,
            manifest::Destination::Network { address, prefix, port } => {
                all.push(Destination { network: *address, prefix: *prefix, port: *port });
            }
            manifest::Destination::Host { name, port } => {
                let addresses = answers.names.get(name).into_iter().flatten();
                all.extend(addresses.map(|address| Destination::host(*address, *port)));
            }
        }
    }
    if plan.resolver {
        all.extend(answers.resolvers.iter().map(|one| Destination::host(*one, Some(DNS))));
    }
    let needs = plan.needs.iter().filter(|need| need.port.is_some());
    all.extend(
        needs.filter_map(|need| Some(Destination::host(need.host.parse().ok()?, need.port))),
    );
    all.sort();
    all.dedup();
    Reach::Only(all)
}
