//! What should be balanced: from apps, their versions and their instances to services with backends.
//!
//! Invariant: changes nothing. A service is found while its app should run or an instance of it
//! still lives; where it is found, its target says. An instance is a backend as long as it lives and
//! its address is known.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use loadbalancer::policy::Policy;
use loadbalancer::registry::{
    Affinity, BackendId, Name as ServiceName, NewBackend, Place, State as Standing, Target,
    Unserved, Weight,
};
use manifest_spec::api::Wanted as WantedApp;

use super::places::{self, Holder};
use super::steer::{Wanted, WantedBackend};
use crate::daemon::live::Live;
use crate::daemon::probe::Way;
use crate::daemon::services::{Service, ServicePort};
use crate::daemon::world::{App, World};
use crate::lease::key::Key;
use crate::network::private::device_name;
use crate::supervise::instance::State;

/// What follows the name of an instance where it is reached by IPv6.
pub(super) const IPV6: &str = "-ipv6";

/// A balanced service of an app.
pub(in crate::daemon) struct Served<'a> {
    pub(super) app: &'a str,
    pub(in crate::daemon) service: &'a Service,
    /// Whether the app has others, so that its name must tell which.
    is_one_of_many: bool,
}

impl Served<'_> {
    /// Who leases its places.
    pub(super) fn holder(&self) -> Holder {
        (self.app.to_owned(), self.service.name.clone())
    }

    /// What its places are leased as.
    pub(super) fn keys(&self) -> BTreeSet<Key> {
        self.service.ports.iter().flat_map(places::keys).collect()
    }

    /// The app.
    pub(super) fn app(&self) -> &str {
        self.app
    }

    /// Its name in the registry, of one of its ports.
    pub(in crate::daemon) fn name(&self, port: &ServicePort) -> Option<ServiceName> {
        name(self.app, self.service, port, self.is_one_of_many)
    }
}

/// What a port of a service is called: `shop`, `shop.web` where the app has several, and for a
/// further port always `shop.web.metrics`.
fn name(app: &str, service: &Service, port: &ServicePort, many: bool) -> Option<ServiceName> {
    let text = match (&port.name, many) {
        (None, false) => app.to_owned(),
        (None, true) => format!("{app}.{}", service.name),
        (Some(port), _) => format!("{app}.{}.{port}", service.name),
    };
    ServiceName::new(&text).ok()
}

impl World {
    /// Every service that is to be found.
    pub(in crate::daemon) fn served(&self) -> Vec<Served<'_>> {
        let mut all = Vec::new();
        for (name, app) in &self.apps {
            let target = app.versions.get(&app.record.target);
            let runs = app.record.wanted == WantedApp::Running && !self.halting;
            let wanted = target.filter(|_| runs).into_iter().flat_map(|version| &version.services);
            let balanced = |service: &&Service| service.balanced.is_some();
            let mut services: BTreeMap<&str, &Service> =
                wanted.filter(balanced).map(|service| (service.name.as_str(), service)).collect();
            for live in self.instances_of(name).filter(|live| live.instance.is_alive()) {
                let service = app.service(live.version, &live.name.service);
                if let Some(service) = service.filter(balanced) {
                    services.entry(&live.name.service).or_insert(service);
                }
            }
            let is_one_of_many = target.is_some_and(|version| version.services.len() > 1);
            let served = services.into_values();
            all.extend(served.map(|service| Served { app: name, service, is_one_of_many }));
        }
        all
    }

    /// Every service as it should be, but those whose places somebody else has.
    pub(super) fn wanted(
        &self,
        served: &[Served<'_>],
        refused: &BTreeSet<Holder>,
    ) -> BTreeMap<ServiceName, Wanted> {
        let mut all = BTreeMap::new();
        for one in served.iter().filter(|one| !refused.contains(&one.holder())) {
            let Some(app) = self.apps.get(one.app) else { continue };
            for port in &one.service.ports {
                let Some(balanced) = &one.service.balanced else { continue };
                let listens = places::listens(port, &host_sys::net::interface_addresses);
                // An interface that is not there has no address to be found at.
                if let (Some(name), false) = (one.name(port), listens.is_empty()) {
                    let backends = self.backends(app, one, port);
                    let holder = format!("{}.{}", one.app, one.service.name);
                    let seconds = balanced.affinity_seconds;
                    let wanted = Wanted {
                        holder,
                        listens,
                        policy: self.policy_of(one, balanced),
                        affinity: seconds.and_then(|one| Affinity::lasting(one).ok()),
                        unserved: match balanced.waits {
                            true => Unserved::Ignore,
                            false => Unserved::Refuse,
                        },
                        backends,
                    };
                    self.add(&mut all, name, wanted);
                }
            }
        }
        for said in self.balance.said.values() {
            let holder = (said.name.clone(), String::new());
            let healthy = |id: &str| self.balance.checks.healthy(&said.name, id);
            if let Some((name, wanted)) = said.service(&healthy)
                && !refused.contains(&holder)
                && !all.contains_key(&name)
            {
                all.insert(name, wanted);
            }
        }
        all
    }

    /// A service of an app, with what operators said of it.
    fn add(&self, all: &mut BTreeMap<ServiceName, Wanted>, name: ServiceName, wanted: Wanted) {
        let mut wanted = wanted;
        if let Some(said) = self.balance.said.get(name.as_str()) {
            let healthy = |id: &str| self.balance.checks.healthy(name.as_str(), id);
            said.apply(&mut wanted, &healthy);
        }
        all.insert(name, wanted);
    }

    /// The instances behind a port.
    fn backends(
        &self,
        app: &App,
        served: &Served<'_>,
        port: &ServicePort,
    ) -> BTreeMap<BackendId, WantedBackend> {
        let mut all = BTreeMap::new();
        let of_service = |live: &&Live| live.name.service == served.service.name;
        for live in self.instances_of(served.app).filter(of_service) {
            let Some(state) = standing(live) else { continue };
            let Some(own) = app.service(live.version, &live.name.service) else { continue };
            let same = |one: &&ServicePort| one.name == port.name && one.datagram == port.datagram;
            let Some(port) = own.ports.iter().find(same).filter(|_| own.balanced.is_some()) else {
                continue;
            };
            for (family, address) in addresses(live, own, port) {
                let Ok(target) = Target::new(address) else { continue };
                let given = NewBackend {
                    target,
                    place: Place::Local,
                    weight: Weight::USUAL,
                    version: Some(live.version.to_string()),
                };
                if let Ok(id) = BackendId::new(&format!("{}{family}", live.name)) {
                    all.insert(id, WantedBackend { given, state });
                }
            }
        }
        all
    }
}

/// A built-in policy by its name. What a plugin answers takes the place of another; what it has not
/// answered yet, and a canary without a version, is round robin.
pub(super) fn policy(name: &str) -> Policy {
    match name {
        "weighted" => Policy::Weighted,
        "random" => Policy::Random,
        "source-hash" => Policy::SourceHash { port: false },
        "least-connections" => Policy::LeastConnections,
        "p2c" => Policy::P2c,
        _ => Policy::RoundRobin,
    }
}

/// How an instance stands as a backend; `None` for one that is none.
fn standing(live: &Live) -> Option<Standing> {
    Some(match live.instance.state() {
        State::Starting if live.passed => Standing::Serving,
        State::Starting => Standing::Registered,
        State::Ready | State::Running => Standing::Serving,
        State::Draining | State::Stopping => Standing::Draining,
        State::Unhealthy => Standing::Down,
        State::BackingOff | State::Failed | State::Stopped => return None,
    })
}

/// Where an instance has a port, each with what tells it from the other in its name. One on the
/// host's network is known to speak IPv6 when it does; one in a network of its own may at any time.
fn addresses(
    live: &Live,
    service: &Service,
    port: &ServicePort,
) -> Vec<(&'static str, SocketAddr)> {
    let Some(own) = live.own else { return Vec::new() };
    let number = port.target(service);
    let mut all = vec![("", SocketAddr::new(own.v4.into(), number))];
    if !service.own_address || live.six.contains(&(port.datagram, number)) {
        all.push((IPV6, SocketAddr::new(own.v6.into(), number)));
    }
    all
}

/// Where an instance's port is asked how it is.
pub(super) fn asked(
    live: &Live,
    service: &Service,
    port: &ServicePort,
) -> Option<(SocketAddr, Way)> {
    let own = live.own.filter(|_| service.balanced.is_some())?;
    let way = match service.own_address {
        true => Way::Itself,
        false => Way::Device(device_name(own.v4)),
    };
    Some((SocketAddr::new(IpAddr::from(own.v4), port.target(service)), way))
}
