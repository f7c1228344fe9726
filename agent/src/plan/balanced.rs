//! Which services a balancer can stand before.
//!
//! Invariant: pure. What is balanced listens where nobody else does, so that any number of instances
//! have the same ports; whoever keeps it leases the ports for all of them.

use std::time::Duration;

use manifest_spec::Diagnostic;
use manifest_spec::manifest::{Address, Manifest, Network, Service, Unserved};
use manifest_spec::names::PolicyName;

use super::{Need, Plan, Wall};

/// Why none stands before a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Nobody comes to it.
    NoPort,
    /// Its sockets are handed over: instances share them already.
    HandedOver,
    /// The manifest says where it listens.
    Said(Address),
    /// It has no network that anybody could come by.
    NoNetwork,
    /// Nothing moves its binds to an address of its own here.
    NoWall,
}

/// Whether a balancer can stand before it.
pub fn fits(service: &Service, network: Network, wall: Wall) -> bool {
    unfit(service, network, wall).is_none()
}

/// Why none can.
pub fn unfit(service: &Service, network: Network, wall: Wall) -> Option<Unfit> {
    if service.ports.is_empty() {
        return Some(Unfit::NoPort);
    }
    // One that binds further ports itself is replaced as a whole.
    if service.ports.iter().any(|port| port.activate) {
        return Some(Unfit::HandedOver);
    }
    match (network, service.access.address) {
        (Network::None, _) => Some(Unfit::NoNetwork),
        (Network::Host, Some(said)) => Some(Unfit::Said(said)),
        _ if wall != Wall::Cgroup => Some(Unfit::NoWall),
        _ => None,
    }
}

/// Needs that a private network does not lead to: it reaches what is balanced at its gateway, which
/// is an address of the host, and no port of one interface or one address is found there.
pub(super) fn out_of_reach(manifest: &Manifest, plan: &Plan) -> Vec<Diagnostic> {
    let is_narrow = |name: &str| {
        let service = manifest.services.iter().find(|service| service.name.as_str() == name);
        let main = service.and_then(|one| one.ports.iter().find(|port| port.name.is_none()));
        main.is_some_and(|port| {
            port.interface.is_some() || port.listen.is_some_and(|listen| listen.address.is_some())
        })
    };
    let narrow = |need: &&Need| need.balanced && is_narrow(&need.name);
    let private = plan.network == Network::Private;
    let told = |need: &Need| {
        let name = &need.name;
        let message = format!("{name} is found at one place alone, where no private network leads");
        let hint = format!("leave out interface and address of {name}'s port");
        Diagnostic::new(format!("{}needs", plan.key_prefix), message).with_hint(hint)
    };
    plan.needs.iter().filter(|_| private).filter(narrow).map(told).collect()
}

/// For how long clients of an instance that is to end are waited for.
const DRAIN: Duration = Duration::from_secs(30);

/// How clients come to the instances of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balancing {
    /// Which instance gets a new client: the policy's name.
    pub policy: String,
    /// For how long a client stays with its instance after its last new connection.
    pub affinity: Option<Duration>,
    /// For how long clients of an instance that is to end are waited for.
    pub drain: Duration,
    /// What clients meet while no instance serves.
    pub unserved: Unserved,
}

/// What the manifest says about it, with every default given.
pub(super) fn balancing(service: &Service) -> Balancing {
    let policy = service.policy.as_ref().map_or(PolicyName::BUILT_IN[0], PolicyName::as_str);
    Balancing {
        policy: policy.to_owned(),
        affinity: service.affinity.map(|span| span.0),
        drain: service.drain.map_or(DRAIN, |span| span.0),
        unserved: service.unserved.unwrap_or(Unserved::Refuse),
    }
}
